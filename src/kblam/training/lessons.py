"""Lessons: a dataset with its embeddings, and what each step of training takes from it.

Shapes: M facts, n questions, D embedding width. Embeddings are kept in half precision.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from kblam.answering.prompts import REFUSAL
from kblam.errors import KnowledgeError
from kblam.knowledge import Triple
from kblam.synthesis.dataset import Entry
from kblam.synthesis.questions import Question
from kblam.training.losses import Exercise
from kblam.training.questions import Practice

__all__ = ["Lessons", "Mixture", "Picked", "lay_out"]

MINED = 20_000
"""Rows among which near-duplicates of a step's facts are looked for."""
SINGLE = ("plain", "paraphrased", "misspelt")
"""Kinds about one fact, by its own name."""


@dataclass(frozen=True)
class Mixture:
    """What a step asks, and how many facts stand around."""

    kinds: dict[str, float] = field(
        default_factory=lambda: {"plain": 0.2, "paraphrased": 0.5, "misspelt": 0.08, "two": 0.1, "three": 0.04, "open": 0.08}
    )  # fmt: skip
    """Weights of the kinds that can be answered; those that the dataset lacks are left out."""
    unanswerable: float = 0.1
    """Share of questions without an answer: half of them the dataset's own, half with their facts hidden."""
    first_rows: int = 256
    rows: int = 2048
    """Facts in the knowledge base of a step, shared by its questions: they grow from the one to the other."""
    growing: float = 0.7
    """Share of the steps during which they grow."""
    negatives: int = 8
    """Near-duplicates of each fact asked for, by their keys, that stand among the rows."""

    def rows_at(self, progress: float) -> int:
        """Rows at a progress between 0 and 1; each step multiplies by the same."""
        return round(self.first_rows * math.pow(self.rows / self.first_rows, min(1.0, progress / self.growing)))


