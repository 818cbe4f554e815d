"""Train the shipped adapter's vectors: `python recipes/default_model/train_vectors.py`, after train_base.py and
train_reading.py.

Writes `runs/adapter/`, `runs/adapter/log.jsonl`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kblam.models.adapter import Adapter
from kblam.models.anatomy import attention_sites, query_projection
from kblam.training.questions import Practice
from kblam.training.vectors import Schedule, train_vectors

RUNS = Path(__file__).parent / "runs"


def main() -> None:
    """The whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prior", default="reading", help="folder under runs/")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    base = AutoModelForCausalLM.from_pretrained(RUNS / "base", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(RUNS / "base")
    adapter = Adapter.load(RUNS / options.prior)
    with torch.no_grad():
        for index, site in enumerate(attention_sites(base, adapter.config.knowledge_layers).values()):
            # A quarter of the model's own query: at first the prior decides which rows are read.
            adapter.query_weight[index].copy_(query_projection(site)[0] / 4)
    practice = Practice.load(RUNS / "practice.pt")
    folder = RUNS / "adapter"
    folder.mkdir(exist_ok=True)
    sums: dict[str, float] = {}

    def report(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
        if step % 50 == 0:
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(
                    json.dumps({"step": step, **{name: round(value / 50, 4) for name, value in sums.items()}}) + "\n"
                )
            sums.clear()
        if step % 250 == 0:
            adapter.save(folder)

    train_vectors(base, tokenizer, adapter, practice, Schedule(steps=options.steps, seed=options.seed), report)
    adapter.provenance = {**adapter.provenance, "vectors": vars(options)}
    adapter.save(folder)


if __name__ == "__main__":
    main()
