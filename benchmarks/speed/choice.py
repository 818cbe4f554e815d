"""What 8-bit scans change: `python benchmarks/speed/choice.py KNOWLEDGE [--facts 10000] [--questions 100] [--answers]`.

KNOWLEDGE is a directory or file with real vectors. Printed: the share of the exact scan's best 100 rows that the
8-bit scan finds, and how often both have the same best row, before and after its best rows are scored again; with
--answers also how many answers of the model that ships hold the exact value, by either scan.
"""

from __future__ import annotations

import argparse
import json
import random
from typing import Any

import torch

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.reader import Reader
from kblam.models.shipped import shipped_adapter


def recall(left: torch.Tensor, right: torch.Tensor) -> float:
    """The share of the first's best 100 rows that are among the second's."""
    pairs = zip(left.topk(100).indices.tolist(), right.topk(100).indices.tolist(), strict=True)
    shares = [len(set(one) & set(other)) / 100 for one, other in pairs]
    return round(sum(shares) / len(shares), 4)


@torch.no_grad()
def chosen(base: KnowledgeBase, questions: list[str]) -> dict[str, Any]:
    """Compare the rows that the scans choose."""
    adapter = shipped_adapter()
    exact, coarse = (Reader(adapter, base.snapshot(), base.encoder, scan) for scan in ("exact", "int8"))
    reading = exact.read(questions)
    wanted, found = exact.scores(reading), coarse.scores(reading)
    rough = adapter.prior_scores(reading.embedding, coarse.latents) + reading.named
    numbers: dict[str, Any] = {}
    for name, scores in (("codes only", rough), ("rescored", found)):
        same = float((scores.argmax(1) == wanted.argmax(1)).float().mean())
        numbers[name] = {"recall@100": recall(wanted, scores), "same best row": same}
    return numbers


def answered(base: KnowledgeBase, facts: list[Triple], questions: list[str]) -> dict[str, Any]:
    """Compare the answers of the model that ships."""
    numbers: dict[str, Any] = {}
    for scan in ("exact", "int8"):
        model = KBLaM.from_pretrained("default").attach(base, scan=scan)  # type: ignore[arg-type]
        said = [model.ask(question).text for question in questions]
        numbers[scan] = sum(fact.value in text for fact, text in zip(facts, said, strict=True)) / len(facts)
    return numbers


def main() -> None:
    """One JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("knowledge")
    parser.add_argument("--facts", type=int, help="the first so many only")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--answers", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    base, most = KnowledgeBase.from_file(options.knowledge), options.facts
    if most is not None:
        base = KnowledgeBase.from_embeddings(base.keys[:most], base.values[:most], base.triples[:most], base.encoder)
    facts = random.Random(1).sample(base.triples, options.questions)
    questions = [f"What is {fact.key_text}?" for fact in facts]
    numbers = {"facts": len(base), "questions": len(questions), **chosen(base, questions)}
    if options.answers:
        numbers["answers with the exact value"] = answered(base, facts, questions)
    print(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()
