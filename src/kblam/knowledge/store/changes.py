"""What changes a store, inside the one writer's transaction: facts are put, taken out, gone back to, never overwritten.

A fact that is replaced or removed stays, with the version in which it ended. Facts that hold have the rows 0, 1, 2 ...:
a new fact gets the next, a replaced one keeps its own, and where one is removed the last takes its place.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np

from kblam.errors import EncoderError, KnowledgeError, OutdatedError
from kblam.knowledge.snapshot import FloatArray
from kblam.knowledge.store.facts import (
    TEXTS,
    StoreEncoder,
    check_version,
    count_facts,
    encoder_of,
    present_version,
    triple_of,
)
from kblam.knowledge.triples import Triple

__all__ = ["Encoded", "Writer", "forget_before", "start", "text_hash", "unknown_texts"]

TOGETHER = 10_000
"""Vectors that are written by one call."""

Encoded = tuple[Triple, FloatArray | None, FloatArray | None]
"""A fact with its key and value vectors; None for a text that the store has a vector of."""


class Writer:
    """The next version, while it is being made."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.encoder = encoder_of(connection)
        self.version = present_version(connection) + 1
        self.added = self.replaced = self.removed = self.unchanged = 0
        self._last_embedding = int(connection.execute("SELECT ifnull(max(id), 0) FROM embeddings").fetchone()[0])
        self._empty = self._last_embedding == 0
        self._new: dict[bytes, int] = {}
        """Ids of vectors that are not in the table yet, by hash; of all, if the table was empty at first."""
        self._unwritten: list[tuple[int, int, bytes, bytes, int]] = []
        self._first = count_facts(connection)

    def require_version(self, version: int) -> None:
        """Raise OutdatedError unless this is the present version."""
        if version != self.version - 1:
            raise OutdatedError(
                f"the knowledge is at version {self.version - 1}, not at {version}: look at what changed, and try again"
            )

    def holds(self, entity: str, attribute: str) -> bool:
        """Whether the fact is here."""
        select = "SELECT 1 FROM facts WHERE entity = ? AND property = ? AND ended IS NULL"
        return self.connection.execute(select, (entity, attribute)).fetchone() is not None

    def require_unchanged(self, entity: str, attribute: str, version: int) -> None:
        """Raise OutdatedError unless the fact is here and is what it was in this version."""
        held = self.connection.execute(
            "SELECT began FROM facts WHERE entity = ? AND property = ? AND ended IS NULL", (entity, attribute)
        ).fetchone()
        if held is None or not held[0] <= version < self.version:
            what = "is not here" if held is None else f"was changed in version {held[0]}"
            raise OutdatedError(f"the {attribute} of {entity} {what}: look at what changed, and try again")

    def put(self, facts: Iterable[Encoded]) -> None:
        """Add or replace facts, whose identities differ from each other; what is there as given is left alone."""
        endings: list[tuple[int, int]] = []
        beginnings: list[tuple[Any, ...]] = []
        select = f"SELECT {TEXTS}, id, row FROM facts WHERE entity = ? AND property = ? AND ended IS NULL"
        nothing, new = self._first == 0, self._first
        for triple, key, value in facts:
            held = None if nothing else self.connection.execute(select, triple.identity).fetchone()
            if held is not None and triple_of(held) == triple:
                self.unchanged += 1
                continue
            row = new if held is None else held[6]
            if held is None:
                new += 1
            else:
                endings.append((self.version, held[5]))
            ids = self._embedding(triple.key_text, key), self._embedding(triple.value_text, value)
            beginnings.append((*_texts(triple), self.version, row, self.version, *ids))
        self.added += new - self._first
        self.replaced += len(endings)
        self._write(endings, beginnings)
        self._first = new

    def _write(self, endings: Iterable[tuple[int, int]], beginnings: Iterable[tuple[Any, ...]]) -> None:
        self._write_embeddings()
        self.connection.executemany("UPDATE facts SET ended = ?, row = NULL WHERE id = ?", endings)
        self.connection.executemany(
            f"INSERT INTO facts ({TEXTS}, began, row, placed, key_embedding, value_embedding) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            beginnings,
        )

    def take_out(self, identities: Sequence[tuple[str, str]]) -> None:
        """Remove facts; raise KnowledgeError when one is not there."""
        for entity, attribute in identities:
            held = self.connection.execute(
                "SELECT id, row FROM facts WHERE entity = ? AND property = ? AND ended IS NULL", (entity, attribute)
            ).fetchone()
            if held is None:
                raise KnowledgeError(
                    f"there is no {attribute} of {entity} to remove: look at what the knowledge base holds"
                )
            self._end(*held)

    def _end(self, number: int, row: int) -> None:
        self.connection.execute("UPDATE facts SET ended = ?, row = NULL WHERE id = ?", (self.version, number))
        self._first -= 1
        if row != self._first:
            self.connection.execute(
                "UPDATE facts SET row = ?, placed = ? WHERE row = ? AND ended IS NULL", (row, self.version, self._first)
            )
        self.removed += 1

    def go_back(self, version: int) -> None:
        """Make the facts what they were in an earlier version."""
        check_version(self.connection, version)
        back = self.connection.execute(
            f"SELECT {TEXTS}, key_embedding, value_embedding FROM facts INDEXED BY facts_by_ending "
            "WHERE ended > :version AND began <= :version ORDER BY id",
            {"version": version},
        ).fetchall()
        wanted = {row[:2]: row for row in back}
        since = self.connection.execute(
            "SELECT entity, property, id FROM facts WHERE ended IS NULL AND +began > ? AND placed > ? ORDER BY +row DESC",
            (version, version),
        ).fetchall()
        for entity, attribute, number in since:
            if (entity, attribute) not in wanted:
                # The row is asked for now, for an earlier removal may have moved the fact.
                (row,) = self.connection.execute("SELECT row FROM facts WHERE id = ?", (number,)).fetchone()
                self._end(number, row)
        self._restore(wanted)

    def _restore(self, wanted: dict[tuple[str, str], tuple[Any, ...]]) -> None:
        endings, beginnings, new = [], [], self._first
        select = f"SELECT {TEXTS}, id, row FROM facts WHERE entity = ? AND property = ? AND ended IS NULL"
        for identity, fact in wanted.items():
            held = self.connection.execute(select, identity).fetchone()
            if held is not None and held[:5] == fact[:5]:
                continue
            row = new if held is None else held[6]
            new += held is None
            if held is not None:
                endings.append((self.version, held[5]))
            beginnings.append((*fact[:5], self.version, row, self.version, *fact[5:]))
        self.added += new - self._first
        self.replaced += len(endings)
        self._write(endings, beginnings)
        self._first = new

    def record(self, action: str, note: str | None = None) -> bool:
        """Make what was done a version; False, and no version, when nothing was done."""
        changed = bool(self.added or self.replaced or self.removed)
        if changed:
            _record(self.connection, self.version, action, self.added, self.replaced, self.removed, note)
        return changed

    def _embedding(self, text: str, vector: FloatArray | None) -> int:
        """Return the id of the text's vector, which is stored if it is new."""
        hashed = _hash(text, vector if self.encoder.name is None else None, self.encoder)
        known: int | None = self._new.get(hashed)
        if known is None and not self._empty:
            found = self.connection.execute(
                "SELECT id FROM embeddings WHERE encoder = ? AND hash = ?", (self.encoder.id, hashed)
            ).fetchone()
            known = None if found is None else int(found[0])
        if known is not None:
            return known
        if vector is None:
            raise KnowledgeError("the store was compacted while the facts were encoded: do it again")
        blob = self._blob(vector)
        self._last_embedding += 1
        self._new[hashed] = self._last_embedding
        self._unwritten.append((self._last_embedding, self.encoder.id, hashed, blob, zlib.crc32(blob)))
        if len(self._unwritten) == TOGETHER:
            self._write_embeddings()
        return self._last_embedding

    def _write_embeddings(self) -> None:
        self.connection.executemany("INSERT INTO embeddings VALUES (?, ?, ?, ?, ?)", self._unwritten)
        self._unwritten = []
        if not self._empty:
            self._new = {}

    def _blob(self, vector: FloatArray) -> bytes:
        if len(vector) != self.encoder.width:
            raise EncoderError(
                f"vectors of {len(vector)} numbers cannot be in a store of {self.encoder.name or 'vectors'} with "
                f"{self.encoder.width}: embed the facts with the store's encoder"
            )
        if self.encoder.dtype == np.float16 and vector.dtype != np.float16:
            with np.errstate(over="ignore"):
                vector = vector.astype(np.float16)
            if not np.isfinite(vector).all():
                raise KnowledgeError("the store holds float16, too small for a number in these vectors: scale them")
        return vector.astype(self.encoder.dtype, copy=False).tobytes()


