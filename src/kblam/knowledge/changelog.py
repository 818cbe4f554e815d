"""Which rows the latest changes of a knowledge base touched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["ChangeLog"]

KEPT = 1000
"""Changes that are remembered."""
MOST_ROWS = 10_000
"""A change of more rows is not remembered one by one: whoever follows looks at everything again."""


class ChangeLog:
    """The rows of each change, for those who hold an earlier version and want to read only what is new."""

    def __init__(self, version: int) -> None:
        self._changes: deque[tuple[int, frozenset[int]]] = deque(maxlen=KEPT)
        self._oldest = version
        """Differences from versions before this one are not known."""

    def add(self, version: int, rows: Iterable[int]) -> None:
        """Note that `version` differs from the one before it in these rows."""
        rows = frozenset(rows)
        if len(rows) > MOST_ROWS:
            self._changes.clear()
            self._oldest = version
            return
        if len(self._changes) == KEPT:
            self._oldest = self._changes[0][0]
        self._changes.append((version, rows))

    def since(self, version: int, present: int, count: int) -> frozenset[int] | None:
        """The rows, of `count` in version `present`, that may differ from what they held in `version`; None: unknown."""
        if not self._oldest <= version <= present:
            return None
        touched: set[int] = set()
        for number, rows in tuple(self._changes):
            if version < number <= present:
                touched |= rows
        return frozenset(row for row in touched if row < count)
