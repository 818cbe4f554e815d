"""What the three examples share: open a file of facts, ask, print, count what was right, and draw what was looked at."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from kblam import KBLaM, KnowledgeBase
from kblam.errors import InputError
from kblam.experiments.plots import draw_picture
from kblam.experiments.sections import Picture

HERE = Path(__file__).resolve().parent
Case = tuple[str, tuple[str, ...]]
"""A question and the values that its answer must hold; none: it must be refused."""
LEAST = 0.05
"""Share of attention from which on a fact has a column in the picture."""


@cache
def default_model() -> KBLaM:
    """The model that ships."""
    return KBLaM.from_pretrained("default")


def run(name: str, cases: Sequence[Case], model: KBLaM | None = None) -> list[bool]:
    """Ask about the facts in NAME.jsonl beside this file and print each answer with its facts; which were right."""
    model = model or default_model()
    knowledge = KnowledgeBase.from_file(HERE / f"{name}.jsonl")
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


def picture(name: str, cases: Sequence[Case], model: KBLaM | None = None) -> Path | None:
    """Draw which facts each question's attention went to, as NAME.png beside this file; a notebook shows it too.

    Without matplotlib it says so and draws nothing.
    """
    model = model or default_model()
    questions = [question for question, _ in cases]
    with model.attach(KnowledgeBase.from_file(HERE / f"{name}.jsonl")):
        answers = model.ask(questions)
    shares = [
        {f"{item.triple.entity} · {item.triple.property}": item.weight for item in answer.citations}
        for answer in answers
    ]
    facts = list(dict.fromkeys(fact for row in shares for fact, share in row.items() if share > LEAST))
    rows = [[*(row.get(fact, 0.0) for fact in facts), 1 - min(1.0, sum(row.values()))] for row in shares]
    asked = tuple(textwrap.fill(question, 60) for question in questions)
    drawn = Picture(
        name,
        "What each answer rests on",
        {"": rows},
        asked,
        (*facts, "no fact answers"),
        "",
        "share of attention",
    )
    try:
        path = draw_picture(drawn, HERE)
    except InputError as error:
        print(error)
        return None
    shell = sys.modules.get("IPython")
    if shell is not None and shell.get_ipython() is not None:
        shell.display.display(shell.display.Image(str(path)))
    else:
        print(f"-> {path}")
    return path