@dataclass(frozen=True, eq=False)
class Picked:
    """A step's knowledge base and questions, before they are made into exercises."""

    rows: Tensor
    """(m,): row numbers, ascending."""
    questions: list[int]
    hidden: list[bool]
    """Which questions have their facts hidden."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Facts and any number of questions about them, embedded."""

    facts: tuple[Triple, ...]
    keys: Tensor
    """(M, D)."""
    values: Tensor
    """(M, D)."""
    questions: tuple[Question, ...]
    asked: Tensor | None
    """(n, D); None before questions are embedded, and where nothing can embed one."""
    needed: tuple[tuple[int, ...], ...]
    """Rows that each question needs."""
    home: tuple[int, ...]
    """The row on whose line each question stands."""

    def pick(self, mixture: Mixture, count: int, progress: float, seed: str) -> Picked:
        """`count` questions and the rows around them, by the seed alone."""
        draw = random.Random(seed)
        questions, hidden = self._questions(mixture, count, draw)
        return Picked(self._rows(questions, mixture, mixture.rows_at(progress), draw), questions, hidden)

    def asked_by(self, mixture: Mixture, count: int, seeds: Iterable[str]) -> list[int]:
        """The questions that `pick` takes with any of these seeds, in order."""
        return sorted({index for seed in seeds for index in self._questions(mixture, count, random.Random(seed))[0]})

    def _questions(self, mixture: Mixture, count: int, draw: random.Random) -> tuple[list[int], list[bool]]:
        kinds = [kind for kind in mixture.kinds if kind in self.by_kind]
        missing = self.by_kind.get("unanswerable", [])
        weights = [mixture.kinds[kind] for kind in kinds]
        questions, hidden = [], []
        for _ in range(count):
            gone = draw.random() < mixture.unanswerable
            own = gone and bool(missing) and draw.random() < 0.5
            questions.append(draw.choice(missing if own else self.by_kind[draw.choices(kinds, weights)[0]]))
            hidden.append(gone and not own)
        return questions, hidden

    @cached_property
    def by_kind(self) -> dict[str, list[int]]:
        """The questions of each kind."""
        kinds: dict[str, list[int]] = {}
        for index, question in enumerate(self.questions):
            kinds.setdefault(question.kind, []).append(index)
        return kinds

    @cached_property
    def by_entity(self) -> dict[str, list[int]]:
        """The rows of each entity."""
        groups: dict[str, list[int]] = {}
        for row, fact in enumerate(self.facts):
            groups.setdefault(fact.entity, []).append(row)
        return groups

    def _rows(self, questions: Sequence[int], mixture: Mixture, count: int, draw: random.Random) -> Tensor:
        """Needed rows, their siblings, near-duplicates, and others up to `count`."""
        groups = list(self.by_entity.values())
        wanted = {row for index in questions for row in (*self.needed[index], self.home[index])}
        rows = {row for wish in wanted for row in self.by_entity[self.facts[wish].entity]}
        rows.update(self._near(sorted(wanted), mixture.negatives, draw))
        while len(rows) < min(count, len(self.facts)):
            rows.update(draw.choice(groups))
        return torch.tensor(sorted(rows))

    def _near(self, rows: Sequence[int], count: int, draw: random.Random) -> list[int]:
        if count == 0:
            return []
        pool = range(len(self.facts))
        among = torch.tensor(sorted(draw.sample(pool, min(MINED, len(self.facts)))))
        unit = nn.functional.normalize
        similar = unit(self.keys[list(rows)].float(), dim=-1) @ unit(self.keys[among].float(), dim=-1).T
        return [int(row) for row in among[similar.topk(min(count + 1, len(among))).indices.flatten()]]

    def practice(self, embed: Callable[[Sequence[str]], Tensor] | None = None) -> Practice:
        """One question about each fact that has one, paraphrased where it can be, for the question prior.

        Plain questions teach it nothing: they repeat the key. embed: turns texts into (n, D); without it they stay text.
        """
        chosen: dict[int, int] = {}
        for index, question in enumerate(self.questions):
            if question.kind in SINGLE and len(self.needed[index]) == 1:
                row = self.needed[index][0]
                if question.kind == "paraphrased" or row not in chosen:
                    chosen[row] = index
        rows, asked = list(chosen), [self.questions[index] for index in chosen.values()]
        keys, values = self.keys[rows].float(), self.values[rows].float()
        vectors = keys.new_empty(0) if embed is None else embed([question.text for question in asked]).float()
        return Practice(tuple(self.facts[row] for row in rows), tuple(asked), keys, values, vectors)

    def exercise(self, picked: Picked, part: Sequence[int], device: torch.device) -> Exercise:
        """The questions at the places `part` of what was picked, with all its rows."""
        place = {int(row): at for at, row in enumerate(picked.rows.tolist())}
        indices = [picked.questions[at] for at in part]
        hidden = torch.zeros(len(part), len(place))
        target = torch.zeros(len(part), len(place) + 1)
        answers, shown = [], []
        for at, (index, gone) in enumerate(zip(indices, (picked.hidden[at] for at in part), strict=True)):
            needed = [place[row] for row in self.needed[index]]
            if gone:
                hidden[at, needed] = -torch.inf
            refused = gone or not needed
            target[at, [-1] if refused else needed] = 1.0 if refused else 1.0 / len(needed)
            answers.append(REFUSAL if refused else self.questions[index].answer)
            shown.append([] if refused else [self.facts[row] for row in self.needed[index]])
        asked = None if self.asked is None else self.asked[indices].float().to(device)
        return Exercise(
            [self.questions[index].text for index in indices], answers, shown, self.keys[picked.rows].float().to(device),
            self.values[picked.rows].float().to(device), asked, hidden.to(device), target.to(device),
            [self.facts[row].value for row in picked.rows.tolist()],
        )  # fmt: skip


def lay_out(entries: Sequence[Entry], keys: Tensor, values: Tensor) -> Lessons:
    """Join a dataset with the embeddings of its facts.

    Raises KnowledgeError when a question needs a fact that is not there.
    """
    facts = tuple(entry.fact for entry in entries)
    questions = tuple(question for entry in entries for question in entry.questions)
    place = {fact.identity: row for row, fact in enumerate(facts)}
    lost = next((item for item in questions if not place.keys() >= set(item.facts)), None)
    if lost is not None:
        raise KnowledgeError(f"the question {lost.text!r} needs a fact that the dataset lacks: correct its `facts`")
    needed = tuple(tuple(place[identity] for identity in question.facts) for question in questions)
    home = tuple(row for row, entry in enumerate(entries) for _ in entry.questions)
    return Lessons(facts, keys, values, questions, None, needed, home)
