"""Lessons for questions in steps: what another thing has, which is only meant by what the one named has.

`Where does the lead of Project Kestrel sit?` is made of somebody's question where Tom Baker sits, and of a fact that he leads
something. Beside them are plain questions, next to the same paths, so that these are not taken for what is asked in one step.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from kblam.answering.gloss import in_english
from kblam.answering.statements import fact_text, path
from kblam.knowledge import Triple
from kblam.naming.asking import is_description
from kblam.synthesis.asking import language_of
from kblam.training.pair_lessons import Lesson
from kblam.training.worlds import Asked, World

__all__ = ["PathLessons", "asked_in_steps"]

RELATIONS = {
    "English": "owner lead manager author deputy supplier contact neighbour head founder location partner caretaker client teacher".split(),
    "Chinese": "负责人 作者 经理 导师 供应商 联系人 地点 客户 老师 管理员 所有者".split(),
    "Japanese": "責任者 著者 担当者 上司 仕入れ先 連絡先 場所 顧客 先生 管理者 持ち主".split(),
}  # fmt: skip
FORMS = {
    "English": ("the {p} of {e}", "{e}'s {p}", "the {e} {p}", "the {p} for {e}", "whoever is {p} of {e}"),
    "Chinese": ("{e}的{p}", "{e}{p}", "{e}的那位{p}"),
    "Japanese": ("{e}の{p}",),
}
HAVING = {
    "English": (
        "the one with the {p} {v}",
        "the one whose {p} is {v}",
        "the one that has {v} as {p}",
        "what has the {p} {v}",
    ),
    "Chinese": ("{p}是{v}的那个", "{p}为{v}的"),
    "Japanese": ("{p}が{v}のもの", "{p}が{v}の方"),
}
LONGEST = 40
"""Characters of a value that is said in place of a name."""


@dataclass(frozen=True)
class PathLessons:
    """Questions about worlds whose things are meant by others."""

    worlds: Sequence[World]
    statements: int = 4
    plain: float = 0.4
    """Share of questions in one step."""
    without: float = 0.35
    """Share of those in steps whose answer is not among the statements."""
    sideways: float = 0.35
    """Share of those in steps in which the thing is meant by what it has, not by what has it."""

    def __call__(self, draw: random.Random) -> Lesson:
        """A question of some world."""
        if draw.random() < self.plain:
            return self._in_one(*draw.choice(self._plain), draw)
        return self._in_steps(*draw.choice(self._named), draw)

    @cached_property
    def _plain(self) -> list[tuple[World, Asked]]:
        return [(world, asked) for world in self.worlds for asked in world.questions if asked.thing]

    @cached_property
    def _named(self) -> list[tuple[World, Asked]]:
        return [
            (world, asked)
            for world, asked in self._plain
            if asked.row is not None and (asked.thing or "") in asked.text
        ]

    def _in_steps(self, world: World, asked: Asked, draw: random.Random) -> Lesson:
        """The question with another thing in place of the one that it names, and what this is to it."""
        assert asked.thing is not None and asked.row is not None
        own = world.facts[asked.row]
        beside = [row for row in world.about(own.entity) if row != asked.row and len(world.facts[row].value) < LONGEST]
        sideways = bool(beside) and draw.random() < self.sideways
        first = world.facts[draw.choice(beside)] if sideways else _relation(world, own.entity, draw)
        question = _without_name(asked.text, own.entity, _called(first, draw, sideways))
        siblings = [
            world.facts[row] for row in world.about(own.entity) if row != asked.row and world.facts[row] != first
        ]
        other = draw.choice(world.facts)
        elsewhere = [fact.entity for fact in world.facts if fact.entity != first.entity] or [other.entity]
        stranger = Triple(draw.choice(elsewhere), first.property, other.entity)
        of_first = [world.facts[row] for row in world.about(first.entity)]
        others = [
            fact_text(first),
            *(_path_text(first, fact) for fact in draw.sample(siblings, min(2, len(siblings)))),
            *(_path_text(stranger, Triple(other.entity, own.property, other.value)) for _ in range(draw.randint(0, 1))),
            *(fact_text(fact) for fact in draw.sample(of_first, min(3, len(of_first)))),
        ]
        there = draw.random() >= self.without
        return self._lesson(question, [_path_text(first, own)] if there else [], others, draw)

    def _in_one(self, world: World, asked: Asked, draw: random.Random) -> Lesson:
        """The question as it is, beside paths from the thing that it is about."""
        own = [world.facts[row] for row in world.about(asked.thing)]
        right = [] if asked.row is None else [world.facts[asked.row]]
        paths = []
        for first in [*right, *draw.sample(own, min(2, len(own)))]:
            second = draw.choice(own if draw.random() < 0.5 else world.facts)
            known = second.entity if second in own else first.value
            if len(first.value) < LONGEST and second != first:
                paths.append(_path_text(first, Triple(known, second.property, second.value)))
        siblings = [fact for fact in own if fact not in right]
        others = [*paths, *(fact_text(fact) for fact in draw.sample(siblings, min(2, len(siblings))))]
        return self._lesson(asked.text, [fact_text(fact) for fact in right], others, draw)

    def _lesson(self, question: str, right: list[str], others: list[str], draw: random.Random) -> Lesson:
        """right: what answers, if anything does."""
        while len(right) + len(others) < self.statements:
            more = fact_text(draw.choice(draw.choice(self.worlds).facts))
            others = others if more in right else [*others, more]
        first, *rest = others
        texts = [*right, first, *draw.sample(rest, len(rest))][: self.statements]
        return Lesson(in_english(question), tuple(map(in_english, texts)), bool(right))


def asked_in_steps(world: World, draw: random.Random) -> World:
    """The same facts with its questions about things that are values of other facts, which are said in place of the names; what no fact
    answers of them among these."""
    asked = []
    for each in world.questions:
        firsts = [fact for fact in world.facts if fact.value == each.thing and fact.entity != each.thing]
        if each.thing and firsts and each.thing in each.text:
            text = _without_name(each.text, each.thing, _called(draw.choice(firsts), draw))
            asked.append(replace(each, text=text, alike=()))
    return World(world.name, world.facts, asked, world.rows)


def _relation(world: World, thing: str, draw: random.Random) -> Triple:
    """A fact whose value is the thing: one that is known, or one made up."""
    known = [fact for fact in world.facts if fact.value == thing and fact.entity != thing]
    if known and draw.random() < 0.8:
        return draw.choice(known)
    other = draw.choice(world.facts)
    while other.entity == thing and len(world.rows) > 1:
        other = draw.choice(world.facts)
    made_up = draw.random() < 0.6 or is_description(other.property)
    name = draw.choice(RELATIONS[language_of(thing + other.property)]) if made_up else other.property
    return Triple(other.entity, name, thing)


def _without_name(question: str, name: str, words: str) -> str:
    """The question with words in place of a name, and of an article in front of it."""
    return re.sub(rf"(?:\b(?:the|a|an)\s+)?{re.escape(name)}", lambda _: words, question, flags=re.IGNORECASE)


def _called(first: Triple, draw: random.Random, sideways: bool = False) -> str:
    """What is said in place of the name of a thing: what it is to another one, or what it has."""
    if sideways:
        form = draw.choice(HAVING[language_of(first.property + first.value)])
        return form.format(p=first.property, v=first.value)
    return draw.choice(FORMS[language_of(first.property)]).format(p=first.property, e=first.entity)


def _path_text(first: Triple, second: Triple) -> str:
    """What two facts say together."""
    return fact_text(path(first, second))
