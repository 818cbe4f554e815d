"""Runs a checkout of microsoft/KBLaM and says how long it takes; `checkout.py` starts this file as a program.

It imports nothing of ours: the original's package is called kblam too. It reads one JSON object from standard input
(see `checkout.py`) and prints one on each line: how far its results are from those given, then each number of facts.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Task = dict[str, Any]


def main() -> None:
    """Check, then measure."""
    task: Task = json.load(sys.stdin)
    torch.set_num_threads(task["threads"])
    package = types.ModuleType("kblam")
    # Its folder has no __init__.py, so that an installed package of this name would come before it.
    package.__path__ = [str(Path(task["checkout"]) / "src" / "kblam")]
    sys.modules["kblam"] = package
    code = importlib.import_module("kblam.models.llama3_model")
    settings = importlib.import_module("kblam.models.kblam_config").KBLaMConfig
    torch.nn.Linear.reset_parameters = torch.nn.Embedding.reset_parameters = lambda self: None  # type: ignore[assignment]
    code.LlamaModel._init_weights = lambda self, module: None
    with torch.no_grad():
        say({"difference": difference(code, settings, task)})
        measure(code, settings, task)


def say(numbers: dict[str, Any]) -> None:
    """One line."""
    print(json.dumps(numbers), flush=True)


def build(code: Any, settings: Any, config: dict[str, Any], every: int, dtype: torch.dtype, device: str) -> Any:
    """Their decoder and their settings; its weights are not filled yet."""
    import transformers

    torch.set_default_dtype(dtype)
    sizes: Any = {**config, "attn_implementation": "eager"}
    with torch.device(device):
        model = code.LlamaModel(transformers.LlamaConfig(**sizes))
    options = {"kb_layer_frequency": every, "kb_scale_factor": 100, "sep_query_head": True}
    return model.eval().requires_grad_(False), settings(**options)


def step(model: Any, settings: Any, ids: Tensor, rows: Any, cache: Any) -> tuple[Tensor, Any]:
    """One forward pass: the hidden states (B, T, hidden) and the cache."""
    seen = ids.shape[1] + (0 if cache is None else cache.get_seq_length())
    if cache is None:
        from transformers import DynamicCache

        cache = DynamicCache()
    mask = torch.ones(1, seen, device=ids.device)
    options = {"kb_kvs": rows, "kb_config": settings, "attention_mask": mask, "return_dict": True}
    made = model(input_ids=ids, past_key_values=cache, use_cache=True, **options)
    return made.last_hidden_state, made.past_key_values


def difference(code: Any, settings: Any, task: Task) -> float:
    """The largest difference to the hidden states given, of weights and rows given."""
    from safetensors.torch import load_file

    given, every, config = load_file(task["check"]), task["check_every"], task["check_config"]
    model, options = build(code, settings, config, every, torch.float32, "cpu")
    weights = {name[6:]: tensor for name, tensor in given.items() if name.startswith("model.")}
    unknown = model.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        raise SystemExit(f"this checkout has no {unknown[0]}")
    blocks = 1 + config["num_hidden_layers"] // every  # theirs, of which the last may be spare
    rows = tuple(
        torch.nn.functional.pad(given[name], (0, blocks * given["width"].item() - given[name].shape[1]))
        for name in ("keys", "values")
    )
    hidden, cache = step(model, options, given["ids"][:, :-1], rows, None)
    last, _ = step(model, options, given["ids"][:, -1:], rows, cache)
    return float((torch.cat([hidden, last], 1) - given["hidden"]).abs().max() / given["hidden"].abs().max())


def measure(code: Any, settings: Any, task: Task) -> None:
    """Each number of facts, in turns with the same code without any."""
    dtype = getattr(torch, task["dtype"])
    model, options = build(code, settings, task["config"], task["every"], dtype, task["device"])
    for parameter in model.parameters():
        fill(parameter, 1.0 if parameter.dim() == 1 else 0.0)
    ids = torch.randint(3, task["config"]["vocab_size"], (1, task["tokens"]), device=task["device"])
    width = task["config"]["num_attention_heads"] * task["config"]["head_dim"]
    blocks = 1 + task["config"]["num_hidden_layers"] // task["every"]
    before: tuple[int, float] | None = None
    for facts in task["facts"]:
        kept = 2 * facts * blocks * width * torch.empty(0, dtype=dtype).element_size()
        predicted = before[1] * facts / before[0] if before else 0.0
        if kept > task["most_bytes"] or predicted > task["most_seconds"]:
            why = f"would take {kept / 1e9:.1f} GB" if kept > task["most_bytes"] else f"would take {predicted:.0f} s"
            say({"facts": facts, "kept": kept, "left_out": why})
            continue
        rows = tuple(torch.empty(facts, blocks * width, dtype=dtype, device=task["device"]) for _ in range(2))
        for row in rows:
            fill(row, 0.0)
        first = sum(answer(model, options, ids, rows, task))  # touches memory, so it does not count
        rounds = task["rounds"] if first < task["most_seconds"] / 10 else 1
        turns = [
            [*answer(model, options, ids, None, task), *answer(model, options, ids, rows, task)] for _ in range(rounds)
        ]
        before = facts, statistics.median(turn[2] for turn in turns)
        say({"facts": facts, "kept": kept, "turns": turns})


def fill(tensor: Tensor, middle: float) -> None:
    """Numbers as wide as a fresh model's; a large tensor repeats a few million."""
    flat = tensor.view(-1)
    made = middle + torch.randn(min(len(flat), 1 << 22), device=tensor.device) * (0.02 if middle == 0 else 0.0)
    for start in range(0, len(flat), len(made)):
        part = flat[start : start + len(made)]
        part.copy_(made[: len(part)])


def answer(model: Any, settings: Any, ids: Tensor, rows: Any, task: Task) -> tuple[float, float]:
    """Seconds to the first token, and for each further one."""
    state: dict[str, Any] = {"cache": None, "ids": ids}

    def token() -> None:
        hidden, state["cache"] = step(model, settings, state["ids"], rows, state["cache"])
        scores = torch.nn.functional.linear(hidden[:, -1], model.embed_tokens.weight)
        state["ids"] = scores.argmax(-1, keepdim=True)

    return seconds(token, task), statistics.median([seconds(token, task) for _ in range(task["made"])])


def seconds(work: Callable[[], object], task: Task) -> float:
    """As `clock.seconds` counts them."""
    now = time.process_time if task["device"] == "cpu" and task["threads"] == 1 else time.perf_counter
    wait: Callable[[], object] = torch.cuda.synchronize if task["device"].startswith("cuda") else lambda: None
    wait()
    began = now()
    work()
    wait()
    return now() - began


if __name__ == "__main__":
    main()
