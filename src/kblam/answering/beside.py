"""Rows that may answer a question beside those of the things that it names: what has the value that it says, and what the things
have which those it names have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kblam.answering.reading import Reading
from kblam.answering.statements import path
from kblam.knowledge import Triple
from kblam.naming.mention import Mention
from kblam.naming.names import Names
from kblam.naming.values import Values

__all__ = ["Beside", "inverse_rows", "paths", "twins", "values_asked"]

MOST_INVERSE = 4
"""Rows of one question that are read because it says their values."""
MOST_PATHS = 12
"""Rows of one question that are read by way of another."""
MOST_TWINS = 100
"""Rows that say the same of different things, and answer together."""


@dataclass(frozen=True)
class Beside:
    """The rows that are read beside those that a question names."""

    inverse: list[int]
    """Those whose values it says."""
    paths: list[tuple[int, int]]
    """A row that leads to a thing, and one about that."""

    @property
    def rows(self) -> list[int]:
        """The rows that may answer; one of several paths as often."""
        return [*self.inverse, *(second for _, second in self.paths)]

    def facts(self, triples: Sequence[Triple]) -> list[Triple]:
        """What is read for each of the rows."""
        return [
            *(triples[row] for row in self.inverse),
            *(path(triples[first], triples[second]) for first, second in self.paths),
        ]


def values_asked(values: Values, question: str, mentions: Sequence[Mention]) -> tuple[Mention, ...]:
    """The values that a question says, if it may ask for the things that have them: where it names no thing, or only such as are
    values, too."""
    said = values.said(question)
    if not mentions:
        return tuple(said)
    also = [[value for value in said if value.covers(name)] for name in mentions]
    return tuple(value for those in also for value in those) if all(also) else ()


def inverse_rows(
    names: Names,
    question: str,
    said: Sequence[Mention],
    known: Sequence[int],
    likeliest: Callable[[list[int]], list[int]],
) -> list[int]:
    """The rows beside those known whose values a question says, one for each of their properties, those that it names first,
    MOST_INVERSE at most. likeliest: puts rows in order."""
    others = [row for value in said for row in reversed(value.rows) if row not in known]
    first = {names.property_of(row): row for row in others}
    rows = likeliest(sorted(first.values()))
    return sorted(rows, key=lambda row: not names.named_property(question, row))[:MOST_INVERSE]


def paths(
    names: Names,
    triples: Sequence[Triple],
    named: Sequence[int],
    inverse: Sequence[int],
    likeliest: Callable[[list[int]], list[int]],
) -> list[tuple[int, int]]:
    """Rows in two steps, MOST_PATHS at most: one that a question names, whose value is another thing, with one about that; and one whose
    value it says with one about the same thing."""
    found: dict[int, list[int]] = {}
    known = {*named, *inverse}
    for first in known:
        for second in names.rows_named(triples[first].value):
            if second not in known:
                found.setdefault(second, []).append(first)
    for first in inverse:
        for second in names.siblings(first):
            if second != first:
                found.setdefault(second, []).append(first)
    seconds = likeliest(list(found)) if len(found) > MOST_PATHS else list(found)
    return [(first, second) for second in seconds[:MOST_PATHS] for first in found[second]][:MOST_PATHS]


def twins(names: Names, reading: Reading, index: int, row: int) -> list[int]:
    """The rows that have the property of a row and the value in it that a question says, itself among them, MOST_TWINS at most; none
    if it says none, or names the thing."""
    if reading.mention_of(index, row) is not None:
        return []
    values = [value for value in reading.said[index] if row in value.rows]
    name = names.property_of(row)
    return [other for value in values[:1] for other in value.rows if names.property_of(other) == name][:MOST_TWINS]
