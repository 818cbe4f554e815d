"""What choosing rows costs in answers: `python benchmarks/speed/quality.py [--facts 10000] [--questions 500]`.

The model that ships answers the same questions on synthetic facts that it never saw, half of them plain and half
paraphrased, in both groundings: attending to all rows (exact), to the best 100 (retrieve once), and to the best 100 of
an 8-bit scan or of an index. Printed: the share of answers that hold the exact value with its 95% interval, the
difference to the exact form in points with the 95% interval of a difference between pairs, and how many answers are
word for word those of the exact form.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from rich.progress import track

from kblam import KBLaM, KnowledgeBase
from kblam.evaluation.intervals import Share
from kblam.synthesis.facts import make_facts, split_properties
from kblam.synthesis.questions import paraphrased_question, plain_question

FORMS: dict[str, dict[str, Any]] = {
    "exact": {"scan": "exact", "all_rows": True},
    "retrieve once": {"scan": "exact"},
    "retrieve once, int8": {"scan": "int8"},
    "retrieve once, ann": {"scan": "ann"},
}
TOGETHER = 8


def said(base: KnowledgeBase, questions: list[str], grounding: Any, scan: Any, all_rows: bool = False) -> list[str]:
    """The answers of one form."""
    model = KBLaM.from_pretrained("default").attach(base, scan=scan)
    if all_rows:
        assert model.adapter is not None
        model.adapter.config = replace(model.adapter.config, top_k=len(base))
    starts = track(range(0, len(questions), TOGETHER), f"{grounding}, {scan}")
    return [
        answer.text
        for start in starts
        for answer in model.ask(questions[start : start + TOGETHER], grounding=grounding)
    ]


def difference(found: Sequence[bool], wanted: Sequence[bool]) -> dict[str, float]:
    """Points by which the found marks lie above the wanted ones, with the 95% interval of paired answers (Wald with
    half an answer added to either side, so that no difference at all has a width)."""
    count = len(found)
    better = sum(one and not other for one, other in zip(found, wanted, strict=True)) + 0.5
    worse = sum(other and not one for one, other in zip(found, wanted, strict=True)) + 0.5
    middle, variance = (better - worse) / count, (better + worse - (better - worse) ** 2 / count) / count**2
    low, high = (100 * (middle + sign * 1.96 * variance**0.5) for sign in (-1, 1))
    return {"points": round(100 * middle, 2), "low": round(low, 2), "high": round(high, 2)}


def main() -> None:
    """A table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = make_facts(options.facts, 17, split_properties(held_out=True), other_scripts=0.0)
    base = KnowledgeBase.from_triples(facts, progress=True)
    draw = random.Random(5)
    asked = draw.sample(facts, options.questions)
    forms = plain_question, paraphrased_question
    questions = [forms[number % 2](fact, draw).text for number, fact in enumerate(asked)]
    rows: list[dict[str, Any]] = []
    print(f"{'grounding':<10}{'form':<22}{'exact value':>24}{'points':>24}{'same words':>12}")
    for grounding in ("quote", "tokens"):
        first: tuple[list[str], list[bool]] | None = None
        for form, how in FORMS.items():
            texts = said(base, questions, grounding, **how)
            marks = [fact.value in text for fact, text in zip(asked, texts, strict=True)]
            first = first or (texts, marks)
            right, apart = Share.of(marks), difference(marks, first[1])
            same = sum(one == other for one, other in zip(texts, first[0], strict=True))
            rows.append({"grounding": grounding, "form": form, "right": right.right, **apart, "same words": same})
            points = "{points:+.2f} ({low:+.2f} to {high:+.2f})".format(**apart)
            print(f"{grounding:<10}{form:<22}{right!s:>24}{points:>24}{same:>12}", flush=True)
    print(json.dumps({"facts": len(base), "questions": len(asked), "rows": rows}))


if __name__ == "__main__":
    main()
