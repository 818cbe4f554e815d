"""Retrieval in attention, and values carried by vectors alone: `python benchmarks/synthetic/measure.py [--sizes 1000
10000]`.

Entities are new (another seed than training); a few of the facts have properties that no training saw, with
`--held-out` all of them. Questions are plain and paraphrased, half and half. The dense
retriever of the same encoder answers the same questions beside it.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from kblam import KBLaM, KnowledgeBase
from kblam.evaluation.intervals import Share
from kblam.evaluation.suite import value_kind
from kblam.synthesis.facts import make_facts, split_properties
from kblam.synthesis.properties import PROPERTIES
from kblam.synthesis.questions import Question, paraphrased_question, plain_question

NEW = {item.name for item in split_properties(held_out=True)}
"""Properties that no training saw."""


def questions_about(base: KnowledgeBase, count: int, seed: int) -> dict[str, list[Question]]:
    """The same facts, asked plainly and in other words."""
    draw = random.Random(seed)
    facts = draw.sample(base.triples, count)
    return {
        "plain": [plain_question(fact, draw) for fact in facts],
        "paraphrased": [paraphrased_question(fact, draw) for fact in facts],
    }


def measure(model: KBLaM, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """One knowledge base's numbers."""
    properties = split_properties(held_out=True) if options.held_out else PROPERTIES
    facts = make_facts(size, options.seed, properties=properties, other_scripts=0.0)
    base = KnowledgeBase.from_triples(facts, progress=True)
    model.attach(base)
    table: dict[str, Any] = {"held-out properties": round(np.mean([fact.property in NEW for fact in facts]).item(), 3)}
    for kind, questions in questions_about(base, options.questions, options.seed).items():
        texts = [question.text for question in questions]
        right = [base.get(*question.facts[0]) for question in questions]
        looked = [model.look(texts[at : at + 16]) for at in range(0, len(texts), 16)]
        first = [row for rows in looked for row in rows]
        dense = (base.encoder.encode(texts) @ np.asarray(base.keys, dtype=np.float32).T).argmax(1)
        table[kind] = {
            "attention top-1": str(
                Share(sum(base.triples[row] == fact for row, fact in zip(first, right, strict=True)), len(texts))
            ),
            "dense top-1": str(
                Share(sum(base.triples[row] == fact for row, fact in zip(dense, right, strict=True)), len(texts))
            ),
        }
        if size <= options.tokens_up_to:
            said = [
                answer
                for at in range(0, len(texts), 16)
                for answer in model.ask(texts[at : at + 16], grounding="tokens")
            ]
            table[kind]["tokens-only value exact"] = {
                name: str(Share(sum(fact.value in answer.text for answer, fact in pairs), len(pairs)))
                for name, pairs in _by_length(list(zip(said, right, strict=True))).items()
            }
    return table


def _by_length(pairs: list[Any]) -> dict[str, list[Any]]:
    kinds = ("with digits", "short words", "long words")
    return {"all": pairs} | {kind: [pair for pair in pairs if value_kind(pair[1].value) == kind] for kind in kinds}


def main() -> None:
    """All sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument(
        "--tokens-up-to", type=int, default=1000, help="largest knowledge base answered from vectors alone"
    )
    parser.add_argument("--held-out", action="store_true", help="only properties that no training saw")
    parser.add_argument("--seed", type=int, default=91)
    parser.add_argument("--output", type=Path, help="write the numbers here as JSON")
    options = parser.parse_args()
    model = KBLaM.from_pretrained(options.model)
    tables = {size: measure(model, size, options) for size in options.sizes}
    print(json.dumps(tables, indent=2))
    if options.output:
        options.output.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
