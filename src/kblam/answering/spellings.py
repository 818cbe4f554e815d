"""Names by first letter and length, so that a misspelt one is compared with few of them, however many there are."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

__all__ = ["SHORTEST", "Spellings", "digits", "slips"]

SHORTEST = 5
"""Characters of a name below which one wrong letter makes another name of it."""
LONG = 9
"""Characters from which two letters may be wrong."""
MOST = 8
"""Names that one run of words may be meant for."""


def slips(name: str) -> int:
    """How many letters of a name may be wrong."""
    return 0 if len(name) < SHORTEST else 1 if len(name) < LONG else 2


def digits(text: str) -> str:
    """The digits in a text: A-4711 is not a way to write A-4171."""
    return re.sub(r"\D", "", text)


class Spellings:
    """Casefolded names that can be found by a spelling near theirs."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[tuple[str, int], list[str]] = {}
        for name in names:
            if len(name) >= SHORTEST:
                self._names.setdefault((name[0], len(name)), []).append(name)

    def near(self, text: str) -> list[str]:
        """The names that differ from a casefolded text by no more slips than they may have, nearest first."""
        if len(text) < SHORTEST - 1:
            return []
        lengths = range(len(text) - 2, len(text) + 3)
        alike = (name for length in lengths for name in self._names.get((text[0], length), ()))
        found = extract(text, alike, scorer=OSA.distance, score_cutoff=2, limit=MOST)  # type: ignore[arg-type]
        return [name for name, distance, _ in found if distance <= slips(name) and digits(name) == digits(text)]
