"""The present version of a store as a snapshot in memory, which follows the commits of every process."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

import numpy as np

from kblam.knowledge.changelog import ChangeLog
from kblam.knowledge.rows import FloatArray, Rows
from kblam.knowledge.snapshot import Snapshot
from kblam.knowledge.store.columns import cached_versions, open_columns, remove_other_columns, write_columns
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


def allowance(rows: int) -> int:
    """Return how many rows may differ from the column cache before it is made anew."""
    return 1024 + rows // 16


class View:
    """Hands out the snapshot of the present version; what changed since the last one is all that is read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._mark = ""
        self._log = ChangeLog(0)
        self._ambiguous = -1
        """Up to this number, a version may be one of another line: a copy of the store was put in its place."""
        self._uncached: set[int] = set()
        """Rows that are not as in the column cache."""
        self._caching: threading.Thread | None = None

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
            if self._snapshot is None or version <= self._ambiguous:
                return None
            return self._log.since(version, self._snapshot.version, len(self._snapshot.triples))

    def as_of(self, version: int) -> Snapshot:
        """Return a version of the past, its facts in the order in which they came."""
        with self._database.reading_apart() as connection:
            triples, ids = facts_as_of(connection, version)
            keys, values = _vectors(connection, ids)
            return _made(connection, triples, Rows([keys]), Rows([values]), version)

    def _load(self, connection: sqlite3.Connection, version: int, mark: str) -> Snapshot:
        """Read everything: the facts from the database, the vectors through the cache if it is good."""
        self._log = ChangeLog(version)
        cached, keys, values = self._usable(connection) or (version, *self._rebuilt(connection, version, mark))
        rows, _, ids = rows_since(connection, cached)
        self._uncached = set(rows)
        vectors = _vectors(connection, ids)
        both = _next_rows((Rows([keys]), Rows([values])), rows, vectors, count_facts(connection))
        return _made(connection, read_page(connection, 0, None), *both, version)

    def _rebuilt(self, connection: sqlite3.Connection, version: int, mark: str) -> tuple[FloatArray, FloatArray]:
        """Return all vectors, from a new cache if it can be written."""
        in_memory = rebuild_columns(self._database, connection, version, mark)
        return open_columns(self._database.directory, version, mark) or in_memory

    def _usable(self, connection: sqlite3.Connection) -> tuple[int, FloatArray, FloatArray] | None:
        """Return version, keys and values of the newest cache file that is whole, of this store, and near enough."""
        encoder = encoder_of(connection)
        later = "SELECT count(*) FROM facts WHERE ended IS NULL AND placed > ?"
        for number, mark in cached_versions(self._database.directory):
            if mark_of(connection, number) != mark:
                continue
            if connection.execute(later, (number,)).fetchone()[0] > allowance(count_facts(connection)):
                return None
            found = open_columns(self._database.directory, number, mark)
            if found is not None and (found[0].shape[1], found[0].dtype) == (encoder.width, encoder.dtype):
                return number, *found
        return None

    def _advance(self, connection: sqlite3.Connection, old: Snapshot, version: int, mark: str) -> Snapshot:
        """Make the next snapshot of the last one, at the cost of the rows that changed."""
        count = count_facts(connection)
        rows, triples, ids = rows_since(connection, old.version)
        if len(rows) > allowance(count):
            return self._load(connection, version, mark)
        both = _next_rows((old.key_rows, old.value_rows), rows, _vectors(connection, ids), count)
        facts: list[Any] = [*old.triples[:count], *([None] * (count - len(old.triples)))]
        for row, triple in zip(rows, triples, strict=True):
            facts[row] = triple
        snapshot = _made(connection, facts, *both, version)
        self._log.add(version, rows)
        self._uncached |= set(rows)
        if len(self._uncached) > allowance(count) and not self._database.read_only:
            self._cache(snapshot, mark)
        return snapshot

    def _cache(self, snapshot: Snapshot, mark: str) -> None:
        """Write the cache anew in the background, for those who open the store later."""
        if self._caching is not None and self._caching.is_alive():
            return

        def write() -> None:
            directory = self._database.directory
            if write_columns(directory, snapshot.version, mark, snapshot.keys, snapshot.values):
                remove_other_columns(directory, snapshot.version, mark)

        self._uncached = set()
        self._caching = threading.Thread(target=write, name="kblam column cache", daemon=True)
        self._caching.start()


def rebuild_columns(
    database: Database, connection: sqlite3.Connection, version: int, mark: str
) -> tuple[FloatArray, FloatArray]:
    """Read all vectors, write the column cache where that is possible, and return them."""
    ids = connection.execute("SELECT key_embedding, value_embedding FROM facts WHERE ended IS NULL ORDER BY row")
    keys, values = _vectors(connection, ids.fetchall())
    if not database.read_only and write_columns(database.directory, version, mark, keys, values):
        remove_other_columns(database.directory, version, mark)
    return keys, values


def _made(connection: sqlite3.Connection, triples: list[Any], keys: Rows, values: Rows, version: int) -> Snapshot:
    encoder, texts = encoder_of(connection), about(connection, "texts") == "1"
    return Snapshot(tuple(triples), keys, values, version, encoder.name, texts)


def _next_rows(
    old: tuple[Rows, Rows], numbers: list[int], vectors: tuple[FloatArray, FloatArray], count: int
) -> tuple[Rows, Rows]:
    """Return keys and values of `count` rows: the old ones, with these numbers (in order) replaced or added."""
    kept = min(count, len(old[0]))
    new = [place for place, number in enumerate(numbers) if number >= kept]

    def following(rows: Rows, fresh: FloatArray) -> Rows:
        replaced = {number: fresh[place] for place, number in enumerate(numbers) if number < kept}
        return rows.changed(replaced, fresh[new], kept)

    return following(old[0], vectors[0]), following(old[1], vectors[1])


def _vectors(connection: sqlite3.Connection, ids: list[tuple[int, int]]) -> tuple[FloatArray, FloatArray]:
    encoder = encoder_of(connection)
    keys, values = (np.empty((len(ids), encoder.width), encoder.dtype) for _ in range(2))
    for start in range(0, len(ids), TOGETHER):
        part = ids[start : start + TOGETHER]
        both = vectors_of(connection, [*(pair[0] for pair in part), *(pair[1] for pair in part)], encoder)
        keys[start : start + len(part)], values[start : start + len(part)] = both[: len(part)], both[len(part) :]
    return keys, values
