"""Lessons for reading whole facts: which thing is meant, which of its facts answers, and whether any does.

Questions about synthetic facts call things by parts of their names, in lower case, misspelt; those of worlds (`worlds.py`) as
people do.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kblam.answering.gloss import in_english
from kblam.answering.statements import fact_text, statement_of
from kblam.knowledge import Triple
from kblam.synthesis.asking import language_of
from kblam.synthesis.facts import KINDS_OF_THING, make_name
from kblam.synthesis.questions import ask_about, is_cjk
from kblam.synthesis.values import person, pseudo_word
from kblam.synthesis.words import ADJECTIVES, CHINESE, JAPANESE, NOUNS
from kblam.training.pair_lessons import Lesson, Nameless, NamelessLessons
from kblam.training.worlds import Asked, World

__all__ = ["NamedLessons", "WorldLessons"]


@dataclass(frozen=True)
class WorldLessons:
    """Questions about small worlds beside the facts that they resemble most."""

    worlds: Sequence[World]
    """More than one thing is known in them."""
    statements: int = 6
    without_fact: float = 0.1
    """Share of questions whose own fact is not among the statements."""
    without_thing: float = 0.28
    """Share of them beside which there is nothing about the thing that they are about."""

    def __call__(self, draw: random.Random) -> Lesson:
        """A question of some world."""
        (world,) = draw.choices(self.worlds, [len(world.questions) for world in self.worlds])
        asked, chance = draw.choice(world.questions), draw.random()
        there = asked.row is not None and chance >= self.without_fact + self.without_thing
        rows = self._beside(asked, world, there, chance < self.without_thing, draw)
        facts = [world.facts[row] for row in rows]
        while len(facts) < self.statements:
            stranger = draw.choice(draw.choice(self.worlds).facts)
            facts += [stranger] if stranger.entity != asked.thing else []
        return Lesson(in_english(asked.text), tuple(in_english(fact_text(fact)) for fact in facts), there)

    def _beside(self, asked: Asked, world: World, there: bool, alone: bool, draw: random.Random) -> list[int]:
        """Rows that may be taken for the answer, the answer itself first if it is there; alone: none about the thing."""
        own = world.about(asked.thing)
        siblings = [row for row in own if row != asked.row]
        alike = (*asked.alike, *draw.sample(range(len(world.facts)), min(len(world.facts), 20)))
        others = [row for row in alike if row != asked.row]
        if there:
            assert asked.row is not None
            rows = [asked.row, *draw.sample(siblings, min(2, len(siblings))), *others]
        elif asked.row is not None and alone:
            rows = [row for row in others if row not in own]
        else:
            rows = [*draw.sample(siblings, min(3, len(siblings))), *others]
        return list(dict.fromkeys(rows))[: self.statements]


@dataclass(frozen=True)
class NamedLessons:
    """Questions about synthetic facts, beside facts about things whose names differ in a word that the question says."""

    nameless: NamelessLessons
    """Which facts stand beside each other."""
    without_fact: float = 0.32
    without_thing: float = 0.18
    paraphrased: float = 0.88
    siblings: float = 0.6
    """Share of the questions with an answer that stand beside more facts about the same thing."""

    def __call__(self, draw: random.Random) -> Lesson:
        """A fact of some thing, called in some way."""
        own, *others = self.nameless.beside_each_other(draw)
        said = called(own.entity, draw)
        asked = ask_about(own, draw, paraphrase=self.paraphrased, typo=0.0).text
        siblings = [Triple(own.entity, other.property, other.value) for other in others]
        strangers = [other_name(own.entity, said, draw) for _ in range(3)]
        same = [
            Triple(name, own.property, other.value if draw.random() < 0.4 else own.value)
            for name, other in zip(strangers, others, strict=False)
        ]
        theirs = [Triple(draw.choice(strangers), other.property, other.value) for other in others[3:]]
        chance = draw.random()
        if chance < self.without_fact:
            facts = [*siblings[:5], *theirs]
        elif chance < self.without_fact + self.without_thing:
            facts = [*same[:2], *(Triple(make_name(draw), own.property, own.value) for _ in range(2)), *theirs]
        else:
            more = int(draw.random() < self.siblings)
            facts = [own, *siblings[: 2 + more], *same[: 2 - more], *theirs]
        facts = facts[: self.nameless.statements]
        texts = tuple(in_english(fact_text(fact)) for fact in facts)
        question = in_english(asked.replace(own.entity, said))
        return Lesson(question, texts, facts[0] is own, _without_names(asked, own.entity, facts))


def _without_names(asked: str, entity: str, facts: Sequence[Triple]) -> Nameless | None:
    """A question about a thing beside what some facts say of it; None if they say nothing."""
    stated = tuple(in_english(statement_of(fact)) if fact.entity == entity else None for fact in facts)
    return Nameless(in_english(asked.replace(entity, "it")), stated) if any(stated) else None


def called(name: str, draw: random.Random) -> str:
    """A name as somebody in a hurry writes it: in full, in lower case, with a slip, without one of its words."""
    words, chance = name.split(), draw.random()
    if chance < 0.45:
        return name
    if chance < 0.6:
        return name.lower()
    if chance < 0.68 and len(name) > 5:
        at = draw.randrange(1, len(name) - 1)
        return name[:at] + (name[at + 1] + name[at] if draw.random() < 0.5 else name[at + 1]) + name[at + 2 :]
    if chance < 0.8 and "-" in name:
        return name.replace("-", " " if draw.random() < 0.6 else "")
    if len(words) == 1:
        return name
    kept = [word for word in words if word not in KINDS_OF_THING or draw.random() < 0.2]
    if len(kept) == len(words):
        kept.pop(draw.randrange(len(kept)))
    said = " ".join(kept) or name
    return said if draw.random() < 0.6 else said.lower()


def other_name(name: str, said: str, draw: random.Random) -> str:
    """The name of another thing, which differs in a word that was said, or lacks it."""
    while (other := _other_unspaced(name, draw) if is_cjk(name) else _other_spaced(name, said, draw)) == name:
        pass
    return other


def _other_spaced(name: str, said: str, draw: random.Random) -> str:
    words = name.split()
    places = [at for at, word in enumerate(words) if word.lower() in said.lower()] or list(range(len(words)))
    at = draw.choice(places)
    word = words[at]
    if any(map(str.isdigit, word)):
        changed = re.sub(r"\d+", lambda number: _other_number(number[0], draw), word)
    elif len(words) == 1:
        return (
            make_name(draw) if draw.random() < 0.6 else word[: max(1, len(word) // 2)] + pseudo_word(draw).lower()[:4]
        )
    elif draw.random() < 0.3 and said == name:
        return " ".join(words[:at] + words[at + 1 :])
    else:
        changed = _other_word(word, draw)
    return " ".join([*words[:at], changed, *words[at + 1 :]])


def _other_unspaced(name: str, draw: random.Random) -> str:
    """A part of a Chinese or Japanese name, or another one."""
    if len(name) > 3 and draw.random() < 0.6:
        at = draw.randrange(2, len(name) - 1)
        return name[:at] if draw.random() < 0.5 else name[at:]
    return "".join(draw.choices(JAPANESE if language_of(name) == "Japanese" else CHINESE, k=draw.randint(1, 3)))


def _other_number(number: str, draw: random.Random) -> str:
    return str(draw.randint(2, 9900) if draw.random() < 0.4 else int(number) + draw.choice((-1, 1, 2, 10)))


def _other_word(word: str, draw: random.Random) -> str:
    """Another of the same kind."""
    if word in KINDS_OF_THING:
        return draw.choice([kind for kind in KINDS_OF_THING if kind != word])
    for known in (ADJECTIVES, NOUNS):
        if word.lower() in known:
            return draw.choice(known).capitalize()
    return pseudo_word(draw) if draw.random() < 0.6 else person(draw).split()[0]
