"""Ask a model about small knowledge bases as people keep them: `python benchmarks/everyday/measure.py [--model default]`, or about
glossaries: `--folder benchmarks/descriptions`; or the other way round and in steps: `--folder benchmarks/relations`.

Beside it BM25 and the dense retriever of the same encoder, whose best row counts as their answer, copied perfectly; where
nothing should be answered they have the threshold that is best on these very questions.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kblam import Answer, KBLaM, KnowledgeBase
from kblam.evaluation.intervals import Share, balanced, best_balanced
from kblam.evaluation.rivals import rivals
from kblam.evaluation.suite import holds

HERE = Path(__file__).parent
FOREIGN = ("_zh", "_ja")
"""How the names of those in Chinese and Japanese end."""
RELATIONS = "relations"
"""The folder whose questions ask for things, but those of these kinds, which ask for what they have."""
FORWARD = ("forward", "two steps")
AT_ONCE = 16


@dataclass(frozen=True)
class Case:
    """One question and what came of it."""

    base: str
    kind: str
    there: bool
    """Whether a fact answers it."""
    answer: Answer
    right: bool
    """The value of the fact, word for word; of questions for things the names of those and of no others; or a refusal where nothing
    answers."""
    cited: bool
    rivals: dict[str, tuple[bool, float]]
    """For each rival whether its best row is the right one, and that row's score."""


def cases(model: KBLaM, folder: Path, name: str) -> list[Case]:
    """All questions about one of the knowledge bases."""
    base = KnowledgeBase.from_file(folder / f"{name}.jsonl")
    lines = (folder / f"{name}_questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    texts = [question["question"] for question in questions]
    model.attach(base)
    answers: list[Answer] = []
    for start in range(0, len(texts), AT_ONCE):
        answers += model.ask(texts[start : start + AT_ONCE])
    found, inverse = rivals(base, texts, 1), folder.name == RELATIONS
    outcome = []
    for index, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        identities = question["facts"] if inverse else question["facts"][:1]
        facts = [fact for identity in identities if (fact := base.get(*identity))]
        cited = bool(facts and answer.citations and answer.citations[0].triple in facts)
        if inverse and facts and question["kind"] not in FORWARD:
            right = not answer.refused and names_in(answer.text, base) == {fact.entity for fact in facts}
        else:
            right = answer.refused == (not facts) and all(holds(answer.text, fact.value) for fact in facts[:1])
        others = {
            rival: (base.triples[best.rows[index, 0]] in facts, float(best.scores[index]))
            for rival, best in found.items()
        }
        outcome.append(Case(name, question["kind"], bool(facts), answer, right, cited, others))
    return outcome


def names_in(text: str, base: KnowledgeBase) -> set[str]:
    """The things whose names a text holds, but for names within longer ones."""
    held = {fact.entity for fact in base if fact.entity in text}
    return {name for name in held if not any(name in other for other in held - {name})}


def table(asked: list[Case]) -> dict[str, Any]:
    """The numbers of some questions."""
    numbers: dict[str, Any] = {}
    for kind in dict.fromkeys(case.kind for case in asked):
        mine = [case for case in asked if case.kind == kind]
        numbers[kind] = {"questions": len(mine), "right": str(Share.of([case.right for case in mine]))}
        if mine[0].there:
            numbers[kind]["fact cited"] = str(Share.of([case.cited for case in mine]))
            for rival in mine[0].rivals:
                numbers[kind][rival] = str(Share.of([case.rivals[rival][0] for case in mine]))
    accepted = [not case.answer.refused for case in asked if case.there]
    refused = [case.right for case in asked if not case.there]
    numbers["refusal"] = {"balanced accuracy": str(balanced(accepted, refused))}
    truth = np.array([case.there for case in asked])
    for rival in asked[0].rivals:
        scores = np.array([case.rivals[rival][1] for case in asked])
        numbers["refusal"][f"{rival} at its best threshold"] = f"{best_balanced(scores, truth):.3f}"
    return numbers


def main() -> None:
    """All knowledge bases together, and what went wrong if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--wrong", action="store_true", help="print the questions that went wrong")
    parser.add_argument("--output", type=Path, help="write the numbers here as JSON")
    parser.add_argument("--folder", type=Path, default=HERE, help="where the knowledge bases are")
    parser.add_argument(
        "--names", nargs="+", help="of these, not of all that are there (of the everyday ones, all English ones)"
    )
    options = parser.parse_args()
    known = sorted(path.stem.removesuffix("_questions") for path in options.folder.glob("*_questions.jsonl"))
    chosen = options.names or [name for name in known if options.folder != HERE or not name.endswith(FOREIGN)]
    if unknown := sorted(set(chosen) - set(known)):
        parser.error(f"{options.folder} has no {', '.join(unknown)}, but {', '.join(known) or 'nothing'}")
    model = KBLaM.from_pretrained(options.model)
    asked = [case for name in chosen for case in cases(model, options.folder, name)]
    for case in asked:
        if options.wrong and not case.right:
            print(f"{case.base}, {case.kind}: {case.answer.question} -> {case.answer.text}")
    numbers = {"model": options.model, "knowledge bases": chosen, **table(asked)}
    print(json.dumps(numbers, indent=2))
    if options.output:
        options.output.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
