"""Ask a model the questions of this set: `python benchmarks/real_world/measure.py [--model default] [--questions 200]`.

Beside it, on the same questions: BM25 and the dense retriever of the same encoder, whose best row counts as their
answer (a row holds the exact
value, so they are given perfect copying). Neither refuses by itself; for them the threshold that is best on these
very questions is used.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from kblam import Answer, KBLaM, KnowledgeBase
from kblam.evaluation.intervals import Share, best_balanced
from kblam.evaluation.rivals import Found, rivals
from kblam.evaluation.suite import holds

HERE = Path(__file__).parent
KINDS = ("plain", "paraphrased", "two", "unanswerable")


def interval(right: int, count: int) -> str:
    """A share with its 95% interval."""
    return str(Share(right, count))


def load(suffix: str, count: int, seed: int) -> tuple[KnowledgeBase, list[dict[str, Any]]]:
    """The knowledge base and up to `count` questions of each kind."""
    base = KnowledgeBase.from_file(HERE / f"knowledge{suffix}.jsonl", progress=True)
    lines = (HERE / f"questions{suffix}.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    random.Random(seed).shuffle(questions)
    return base, [
        question for kind in KINDS for question in [item for item in questions if item["kind"] == kind][:count]
    ]


def _graded(
    kind: str,
    mine: list[int],
    base: KnowledgeBase,
    questions: list[dict[str, Any]],
    answers: list[Answer],
    found: dict[str, Found],
) -> dict[str, Any]:
    """The numbers of one kind of question."""

    def share(right: list[bool]) -> str:
        return interval(sum(right), len(right))

    if kind == "unanswerable":
        return {"count": len(mine), "refused": share([answers[index].refused for index in mine])}
    facts = [[base.get(*identity) for identity in questions[index]["facts"]] for index in mine]
    given = [answers[index] for index in mine]
    exact = [
        all(holds(answer.text, fact.value) for fact in needed if fact)
        for answer, needed in zip(given, facts, strict=True)
    ]
    cited = [
        {fact.identity for fact in needed if fact} <= {item.triple.identity for item in answer.citations[: len(needed)]}
        for answer, needed in zip(given, facts, strict=True)
    ]
    numbers: dict[str, Any] = {"count": len(mine), "value exact": share(exact), "fact cited": share(cited)}
    numbers["in the model's own words"] = share(
        [right and not answer.corrected for right, answer in zip(exact, given, strict=True)]
    )
    if kind != "two":
        for name, best in found.items():
            numbers[name] = share(
                [base.triples[best.rows[index, 0]] == needed[0] for index, needed in zip(mine, facts, strict=True)]
            )
    numbers["wrong"] = [
        (answer.question, answer.text) for answer, right in zip(given, exact, strict=True) if not right
    ][:25]
    return numbers


def measure(model: KBLaM, suffix: str, options: argparse.Namespace) -> dict[str, Any]:
    """All numbers of one language group, printed as they come."""
    base, questions = load(suffix, options.questions, options.seed)
    model.attach(base)
    began = time.perf_counter()
    answers: list[Answer] = []
    for start in range(0, len(questions), 16):
        answers += model.ask(
            [question["question"] for question in questions[start : start + 16]], grounding=options.grounding
        )
    seconds = time.perf_counter() - began
    found = rivals(base, [question["question"] for question in questions], 1)
    table: dict[str, Any] = {"facts": len(base), "seconds per question": round(seconds / len(questions), 3)}
    for kind in KINDS:
        mine = [index for index, question in enumerate(questions) if question["kind"] == kind]
        table[kind] = _graded(kind, mine, base, questions, answers, found)
    single = [index for index, question in enumerate(questions) if question["kind"] != "two"]
    truth = np.array([questions[index]["kind"] != "unanswerable" for index in single])
    refused = np.array([answers[index].refused for index in single])
    table["refusal balanced accuracy"] = round(float(((~refused[truth]).mean() + refused[~truth].mean()) / 2), 3)
    for name, best in found.items():
        at_best = best_balanced(best.scores[single], truth)
        table[f"refusal balanced accuracy, {name} at its best threshold"] = round(at_best, 3)
    return table


def main() -> None:
    """Both groups, and a JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--grounding", choices=("quote", "tokens"), default="quote")
    parser.add_argument("--questions", type=int, default=400, help="most questions of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the numbers here as JSON")
    options = parser.parse_args()
    model = KBLaM.from_pretrained(options.model)
    tables = {
        name: measure(model, suffix, options) for name, suffix in (("English", ""), ("Chinese and Japanese", "_cjk"))
    }
    shown = json.loads(json.dumps(tables))
    for table in shown.values():
        for kind in KINDS:
            table[kind].pop("wrong", None)
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    if options.output:
        options.output.write_text(json.dumps(tables, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
