"""The present version of a store as a snapshot in memory, which follows the commits of every process."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from kblam.knowledge.snapshot import FloatArray, Snapshot
from kblam.knowledge.store.columns import (
    Columns,
    cached_versions,
    open_columns,
    remove_other_columns,
    write_columns,
)
from kblam.knowledge.store.database import Database
from kblam.knowledge.store.facts import (
    about,
    count_facts,
    encoder_of,
    facts_as_of,
    mark_of,
    read_page,
    rows_since,
    vectors_of,
)

__all__ = ["View", "allowance", "rebuild_columns"]

TOGETHER = 20_000
"""Facts whose vectors are read by one call."""
REMEMBERED = 4096
"""Steps from one snapshot to the next whose changed rows are remembered."""


def allowance(rows: int) -> int:
    """Return how many rows may differ from the column cache before it is made anew."""
    return 1024 + rows // 16


@dataclass(frozen=True)
class _Step:
    """From which version of ours to which, and the rows that changed."""

    old: int
    new: int
    rows: frozenset[int]


class View:
    """Hands out the snapshot of the present version; what changed since the last one is all that is read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._mark = ""
        self._columns: Columns | None = None
        self._differing: set[int] = set()
        """Rows of our snapshot that are not as in the column cache."""
        self._steps: deque[_Step] = deque(maxlen=REMEMBERED)
        self._ambiguous = -1
        """Up to this number, a version may be one of another line: a copy of the store was put in its place."""
        self._rewriting: threading.Thread | None = None
        self._rewritten: Columns | None = None

    def snapshot(self) -> Snapshot:
        """Return the present version; nothing that is handed out ever changes."""
        with self._lock, self._database.reading() as connection:
            version, mark = connection.execute(
                "SELECT version, mark FROM versions ORDER BY version DESC LIMIT 1"
            ).fetchone()
            if self._snapshot is None or mark_of(connection, self._snapshot.version) != self._mark:
                self._ambiguous = -1 if self._snapshot is None else max(self._ambiguous, self._snapshot.version)
                self._snapshot = self._load(connection, version, mark)
            elif mark != self._mark:
                self._snapshot = self._advance(connection, self._snapshot, version, mark)
            self._mark = mark
            return self._snapshot

    def changes_since(self, version: int) -> frozenset[int] | None:
        """Return the rows of the last snapshot that may differ from what they held in this version; None: not known."""
        with self._lock:
            if self._snapshot is None or not self._ambiguous < version <= self._snapshot.version:
                return None
            rows: frozenset[int] = frozenset()
            reached = self._snapshot.version
            for step in reversed(self._steps):
                if reached <= version:
                    break
                rows, reached = rows | step.rows, step.old
            count = len(self._snapshot.triples)
            return frozenset(row for row in rows if row < count) if reached <= version else None

    def as_of(self, version: int) -> Snapshot:
        """Return a version of the past, its facts in the order in which they came."""
        with self._database.reading_apart() as connection:
            triples, ids = facts_as_of(connection, version)
            keys, values = _vectors(connection, ids)
            return self._made(connection, triples, keys, values, version)

    def _load(self, connection: sqlite3.Connection, version: int, mark: str) -> Snapshot:
        """Read everything: the facts from the database, the vectors through the cache if it is good."""
        self._steps.clear()
        self._differing, self._rewritten = set(), None
        count = count_facts(connection)
        self._columns = self._usable(connection, version, count)
        if self._columns is None:
            self._columns, keys, values = rebuild_columns(self._database, connection, version, mark)
        if self._columns is not None:
            rows, _, ids = rows_since(connection, self._columns.version)
            keys, values = self._columns.map()
            keys[rows], values[rows] = _vectors(connection, ids)
            self._differing = set(rows)
        return self._made(connection, read_page(connection, 0, None), keys[:count], values[:count], version)

    def _usable(self, connection: sqlite3.Connection, version: int, count: int) -> Columns | None:
        """Return the newest cache file that is whole, of this store, and near enough to this version."""
        encoder = encoder_of(connection)
        for number, mark in cached_versions(self._database.directory):
            if number > version or mark_of(connection, number) != mark:
                continue
            later = "SELECT count(*) FROM facts WHERE ended IS NULL AND placed > ?"
            if connection.execute(later, (number,)).fetchone()[0] > allowance(count):
                return None
            columns = open_columns(self._database.directory, number, mark)
            shape = (encoder.width, encoder.dtype)
            if columns is not None and columns.capacity >= count and (columns.width, columns.dtype) == shape:
                return columns
        return None

    def _advance(self, connection: sqlite3.Connection, old: Snapshot, version: int, mark: str) -> Snapshot:
        """Make the next snapshot of the last one, at the cost of the rows that changed."""
        count = count_facts(connection)
        rows, triples, ids = rows_since(connection, old.version)
        if len(rows) > allowance(count):
            return self._load(connection, version, mark)
        step = _Step(old.version, version, frozenset(rows))
        keys, values = self._next_arrays(connection, old, count)
        keys[rows], values[rows] = _vectors(connection, ids)
        facts: list[Any] = [*old.triples[:count], *([None] * (count - len(old.triples)))]
        for row, triple in zip(rows, triples, strict=True):
            facts[row] = triple
        self._steps.append(step)
        self._differing |= step.rows
        snapshot = self._made(connection, facts, keys[:count], values[:count], version)
        if self._columns is not None and len(self._differing) > allowance(count):
            self._rewrite(snapshot, mark)
        return snapshot

    def _next_arrays(self, connection: sqlite3.Connection, old: Snapshot, count: int) -> tuple[FloatArray, FloatArray]:
        """Return arrays of our own for `count` rows that hold what the last snapshot has."""
        fresh, self._rewritten = self._rewritten, None
        if fresh is not None and mark_of(connection, fresh.version) == fresh.mark:
            self._columns, self._differing = fresh, set(rows_since(connection, fresh.version)[0])
        kept = min(count, len(old.triples))
        columns = self._columns
        if columns is None or count > columns.capacity:
            self._columns = None  # in memory until the store is opened again
            keys, values = (np.empty((count, array.shape[1]), array.dtype) for array in (old.keys, old.values))
            keys[:kept], values[:kept] = old.keys[:kept], old.values[:kept]
            return keys, values
        keys, values = columns.map()
        rows = np.array([row for row in self._differing if row < kept], dtype=np.intp)
        keys[rows], values[rows] = old.keys[rows], old.values[rows]
        return keys, values

    def _rewrite(self, snapshot: Snapshot, mark: str) -> None:
        """Write the cache anew in the background; questions go on with the old one until then."""
        if self._rewriting is not None and self._rewriting.is_alive():
            return

        def write() -> None:
            self._rewritten = write_columns(
                self._database.directory, snapshot.version, mark, snapshot.keys, snapshot.values
            )
            if self._rewritten is not None:
                remove_other_columns(self._database.directory, self._rewritten.path)

        self._rewriting = threading.Thread(target=write, name="kblam column cache", daemon=True)
        self._rewriting.start()

    def _made(
        self, connection: sqlite3.Connection, triples: list[Any], keys: FloatArray, values: FloatArray, version: int
    ) -> Snapshot:
        encoder, texts = encoder_of(connection), about(connection, "texts") == "1"
        return Snapshot(tuple(triples), keys, values, version, encoder.name, texts)


def rebuild_columns(
    database: Database, connection: sqlite3.Connection, version: int, mark: str
) -> tuple[Columns | None, FloatArray, FloatArray]:
    """Read all vectors and write the column cache; None in its place where it cannot be written or nothing is in it."""
    ids = connection.execute("SELECT key_embedding, value_embedding FROM facts WHERE ended IS NULL ORDER BY row")
    keys, values = _vectors(connection, ids.fetchall())
    columns = None
    if len(keys) and not database.read_only:
        columns = write_columns(database.directory, version, mark, keys, values)
    if columns is not None:
        remove_other_columns(database.directory, columns.path)
    return columns, keys, values


def _vectors(connection: sqlite3.Connection, ids: list[tuple[int, int]]) -> tuple[FloatArray, FloatArray]:
    encoder = encoder_of(connection)
    keys, values = (np.empty((len(ids), encoder.width), encoder.dtype) for _ in range(2))
    for start in range(0, len(ids), TOGETHER):
        part = ids[start : start + TOGETHER]
        both = vectors_of(connection, [*(pair[0] for pair in part), *(pair[1] for pair in part)], encoder)
        keys[start : start + len(part)], values[start : start + len(part)] = both[: len(part)], both[len(part) :]
    return keys, values
