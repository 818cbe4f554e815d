"""Train the base model that ships with kblam, on a CPU: `python recipes/default_model/train_base.py --steps 9000`.

Needs `pip install wordfreq`. Writes `runs/base/` (the model), `runs/base/log.jsonl` and `runs/base/training.png`; a
run that was stopped goes on
from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import torch
from tasks import Practice, Sample
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from wiring import wire_copying

HERE = Path(__file__).parent


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


def train(options: argparse.Namespace) -> None:
    """The whole run."""
    folder = HERE / "runs" / options.name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(HERE / "runs" / "tokenizer")
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    model = new_model(tokenizer)
    matrices = [value for name, value in model.model.layers.named_parameters() if value.ndim == 2]
    others = [value for value in model.parameters() if value.ndim != 2] + [model.model.embed_tokens.weight]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=options.rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=options.rate / 3, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    start, checkpoint = 0, folder / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        start = saved["step"]
    practice = Practice(tokenizer, options.seed + start)
    body = torch.compile(model.model, dynamic=True) if options.compile else model.model
    began, seen, total, exact = time.time(), 0, 0.0, 0.0
    for step, (ids, said) in enumerate(
        ahead(batches(practice, start, options.steps, options.tokens, tokenizer.pad_token_id)), start
    ):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * rate(step, options.steps)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = body(input_ids=ids, use_cache=False).last_hidden_state[said != -100]
            logits = model.lm_head(hidden)
        loss = torch.nn.functional.cross_entropy(logits.float(), said[said != -100])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        total, seen = total + loss.item(), seen + ids.numel()
        exact += (logits.argmax(-1) == said[said != -100]).float().mean().item()
        if (step + 1) % 50 == 0:
            line = {
                "step": step + 1,
                "loss": total / 50,
                "accuracy": exact / 50,
                "tokens_per_second": seen / (time.time() - began),
            }
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            total = exact = 0.0
            if not math.isfinite(line["loss"]):
                raise SystemExit(f"the loss is {line['loss']} at step {step + 1}; lower --rate")
        if (step + 1) % 250 == 0 or step + 1 == options.steps:
            part = folder / "checkpoint.part"
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimizers": [item.state_dict() for item in optimizers],
                    "step": step + 1,
                },
                part,
            )
            part.replace(checkpoint)
            model.to(torch.bfloat16).save_pretrained(folder) if step + 1 == options.steps else None
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
