"""What the three examples share: open a file of facts, ask, print, and count what was right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kblam import KBLaM, KnowledgeBase

Case = tuple[str, tuple[str, ...]]
"""A question and the values that its answer must hold; none: it must be refused."""


def run(name: str, cases: Sequence[Case], model: KBLaM | None = None) -> list[bool]:
    """Ask about the facts in NAME.jsonl beside this file and print each answer with its facts; which were right."""
    model = model or KBLaM.from_pretrained("default")
    knowledge = KnowledgeBase.from_file(Path(__file__).with_name(f"{name}.jsonl"))
    marks = []
    with model.attach(knowledge):
        answers = model.ask([question for question, _ in cases])
    for (question, values), answer in zip(cases, answers, strict=True):
        right = answer.refused if not values else all(value in answer.text for value in values)
        marks.append(right and (not values or not answer.refused))
        print(f"{'✓' if marks[-1] else '✗'} {question}\n  {answer.text}".replace("\n", "\n  "))
        for citation in answer.citations[: max(1, len(values))]:
            fact = citation.triple
            print(f"    {citation.weight:4.0%}  {fact.entity} · {fact.property}: {fact.value}")
    print(f"\n{sum(marks)} of {len(marks)} as they should be, from {len(knowledge)} facts")
    return marks
