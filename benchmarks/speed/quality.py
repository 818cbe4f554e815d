"""What choosing rows costs in answers: `python benchmarks/speed/quality.py [--facts 10000] [--questions 200]`.

The model that ships answers the same questions on synthetic facts that it never saw, in both groundings: attending to
all rows (exact), to the best 100 (retrieve once), and to the best 100 of an 8-bit scan. Printed: the share of answers
that hold the exact value with its 95% interval, and how many answers are word for word those of the exact form.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from typing import Any

import torch
from rich.progress import track

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.evaluation.intervals import Share
from kblam.synthesis.facts import make_facts, split_properties

FORMS: dict[str, dict[str, Any]] = {
    "exact": {"scan": "exact", "all": True},
    "retrieve once": {"scan": "exact"},
    "retrieve once, int8": {"scan": "int8"},
}


def said(base: KnowledgeBase, questions: list[str], grounding: Any, scan: Any, all: bool = False) -> list[str]:
    """The answers of one form."""
    model = KBLaM.from_pretrained("default").attach(base, scan=scan)
    if all:
        assert model.adapter is not None
        model.adapter.config = replace(model.adapter.config, top_k=len(base))
    return [model.ask(question, grounding=grounding).text for question in track(questions, f"{grounding}, {scan}")]


def main() -> None:
    """A table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts: list[Triple] = make_facts(options.facts, 17, split_properties(held_out=True), other_scripts=0.0)
    base = KnowledgeBase.from_triples(facts, progress=True)
    asked = random.Random(5).sample(facts, options.questions)
    questions = [f"What is {fact.key_text}?" for fact in asked]
    rows: list[dict[str, Any]] = []
    print(f"{'grounding':<10}{'form':<22}{'exact value':>24}{'same words':>12}")
    for grounding in ("quote", "tokens"):
        wanted: list[str] = []
        for form, how in FORMS.items():
            texts = said(base, questions, grounding, **how)
            wanted = wanted or texts
            right = Share.of([fact.value in text for fact, text in zip(asked, texts, strict=True)])
            same = sum(one == other for one, other in zip(texts, wanted, strict=True))
            rows.append({"grounding": grounding, "form": form, "right": right.right, "same words": same})
            print(f"{grounding:<10}{form:<22}{right!s:>24}{same:>12}", flush=True)
    print(json.dumps({"facts": len(base), "questions": len(asked), "rows": rows}))


if __name__ == "__main__":
    main()
