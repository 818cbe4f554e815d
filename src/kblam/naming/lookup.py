"""The rows of a knowledge base by what they are looked up by; versions share what has not changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from kblam.knowledge import Triple
from kblam.naming.spellings import TOKEN

__all__ = ["MOST_TOKENS", "Lookup", "folded", "longest_runs"]

MOST_TOKENS = 24
"""Longer names and values are not looked for."""

MOST_CHANGES = 2000
"""Keys that may differ between versions before they are put together again."""


def folded(text: str) -> str:
    """The text in lower case, its spaces single."""
    return " ".join(text.casefold().split())


def longest_runs(
    text: str, look_up: Callable[[int, int], tuple[int, ...]]
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Where runs of words in a text have rows, and these; the longest run at each place, none inside another.

    look_up: the rows of the run from one character to another.
    """
    spans = [match.span() for match in TOKEN.finditer(text)]
    first = 0
    while first < len(spans):
        for last in range(min(len(spans), first + MOST_TOKENS) - 1, first - 1, -1):
            start, end = spans[first][0], spans[last][1]
            if rows := look_up(start, end):
                yield start, end, rows
                first = last
                break
        first += 1


class Lookup:
    """Rows by key, of one version."""

    def __init__(self, triples: Sequence[Triple], keys: Callable[[Triple], Iterable[str]]) -> None:
        """keys: what a fact is looked up by."""
        self._keys = keys
        rows: dict[str, list[int]] = {}
        for row, triple in enumerate(triples):
            for key in keys(triple):
                rows.setdefault(key, []).append(row)
        self.rows = {key: tuple(found) for key, found in rows.items()}
        """Of some version before, or of this one."""
        self.changes: dict[str, tuple[int, ...]] = {}
        """Keys whose rows differ from those; () for one that is gone."""

    def of(self, key: str) -> tuple[int, ...]:
        """The rows of a key, in their order."""
        changed = self.changes.get(key)
        return self.rows.get(key, ()) if changed is None else changed

    def changed(self, before: Sequence[Triple], after: Sequence[Triple], touched: Iterable[int]) -> Lookup:
        """The same of a version in which only the touched rows may differ; costs what they and the other rows of their keys cost.

        `rows` is another object when the changes became so many that they were put together.
        """
        lookup = object.__new__(Lookup)
        # Copied, for another thread may be reading those of the version before.
        lookup._keys, lookup.rows, lookup.changes = self._keys, self.rows, dict(self.changes)
        gone: dict[str, set[int]] = {}
        come: dict[str, set[int]] = {}
        for row in touched:
            for key in self._keys(before[row]) if row < len(before) else ():
                gone.setdefault(key, set()).add(row)
            for key in self._keys(after[row]) if row < len(after) else ():
                come.setdefault(key, set()).add(row)
        for key in gone.keys() | come.keys():
            staying = {*self.of(key)} - gone.get(key, set())
            lookup.changes[key] = tuple(sorted(staying | come.get(key, set())))
        if len(lookup.changes) > MOST_CHANGES:
            rows = {**lookup.rows, **lookup.changes}
            lookup.rows, lookup.changes = {key: found for key, found in rows.items() if found}, {}
        return lookup
