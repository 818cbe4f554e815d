"""Rows that may answer a question beside those of the things that it names: what has the value that it says, and rows in two steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import torch
from torch import Tensor

from kblam.answering.reading import Reading
from kblam.answering.statements import path
from kblam.knowledge import Triple
from kblam.naming.mention import Mention
from kblam.naming.names import Names
from kblam.naming.values import Values

__all__ = ["Beside", "best_of_each", "inverse_rows", "paths", "twins", "values_asked"]

MOST_INVERSE = 4
"""Rows of one question that are read because it says their values."""
MOST_PATHS = 12
"""Rows of one question that are read in two steps."""
MOST_LEADING = 64
"""Rows that a question names from which a second step is looked for."""
MOST_HAVING = 2000
"""Rows with a value that are looked at; of more the question says too little."""
MOST_TWINS = 100
"""Rows that are attended to because they say of other things what one of the likely rows says."""
SAID = 2.0
"""How much worse a row may fit whose value is said."""
ASIDE = 1.0
"""How much better it must fit where that is the name of a thing, too, which may be what is asked about."""
IN_TWO = 1.0
"""How much better a row must fit that answers in two steps."""
EITHER = re.compile(r"\bor\b|或|还是|または|それとも", re.IGNORECASE)

Order = Callable[[list[int]], list[int]]
"""Puts the rows first that a question resembles most."""


@dataclass(frozen=True)
class Beside:
    """The rows that are read beside those that a question names."""

    inverse: list[int]
    """Those whose values it says."""
    having: frozenset[int]
    """Those of the likely rows whose values it says."""
    paths: list[tuple[int, int]]
    """A row that leads to a thing, and one about that."""
    named: bool
    """Whether the question names a thing whole."""

    @property
    def rows(self) -> list[int]:
        """The rows that may answer; one of several paths as often."""
        return [*self.inverse, *(second for _, second in self.paths)]

    def doubts(self, likely: Sequence[int]) -> list[float]:
        """How much better than others each of the likely rows, and of these, must fit."""
        said = ASIDE if self.named else -SAID
        own = [said if row in self.having else 0.0 for row in likely]
        return own + [said] * len(self.inverse) + [IN_TWO] * len(self.paths)

    def facts(self, triples: Sequence[Triple]) -> list[Triple]:
        """What is read for each of the rows."""
        return [
            *(triples[row] for row in self.inverse),
            *(path(triples[first], triples[second]) for first, second in self.paths),
        ]


def values_asked(values: Values, question: str, mentions: Sequence[Mention]) -> tuple[Mention, ...]:
    """The values that a question says, if it may ask for the things that have them: where it names no thing whole, or only such as are
    values, too."""
    said, names = values.said(question), [name for name in mentions if not name.partial]
    if not names:
        return tuple(said)
    also = [[value for value in said if value.covers(name)] for name in names]
    return tuple(value for those in also for value in those) if all(also) else ()


def inverse_rows(names: Names, question: str, said: Sequence[Mention], known: Sequence[int], order: Order) -> list[int]:
    """The rows beside those known whose values a question says, one for each value and property, those first whose property it names,
    MOST_INVERSE at most."""
    apart = set(known)
    first: dict[tuple[int, str], int] = {}
    for value in said:
        for row in value.rows[:MOST_HAVING]:
            if row not in apart:
                first.setdefault((value.start, names.property_of(row)), row)
    return sorted(order([*first.values()]), key=lambda row: not names.named_property(question, row))[:MOST_INVERSE]


def paths(
    names: Names, triples: Sequence[Triple], question: str, named: Sequence[int], inverse: Sequence[int], order: Order
) -> list[tuple[int, int]]:
    """Rows in two steps, MOST_PATHS at most: one that a question names, whose value is another thing, with one about that; and one whose
    value it says with one about the same thing, whose property it names: else it asks for the thing."""
    found: dict[int, list[int]] = {}
    known, leading = {*named, *inverse}, [*named[:MOST_LEADING], *inverse]
    about = {value: names.rows_named(value) for value in {triples[first].value for first in leading}}
    for first in leading:
        for second in about[triples[first].value][:MOST_HAVING]:
            if second not in known:
                found.setdefault(second, []).append(first)
    for first in inverse:
        for second in names.siblings(first)[:MOST_HAVING]:
            if second != first and names.named_property(question, second):
                found.setdefault(second, []).append(first)
    if sum(map(len, found.values())) <= MOST_PATHS:
        return [(first, second) for second, firsts in found.items() for first in firsts]
    # The best path of each row before the second of any.
    each = [[(first, second) for first in found[second]] for second in order([*found])]
    return [pair for pair in chain.from_iterable(zip_longest(*each)) if pair][:MOST_PATHS]


def twins(names: Names, reading: Reading, index: int, row: int) -> list[int]:
    """The rows that say of other things what a row says, where a question asks for the things: with its property, and the values in it
    that the question says, or with any that it says where it asks for either. Itself among them; none if it says none, or names its
    thing."""
    values = [value for value in reading.said[index] if row in value.rows]
    if not values or reading.mention_of(index, row) is not None:
        return []
    either = EITHER.search(reading.texts[index]) is not None
    name = names.property_of(row)
    sets = [dict.fromkeys(value.rows) for value in (reading.said[index] if either else values)]
    rows = chain(*sets) if either else (other for other in sets[0] if all(other in some for some in sets[1:]))
    return [other for other in dict.fromkeys(rows) if names.property_of(other) == name]


def best_of_each(
    names: Names, reading: Reading, index: int, likely: Sequence[int], beside: Beside, scores: Tensor
) -> tuple[Tensor, Tensor, dict[int, int]]:
    """The rows that are read for a question, each once with the best of its scores, and those that say the same of other things with
    the same scores; and by way of which row each is best that is so in two steps."""
    rows, in_two = [*likely, *beside.rows], len(likely) + len(beside.inverse)
    found: dict[int, int] = {}
    for at in scores.argsort(descending=True, stable=True).tolist():
        found.setdefault(rows[at], at)
    via = {row: beside.paths[at - in_two][0] for row, at in found.items() if at >= in_two}
    for row, at in list(found.items()):
        for twin in () if row in via else twins(names, reading, index, row)[:MOST_TWINS]:
            found.setdefault(twin, at)
    return torch.tensor(list(found), dtype=torch.long, device=scores.device), scores[list(found.values())], via
