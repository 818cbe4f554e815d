"""The original's own code beside ours, from a checkout of microsoft/KBLaM, in a process of its own.

A process of its own because both packages are called kblam, and because theirs was written for transformers 4.46: a
Python that has it can be named. Before any time is shown, a small decoder of theirs with our weights and rows must
give what ours gives.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from safetensors.torch import save_file

from kblam.errors import InputError
from kblam.measuring.decoders import SHAPES, build_decoder, exact_adapter, random_rows
from kblam.measuring.equality import UnequalError
from kblam.measuring.original import OriginalAlgorithm
from kblam.measuring.speed import Row, SpeedOptions

__all__ = ["METHOD", "bounded", "measure_checkout"]

METHOD = "original's code"
WORKER = Path(__file__).with_name("checkout_worker.py")
LARGEST_DIFFERENCE = 1e-3
CHECK_EVERY, CHECK_ROWS = 2, 50


def measure_checkout(
    checkout: Path, python: str, options: SpeedOptions, report: Callable[[str], None] = lambda what: None
) -> tuple[list[Row], float]:
    """Its rows of the table, without what bounds them, and how far its results are from ours.

    Raises InputError when the checkout or the Python cannot be used, UnequalError when results differ.
    """
    source = checkout / "src" / "kblam" / "models" / "llama3_model.py"
    if not source.is_file():
        raise InputError(f"{checkout} has no {source.relative_to(checkout)}: give a checkout of microsoft/KBLaM")
    report(f"{METHOD}: comparing results")
    rows: list[Row] = []
    difference: float | None = None
    with tempfile.TemporaryDirectory(prefix="kblam-benchmark-") as folder:
        for numbers in _run(python, _task(checkout, options, Path(folder) / "check.safetensors")):
            if difference is None:
                difference = numbers["difference"]
                if not difference <= LARGEST_DIFFERENCE:
                    raise UnequalError(
                        f"no speed is shown, because {checkout} and ours differ by {difference:.2g}, "
                        f"more than {LARGEST_DIFFERENCE:.2g}"
                    )
            else:
                rows.append(_row(numbers, options))
            report(f"{METHOD}, {len(rows)} of {len(options.facts)} numbers of facts done")
    assert difference is not None
    return rows, difference


def _task(checkout: Path, options: SpeedOptions, check: Path) -> dict[str, Any]:
    """What the worker reads; the check's weights, rows and results go into a file."""
    shape = SHAPES[options.shape]
    names = ("tokens", "made", "rounds", "every", "most_seconds", "most_bytes", "dtype", "device")
    return {
        "checkout": str(checkout.resolve()), "threads": torch.get_num_threads(), "facts": options.facts,
        "config": _config(options.shape, options.layers or shape.layers), "check": str(check),
        "check_config": _check(check), "check_every": CHECK_EVERY, **{name: getattr(options, name) for name in names},
    }  # fmt: skip


def _config(name: str, layers: int) -> dict[str, int]:
    shape = SHAPES[name]
    return {
        "hidden_size": shape.hidden, "intermediate_size": shape.intermediate, "num_hidden_layers": layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.key_heads, "head_dim": shape.head_dim,
        "vocab_size": shape.vocabulary, "max_position_embeddings": shape.window,
    }  # fmt: skip


@torch.no_grad()
def _check(path: Path) -> dict[str, int]:
    """Write a small decoder's weights, rows and hidden states; return its sizes."""
    decoder = build_decoder(SHAPES["tiny"], 4, torch.float32)
    adapter = exact_adapter(decoder, CHECK_EVERY, torch.float32)
    original = OriginalAlgorithm(decoder, adapter, adapter.latents(*random_rows(CHECK_ROWS, torch.float32)))
    ids = torch.arange(3, 12)[None]
    with original.attend():
        hidden = decoder.model(ids).last_hidden_state
    weights = {name: tensor for name, tensor in decoder.state_dict().items() if name.startswith("model.")}
    assert adapter.query_weight is not None, "a whole query head, as the original has"
    for layer in range(4):
        own = weights[f"model.layers.{layer}.self_attn.q_proj.weight"]
        ours = layer in adapter.config.knowledge_layers
        weights[f"model.layers.{layer}.self_attn.q_proj_new.weight"] = (
            adapter.query_weight[adapter.slot(layer)] if ours else own
        )
    width = torch.tensor(adapter.config.heads * adapter.config.head_dim)
    given = {"keys": original.keys, "values": original.values, "ids": ids, "hidden": hidden, "width": width}
    save_file({name: tensor.clone() for name, tensor in (weights | given).items()}, path)
    return _config("tiny", 4)


def _run(python: str, task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines that the worker prints."""
    try:
        # Isolated, so that no variable or folder of the caller brings our package.
        process = subprocess.Popen(
            [python, "-I", str(WORKER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip
    except OSError as error:
        raise InputError(
            f"{python} cannot be started ({error.strerror}): give a Python with --original_python"
        ) from error
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    with process:
        process.stdin.write(json.dumps(task))
        process.stdin.close()
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
        said = process.stderr.read().strip().splitlines()
    if process.returncode:
        raise InputError(
            f"the original's code stopped ({said[-1] if said else process.returncode}): it was written for "
            "transformers 4.46; name a Python that has it with --original_python"
        )


def _row(numbers: dict[str, Any], options: SpeedOptions) -> Row:
    """One line of the worker as a row; its turns hold prefill and decode without and with rows."""
    facts, kept = numbers["facts"], numbers["kept"]
    if "left_out" in numbers:
        return Row(METHOD, facts, kept, left_out=numbers["left_out"])
    turns = numbers["turns"]
    layers = len(range(0, options.layers or SHAPES[options.shape].layers, options.every))
    return Row(
        METHOD, facts, kept,
        prefill=median(turn[2] for turn in turns), prefill_ratio=median(turn[2] / turn[0] for turn in turns),
        decode=median(turn[3] for turn in turns), decode_ratio=median(turn[3] / turn[1] for turn in turns),
        decode_extra_per_layer=median(turn[3] - turn[1] for turn in turns) / layers,
    )  # fmt: skip


def bounded(row: Row, machine: dict[str, float]) -> Row:
    """The row with the time that reading the weights and the rows once takes."""
    if row.prefill is None:
        return row
    return replace(row, decode_bound=(machine["weight bytes"] + row.kept_bytes) / machine["bytes a second"])