def start(connection: sqlite3.Connection, encoder: str | None, width: int, dtype: str, texts: bool) -> None:
    """Make the version 0 of an empty store."""
    connection.execute("INSERT INTO encoders (id, name, width, dtype) VALUES (1, ?, ?, ?)", (encoder, width, dtype))
    settings = {"encoder": "1", "texts": "1" if texts else "0"}
    connection.executemany("INSERT INTO about VALUES (?, ?)", settings.items())
    _record(connection, 0, "create", 0, 0, 0, None)


def unknown_texts(connection: sqlite3.Connection, texts: Iterable[str]) -> list[str]:
    """Return the texts that have no vector in the store, each once."""
    encoder = encoder_of(connection)
    select = "SELECT 1 FROM embeddings WHERE encoder = ? AND hash = ?"
    return [
        text
        for text in dict.fromkeys(texts)
        if connection.execute(select, (encoder.id, _hash(text, None, encoder))).fetchone() is None
    ]


def forget_before(connection: sqlite3.Connection, version: int) -> None:
    """Delete the facts that had ended by this version, the versions before it, and the vectors that no fact has."""
    check_version(connection, version)
    connection.execute("DELETE FROM facts WHERE ended <= ?", (version,))
    connection.execute("DELETE FROM versions WHERE version < ?", (version,))
    connection.execute(
        "DELETE FROM embeddings WHERE id NOT IN (SELECT key_embedding FROM facts UNION SELECT value_embedding FROM facts)"
    )


def _record(
    connection: sqlite3.Connection, version: int, action: str, added: int, replaced: int, removed: int, note: str | None
) -> None:
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    connection.execute(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (version, secrets.token_hex(16), time, action, added, replaced, removed, note),
    )


def _texts(triple: Triple) -> tuple[str, str, str, str | None, str | None]:
    aliases = json.dumps(triple.aliases, ensure_ascii=False) if triple.aliases else None
    return triple.entity, triple.property, triple.value, aliases, triple.id


def text_hash(text: str) -> bytes:
    """Return what a text's vector is found by."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _hash(text: str, vector: FloatArray | None, encoder: StoreEncoder) -> bytes:
    if vector is None:
        return text_hash(text)
    # Vectors that no encoder is named for need not be a function of their text.
    data = text.encode() + b"\0" + vector.astype(encoder.dtype).tobytes()
    return hashlib.blake2b(data, digest_size=16).digest()
