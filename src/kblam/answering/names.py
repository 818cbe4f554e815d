"""Which entities and properties of a knowledge base a question names, word for word.

One dictionary look-up per run of words in the question, whatever the size of the knowledge base.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kblam.knowledge import Triple

__all__ = ["Mention", "Names"]

TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[^\w\s]")
"""A Chinese, Japanese or Korean character, a word, or a mark."""
MOST_TOKENS = 24
"""Longer names are not looked for."""
COMMON = frozenset(
    "a an the of in on at to is it its as by do does or and are was be for from how what who when where which why i we you "
    "he she they this that can us me my no not so if"
    .split()
)  # fmt: skip
"""Words that are names only when they are written exactly like the name."""


@dataclass(frozen=True)
class Mention:
    """A name found in a question: where it stands, and the rows of the entity."""

    start: int
    end: int
    rows: tuple[int, ...]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


class Names:
    """The entities, aliases and properties of one version of a knowledge base."""

    def __init__(self, triples: Sequence[Triple]) -> None:
        self._rows: dict[str, list[int]] = {}
        self._exact: dict[str, set[str]] = {}
        self._properties = [_folded(triple.property) for triple in triples]
        for row, triple in enumerate(triples):
            for name in (triple.entity, *triple.aliases):
                key = _folded(name)
                self._rows.setdefault(key, []).append(row)
                if key in COMMON:
                    self._exact.setdefault(key, set()).add(name)

    def mentions(self, question: str) -> list[Mention]:
        """The entities that the question names, longest first at each place, none inside another."""
        spans = [match.span() for match in TOKEN.finditer(question)]
        found: list[Mention] = []
        first = 0
        while first < len(spans):
            for last in range(min(len(spans), first + MOST_TOKENS) - 1, first - 1, -1):
                start, end = spans[first][0], spans[last][1]
                rows = self._look_up(question[start:end])
                if rows:
                    found.append(Mention(start, end, tuple(rows)))
                    first = last
                    break
            first += 1
        return found

    def _look_up(self, text: str) -> list[int]:
        key = _folded(text)
        rows = self._rows.get(key, [])
        return rows if key not in COMMON or text in self._exact.get(key, ()) else []

    def named_property(self, question: str, row: int) -> bool:
        """True when the question holds the words of the row's property."""
        name, text = self._properties[row], _folded(question)
        at = text.find(name)
        while at >= 0:
            before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 1]
            if not (_continues(before, name[0]) or _continues(name[-1], after)):
                return True
            at = text.find(name, at + 1)
        return False


def _continues(left: str, right: str) -> bool:
    """True when two neighbouring characters belong to one word."""
    return bool(left and right) and len(TOKEN.findall(left + right)) == 1
