"""Lessons for a cross-encoder: a question beside a few statements of which one answers it, or none."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kblam.answering.gloss import in_english
from kblam.answering.statements import statement
from kblam.knowledge import Encoder, Triple
from kblam.synthesis.questions import ask_about
from kblam.training.questions import Practice
from kblam.training.themes import Themes, by_theme

__all__ = ["Draw", "Lesson", "Nameless", "NamelessLessons", "alike_properties"]

MOST_ALIKE = 6
"""Properties of a kind of thing that count as those which read most like another."""


class Nameless(NamedTuple):
    """A lesson without the names of things, as a teacher reads it that knows nothing of names."""

    question: str
    statements: tuple[str | None, ...]
    """None for what is said of another thing than the question is about, and so is no answer."""


class Lesson(NamedTuple):
    """What is learnt from one question."""

    question: str
    statements: tuple[str, ...]
    """The one that answers first, if there is one."""
    there: bool
    nameless: Nameless | None = None
    """None where a teacher has nothing to say."""


Draw = Callable[[random.Random], Lesson]
"""Draws a lesson; all of one such function have the same number of statements."""


@dataclass(frozen=True)
class NamelessLessons:
    """Questions without names beside what facts about things of a kind say without theirs."""

    practice: Practice
    themes: Themes
    weights: tuple[int, ...]
    """How often each is drawn."""
    statements: int = 6
    withheld: float = 0.35
    """Share of questions whose own statement is not among them."""
    strange: float = 0.12
    """Share of the other statements that are about another kind of thing."""
    paraphrased: float = 0.92
    unvalued: float = 0.12
    """Share of statements that only name the property."""
    english: bool = False
    """Put questions and statements into English first, as the adapter will (`english_encoder`)."""
    alike: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of each property those of its kind of thing that read most like it."""
    closest: float = 0.6
    """Share of the lessons in which these, if they are known, are the first of the others."""

    @classmethod
    def about(
        cls, practice: Practice, english: bool = False, statements: int = 6, encoder: Encoder | None = None
    ) -> NamelessLessons:
        """Lessons about these facts; encoder: what tells which properties read alike, or none does."""
        themes = by_theme(practice)
        alike = {} if encoder is None else alike_properties(practice, themes, encoder)
        return cls(practice, themes, tuple(map(len, themes)), statements, english=english, alike=alike)

    def __call__(self, draw: random.Random) -> Lesson:
        """A fact about a thing of some kind, and others with other properties."""
        own, *others = self.beside_each_other(draw)
        question = ask_about(own, draw, paraphrase=self.paraphrased, typo=0.0).text.replace(own.entity, "it")
        there = draw.random() >= self.withheld
        facts = [own, *others[:-1]] if there else others
        stated = [statement(fact.property, "" if draw.random() < self.unvalued else fact.value) for fact in facts]
        if self.english:
            question, stated = in_english(question), [in_english(text) for text in stated]
        return Lesson(question, tuple(stated), there, Nameless(question, tuple(stated)))

    def beside_each_other(self, draw: random.Random) -> list[Triple]:
        """A fact, and as many with other properties as there are statements: of the same kind of thing, while there are
        enough."""
        facts = self.practice.facts
        (theme,) = draw.choices(self.themes, self.weights)
        own = facts[draw.choice(draw.choice(theme))]
        found = {own.property: own}
        siblings = [facts[row] for group in draw.sample(theme, min(len(theme), 40)) for row in group]
        draw.shuffle(siblings)
        if self.alike and draw.random() < self.closest:
            alike = self.alike.get(own.property, ())
            siblings.sort(key=lambda sibling: sibling.property not in alike)
        for sibling in siblings:
            if len(found) == self.statements + 1:
                break
            if draw.random() >= self.strange:
                found.setdefault(sibling.property, sibling)
        while len(found) < self.statements + 1:
            stranger = facts[draw.choice(draw.choice(draw.choice(self.themes)))]
            found.setdefault(stranger.property, stranger)
        return list(found.values())


def alike_properties(practice: Practice, themes: Themes, encoder: Encoder) -> dict[str, frozenset[str]]:
    """Of each property those of its kind of thing that read most like it."""
    found: dict[str, frozenset[str]] = {}
    for theme in themes:
        names = list(dict.fromkeys(practice.facts[row].property for group in theme for row in group))
        vectors = encoder.encode([statement(name, "") for name in names])
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        nearest = (vectors @ vectors.T).argsort(axis=1)[:, ::-1][:, : MOST_ALIKE + 1]
        for name, best in zip(names, nearest.tolist(), strict=True):
            found[name] = frozenset(names[other] for other in best) - {name}
    return found
