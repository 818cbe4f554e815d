"""How well 8-bit scans choose rows: `python benchmarks/speed/choice.py KNOWLEDGE [--questions 100]`.

KNOWLEDGE is a directory or file with real vectors. Printed: the share of the exact scan's best 100 rows that the
8-bit scan finds, and how often both have the same best row, before and after its best rows are scored again.
"""

from __future__ import annotations

import argparse
import json
import random

import torch

from kblam import KnowledgeBase
from kblam.answering.evidence import Reader
from kblam.models.pretrained import default_adapter


def recall(left: torch.Tensor, right: torch.Tensor) -> float:
    """The share of the first's best 100 rows that are among the second's."""
    pairs = zip(left.topk(100).indices.tolist(), right.topk(100).indices.tolist(), strict=True)
    shares = [len(set(one) & set(other)) / 100 for one, other in pairs]
    return sum(shares) / len(shares)


def main() -> None:
    """One JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("knowledge")
    parser.add_argument("--questions", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    base, adapter = KnowledgeBase.from_file(options.knowledge), default_adapter()
    facts = random.Random(1).sample(base.triples, options.questions)
    exact, coarse = (Reader(adapter, base.snapshot(), base.encoder, form) for form in (False, True))
    reading = exact.read([f"What is {fact.key_text}?" for fact in facts])
    with torch.no_grad():
        wanted, found = exact.scores(reading), coarse.scores(reading)
        rough = adapter.prior_scores(reading.embedding, coarse.latents) + reading.named
    same = {
        name: float((scores.argmax(1) == wanted.argmax(1)).float().mean())
        for name, scores in (("rough", rough), ("rescored", found))
    }
    print(json.dumps({"facts": len(base), "questions": options.questions, "recall@100 rough": round(recall(wanted, rough), 4),
                      "recall@100 rescored": round(recall(wanted, found), 4), "same best row": same}, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
