"""Train the base model that ships with kblam, on a CPU: `python recipes/default_model/train_base.py --steps 9000`.

Needs `pip install wordfreq`. Writes `runs/base/` (the model) and `runs/base/log.jsonl`; a run that was stopped goes on
from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import torch
from tasks import Practice, Sample
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from wiring import wire_copying

HERE = Path(__file__).parent
LOGGED, SAVED = 50, 250
"""Steps from one line of the log, and from one checkpoint, to the next."""


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """4 layers, 256 wide."""
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, head_dim=64, max_position_embeddings=4096, tie_word_embeddings=True, rms_norm_eps=1e-5,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    wire_copying(model)
    return model


def collate(samples: list[Sample], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded token ids (B, T) and the ids to be said next, -100 elsewhere (B, T)."""
    longest = -(-max(len(sample.prompt) + len(sample.answer) for sample in samples) // 16) * 16
    ids = torch.full((len(samples), longest), pad)
    said = torch.full((len(samples), longest), -100)
    for row, sample in enumerate(samples):
        whole = torch.tensor(sample.prompt + sample.answer)
        ids[row, : len(whole)] = whole
        said[row, len(sample.prompt) - 1 : len(whole) - 1] = whole[len(sample.prompt) :]
    return ids, said


def batches(
    practice: Practice, start: int, steps: int, tokens: int, pad: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One batch a step of about `tokens` tokens, of exercises of similar length."""
    pool: list[Sample] = []
    for step in range(start, steps):
        while len(pool) < 600:
            sample = practice.draw_one(step / steps)
            if len(sample.prompt) + len(sample.answer) <= 640:
                pool.append(sample)
        pool.sort(key=lambda sample: len(sample.prompt) + len(sample.answer))
        first = practice.draw.randrange(len(pool))
        last, size = first, 0
        while last < len(pool) and (last - first + 1) * (len(pool[last].prompt) + len(pool[last].answer)) <= tokens:
            last += 1
        last = max(last, first + 1)
        size = last - first
        if size < 8 and first > 0:
            first = max(0, last - 8)
        chosen, pool = pool[first:last], pool[:first] + pool[last:]
        yield collate(chosen, pad)


def ahead(
    items: Iterator[tuple[torch.Tensor, torch.Tensor]], depth: int = 8
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The same items, made in a thread while earlier ones are used."""
    queue: Queue[tuple[torch.Tensor, torch.Tensor] | None] = Queue(depth)

    def fill() -> None:
        for item in items:
            queue.put(item)
        queue.put(None)

    threading.Thread(target=fill, daemon=True).start()
    while (item := queue.get()) is not None:
        yield item


def rate(step: int, steps: int, warmup: int = 60, decay: float = 0.25) -> float:
    """Warm-up, plateau, then a straight line down to a fiftieth over the last quarter."""
    left = (steps - step) / (decay * steps)
    return min(1.0, (step + 1) / warmup, max(0.02, left))


def new_optimizers(model: LlamaForCausalLM, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the vectors."""
    matrices = [value for value in model.model.layers.parameters() if value.ndim == 2]
    others = [value for value in model.parameters() if value.ndim != 2] + [model.model.embed_tokens.weight]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=learning_rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=learning_rate / 3, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers


def set_rates(optimizers: list[torch.optim.Optimizer], share: float) -> None:
    """Every learning rate becomes this share of its initial one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * share


def resume(path: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer]) -> int:
    """Read the checkpoint into model and optimizers; return the steps it has taken, 0 without one."""
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    return int(saved["step"])


def save_checkpoint(path: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], step: int) -> None:
    """Write what `resume` reads, in place of the checkpoint before."""
    part = path.with_suffix(".part")
    states = [optimizer.state_dict() for optimizer in optimizers]
    torch.save({"model": model.state_dict(), "optimizers": states, "step": step}, part)
    part.replace(path)


def learn(
    model: LlamaForCausalLM,
    body: Callable[..., Any],
    optimizers: list[torch.optim.Optimizer],
    ids: torch.Tensor,
    said: torch.Tensor,
) -> tuple[float, float]:
    """One step on a batch of `collate`, `body` the layers, perhaps compiled; return loss and accuracy."""
    spoken = said != -100
    wanted = said[spoken]
    with torch.autocast("cpu", torch.bfloat16):
        logits = model.lm_head(body(input_ids=ids, use_cache=False).last_hidden_state[spoken])
    loss = torch.nn.functional.cross_entropy(logits.float(), wanted)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return loss.item(), (logits.argmax(-1) == wanted).float().mean().item()


class Log:
    """A file of JSON lines, one every fifty steps: mean loss, mean accuracy, tokens per second since the start."""

    def __init__(self, path: Path) -> None:
        self.path, self.began, self.seen = path, time.time(), 0
        self.loss = self.accuracy = 0.0

    def add(self, step: int, loss: float, accuracy: float, tokens: int) -> None:
        """Count one step; stop the run where the loss of fifty is no number."""
        self.loss, self.accuracy, self.seen = self.loss + loss, self.accuracy + accuracy, self.seen + tokens
        if step % LOGGED:
            return
        line = {
            "step": step,
            "loss": self.loss / LOGGED,
            "accuracy": self.accuracy / LOGGED,
            "tokens_per_second": self.seen / (time.time() - self.began),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.loss = self.accuracy = 0.0
        if not math.isfinite(line["loss"]):
            raise SystemExit(f"the loss is {line['loss']} at step {step}; lower --rate")


def train(options: argparse.Namespace) -> None:
    """The whole run."""
    folder = HERE / "runs" / options.name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(HERE / "runs" / "tokenizer")
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    model = new_model(tokenizer)
    optimizers = new_optimizers(model, options.rate)
    checkpoint = folder / "checkpoint.pt"
    start = resume(checkpoint, model, optimizers)
    practice = Practice(tokenizer, options.seed + start)
    body = torch.compile(model.model, dynamic=True) if options.compile else model.model
    log = Log(folder / "log.jsonl")
    made = ahead(batches(practice, start, options.steps, options.tokens, tokenizer.pad_token_id))
    for step, (ids, said) in enumerate(made, start + 1):
        set_rates(optimizers, rate(step - 1, options.steps))
        log.add(step, *learn(model, body, optimizers, ids, said), ids.numel())
        if step % SAVED == 0 or step == options.steps:
            save_checkpoint(checkpoint, model, optimizers, step)
        if step == options.steps:
            model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="base", help="folder under runs/")
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--tokens", type=int, default=10_000, help="tokens a step, about")
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    train(parser.parse_args())
