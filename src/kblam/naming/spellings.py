"""Names by first letter and length, and by their words, so that a question is compared with few of them, however many there
are."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from kblam.naming.unspaced_names import neighbours

__all__ = ["SHORTEST", "TOKEN", "WORD", "Neighbours", "Spellings", "Words", "digits", "slips", "words"]

TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[^\w\s]")
"""A Chinese, Japanese or Korean character, a word, or a mark."""
WORD = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word in a script that sets words apart."""

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


class Words:
    """Casefolded names that can be found by a word of theirs."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, list[str]] = {}
        self.count = 0
        for name in names:
            self.count += 1
            for word in set(words(name)):
                self._names.setdefault(word, []).append(name)

    def holding(self, word: str) -> list[str]:
        """The names of which a casefolded word is one."""
        return self._names.get(word, [])


class Neighbours:
    """Casefolded names that can be found by two Chinese or Japanese characters that stand beside each other in them, or by the
    first one of a short name, with BEGINS in front of it."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, list[str]] = {}
        for name in names:
            for pair in neighbours(name):
                self._names.setdefault(pair, []).append(name)

    def holding(self, pair: str) -> list[str]:
        """The names in which these characters stand beside each other."""
        return self._names.get(pair, [])


def words(name: str) -> list[str]:
    """The words of a name, in order."""
    return WORD.findall(name)
