"""Names that a question misspells, looked for among the entities of the rows it resembles most."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rapidfuzz.distance import OSA

from kblam.answering.names import TOKEN, Mention, Names, inside_longer_name

__all__ = ["near_mention"]

SHORTEST = 5
"""Characters of a name below which one wrong letter makes another name of it."""
LONG = 9
"""Characters from which two letters may be wrong."""


def near_mention(question: str, rows: Iterable[int], names: Names) -> Mention | None:
    """The part of a question that is nearly the name of one of these rows' entities, best first by its spelling.

    Two letters in the wrong order, one missing, one too many or one wrong count as one slip; the first letter and all
    digits are as they should be.
    """
    found: Mention | None = None
    for name in dict.fromkeys(name for row in rows for name in names.names_of(row)):
        best = _place(question, name)
        if best is not None and (found is None or best[2] > found.similarity):
            found = Mention(best[0], best[1], names.rows_named(name), best[2])
    return found


def _place(question: str, name: str) -> tuple[int, int, float] | None:
    """Where the question nearly holds the name, and how nearly, from 0 to 1."""
    if len(name) < SHORTEST:
        return None
    slips = 1 if len(name) < LONG else 2
    spans = [match.span() for match in TOKEN.finditer(question)]
    count = len(TOKEN.findall(name))
    best: tuple[int, int, float] | None = None
    for first in range(len(spans)):
        for size in (count, count - 1, count + 1):
            if size < 1 or first + size > len(spans):
                continue
            start, end = spans[first][0], spans[first + size - 1][1]
            text = question[start:end]
            if text[0].casefold() != name[0].casefold() or _digits(text) != _digits(name):
                continue
            if inside_longer_name(question, start, end):
                continue
            distance = OSA.distance(text.casefold(), name.casefold(), score_cutoff=slips)
            similarity = 1 - distance / len(name)
            if distance <= slips and (best is None or similarity > best[2]):
                best = start, end, similarity
    return best


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
