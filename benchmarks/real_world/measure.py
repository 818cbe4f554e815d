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
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from rank_bm25 import BM25Okapi

from kblam import Answer, KBLaM, KnowledgeBase

HERE = Path(__file__).parent
KINDS = ("plain", "paraphrased", "two", "unanswerable")


def interval(right: int, count: int) -> str:
    """A share with its 95% Wilson interval."""
    if count == 0:
        return "-"
    z, share = 1.96, right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * ((share * (1 - share) + z * z / (4 * count)) / count) ** 0.5 / (1 + z * z / count)
    return f"{share:.3f} ({middle - half:.3f}-{middle + half:.3f})"


def load(suffix: str, count: int, seed: int) -> tuple[KnowledgeBase, list[dict[str, Any]]]:
    """The knowledge base and up to `count` questions of each kind."""
    base = KnowledgeBase.from_file(HERE / f"knowledge{suffix}.jsonl", progress=True)
    lines = (HERE / f"questions{suffix}.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    random.Random(seed).shuffle(questions)
    return base, [
        question for kind in KINDS for question in [item for item in questions if item["kind"] == kind][:count]
    ]


def holds(text: str, value: str) -> bool:
    """True when the text contains the value, as whole words."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None or (len(value) > 3 and value in text)


def balanced(scores: np.ndarray[Any, Any], answerable: np.ndarray[Any, Any]) -> float:
    """Balanced accuracy at the threshold that suits these scores best."""
    thresholds = np.unique(scores)
    return max(float(((scores[answerable] > at).mean() + (scores[~answerable] <= at).mean()) / 2) for at in thresholds)


def rivals(
    base: KnowledgeBase, questions: list[dict[str, Any]]
) -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Best row and its score for each question, by retriever."""
    texts = [question["question"] for question in questions]
    dense = base.encoder.encode(texts) @ np.asarray(base.keys, dtype=np.float32).T
    words = [
        re.findall(r"\w", text) if re.search("[\u3040-\u9fff]", text) else re.findall(r"\w+", text.lower())
        for text in texts
    ]
    rows = [f"{triple.key_text} {triple.value}" for triple in base]
    split = [
        re.findall(r"\w", row) if re.search("[\u3040-\u9fff]", row) else re.findall(r"\w+", row.lower()) for row in rows
    ]
    index = BM25Okapi(split)
    bm25 = np.stack([index.get_scores(query) for query in words])
    return {name: (scores.argmax(1), scores.max(1)) for name, scores in (("dense", dense), ("BM25", bm25))}


def _graded(
    kind: str,
    mine: list[int],
    base: KnowledgeBase,
    questions: list[dict[str, Any]],
    answers: list[Answer],
    found: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]],
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
        for name, (rows, _) in found.items():
            numbers[name] = share(
                [base.triples[rows[index]] == needed[0] for index, needed in zip(mine, facts, strict=True)]
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
    found = rivals(base, questions)
    table: dict[str, Any] = {"facts": len(base), "seconds per question": round(seconds / len(questions), 3)}
    for kind in KINDS:
        mine = [index for index, question in enumerate(questions) if question["kind"] == kind]
        table[kind] = _graded(kind, mine, base, questions, answers, found)
    single = [index for index, question in enumerate(questions) if question["kind"] != "two"]
    truth = np.array([questions[index]["kind"] != "unanswerable" for index in single])
    refused = np.array([answers[index].refused for index in single])
    table["refusal balanced accuracy"] = round(float(((~refused[truth]).mean() + refused[~truth].mean()) / 2), 3)
    for name, (_, scores) in found.items():
        table[f"refusal balanced accuracy, {name} at its best threshold"] = round(balanced(scores[single], truth), 3)
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
