"""Worlds: small knowledge bases with the questions that people ask about them, as text that is easy to write and to read.

    == World: a brewery with a taproom
    @ Old Copper Kettle
    capacity = 2,400 litres
    ? how much goes into the copper kettle at once
    - Who built the copper kettle?
    ! What is in the Blue Copper Kettle?

A thing, its facts, behind each fact what it answers (?); what nobody knows of the thing (-), and what is asked of things that
are not there (!).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kblam.errors import InputError
from kblam.knowledge import Triple
from kblam.synthesis.questions import is_cjk

__all__ = ["Asked", "World", "read_worlds"]


@dataclass(frozen=True)
class Asked:
    """A question about a world."""

    text: str
    thing: str | None
    """What it is about; None for what is not there."""
    row: int | None
    """The fact that answers it."""
    alike: tuple[int, ...] = ()
    """The facts that it resembles most, found by `World.compared`."""


@dataclass(frozen=True)
class World:
    """Facts about things that have to do with each other, and questions."""

    name: str
    facts: list[Triple] = field(default_factory=list)
    questions: list[Asked] = field(default_factory=list)
    rows: dict[str, list[int]] = field(default_factory=dict)
    """The facts about each thing."""

    def about(self, thing: str | None) -> list[int]:
        """The rows about a thing."""
        return self.rows.get(thing, []) if thing else []

    def compared(self, alike: Callable[[Sequence[str]], list[list[int]]]) -> World:
        """The same with the facts that each question resembles."""
        found = alike([asked.text for asked in self.questions])
        return replace(
            self,
            questions=[replace(asked, alike=tuple(rows)) for asked, rows in zip(self.questions, found, strict=True)],
        )

    def without(self, properties: frozenset[str]) -> World:
        """The same without the facts that have one of these properties (casefolded), and what they answer."""
        kept = [row for row, fact in enumerate(self.facts) if fact.property.casefold() not in properties]
        place = {row: at for at, row in enumerate(kept)}
        rows = {thing: [place[row] for row in some if row in place] for thing, some in self.rows.items()}
        asked = [
            replace(each, row=None if each.row is None else place[each.row])
            for each in self.questions
            if each.row is None or each.row in place
        ]
        return World(
            self.name, [self.facts[row] for row in kept], asked, {name: some for name, some in rows.items() if some}
        )

    def described(self, draw: random.Random) -> World:
        """The same with two to four facts of each thing, where it has so many, told in one description; what they answer, it
        answers."""
        facts: list[Triple] = []
        place: dict[int, int] = {}
        rows: dict[str, list[int]] = {}
        for thing, own in self.rows.items():
            told = set(draw.sample(own, min(len(own), draw.randint(2, 4))))
            place.update(dict.fromkeys(told, len(facts)))
            facts.append(Triple(thing, "description", _told([self.facts[row] for row in own if row in told], draw)))
            place.update((row, len(facts) + at) for at, row in enumerate(row for row in own if row not in told))
            facts += [self.facts[row] for row in own if row not in told]
            rows[thing] = list(dict.fromkeys(place[row] for row in own))
        asked = [
            replace(
                each,
                row=None if each.row is None else place[each.row],
                alike=tuple(dict.fromkeys(place[row] for row in each.alike)),
            )
            for each in self.questions
        ]
        return World(self.name, facts, asked, rows)


def _told(facts: Sequence[Triple], draw: random.Random) -> str:
    """Facts about a thing in one text."""
    if is_cjk("".join(fact.value for fact in facts)):
        form, joint = draw.choice(("{p}：{v}", "{p}是{v}")), draw.choice("，；")
    else:
        form, joint = draw.choice(
            (("{p}: {v}", "; "), ("{v} ({p})", ", "), ("its {p} is {v}", ", "), ("{p} {v}", ", "))
        )
    return joint.join(form.format(p=fact.property, v=fact.value) for fact in facts)


def read_worlds(path: Path) -> list[World]:
    """The worlds in a file; raises InputError for a line that is none of theirs."""
    worlds: list[World] = []
    thing: str | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if not mark:
            continue
        if mark == "==":
            worlds.append(World(rest.removeprefix("World:").strip()))
            thing = None
        elif not worlds:
            raise InputError(f"{path}:{number}: begin with a line `== World: what it is`")
        elif mark == "@":
            thing = rest
        else:
            _take(worlds[-1], thing, mark, rest, line.strip(), f"{path}:{number}")
    return worlds


def _take(world: World, thing: str | None, mark: str, rest: str, line: str, where: str) -> None:
    """Add what a line says to the world; where: for errors."""
    if mark == "!":
        world.questions.append(Asked(rest, None, None))
    elif thing is None:
        raise InputError(f"{where}: name the thing first, `@ Old Copper Kettle`")
    elif mark == "-":
        world.questions.append(Asked(rest, thing, None))
    elif mark == "?":
        if not world.about(thing):
            raise InputError(f"{where}: give the fact first that answers this, `capacity = 2,400 litres`")
        world.questions.append(Asked(rest, thing, world.rows[thing][-1]))
    else:
        name, equals, value = line.partition(" = ")
        if not equals or not name.strip() or not value.strip():
            raise InputError(f"{where}: neither `property = value` nor a question that begins with ?, - or !")
        world.rows.setdefault(thing, []).append(len(world.facts))
        world.facts.append(Triple(thing, name.strip(), value.strip()))
