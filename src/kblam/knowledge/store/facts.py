"""What is in a store, read inside one transaction: facts by row, by version, by words; versions; differences."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kblam.errors import KnowledgeError
from kblam.knowledge.snapshot import FloatArray
from kblam.knowledge.triples import Triple, trusted_triple

__all__ = [
    "Difference",
    "Record",
    "StoreEncoder",
    "Version",
    "about",
    "count_facts",
    "difference",
    "encoder_of",
    "facts_as_of",
    "find",
    "history_of",
    "list_versions",
    "mark_of",
    "oldest_version",
    "present_version",
    "read_page",
    "rows_since",
    "search_facts",
    "vectors_of",
]

TEXTS = "entity, property, value, aliases, source"
HELD = "began <= :version AND (ended IS NULL OR ended > :version)"


@dataclass(frozen=True)
class Version:
    """One entry of the store's history."""

    version: int
    time: str
    """UTC by the writer's clock, ISO 8601."""
    action: str
    added: int
    replaced: int
    removed: int
    note: str | None = None
    """Where the change came from: a file's name, the version that was gone back to."""


@dataclass(frozen=True)
class Record:
    """A fact, and the versions that held it: from `began` to before `ended`."""

    triple: Triple
    began: int
    ended: int | None


@dataclass(frozen=True)
class Difference:
    """What one version has and another has not; a replaced fact comes as before and after."""

    added: tuple[Triple, ...]
    removed: tuple[Triple, ...]
    replaced: tuple[tuple[Triple, Triple], ...]


@dataclass(frozen=True)
class StoreEncoder:
    """What makes the store's vectors."""

    id: int
    name: str | None
    width: int
    dtype: np.dtype[np.floating]


def triple_of(row: Sequence[str | None]) -> Triple:
    """Return the fact of a row that begins with entity, property, value, aliases, source."""
    entity, attribute, value, aliases, source = row[:5]
    return trusted_triple(
        str(entity), str(attribute), str(value), tuple(json.loads(aliases)) if aliases else (), source
    )


def about(connection: sqlite3.Connection, name: str) -> str | None:
    """Return one of the store's few settings."""
    found = connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
    return None if found is None else str(found[0])


def encoder_of(connection: sqlite3.Connection) -> StoreEncoder:
    """Return the encoder whose vectors the facts have."""
    number, name, width, dtype = connection.execute(
        "SELECT id, name, width, dtype FROM encoders WHERE id = (SELECT value FROM about WHERE name = 'encoder')"
    ).fetchone()
    return StoreEncoder(number, name, width, np.dtype(dtype))


def present_version(connection: sqlite3.Connection) -> int:
    """Return the number of the last commit."""
    return int(connection.execute("SELECT max(version) FROM versions").fetchone()[0])


def oldest_version(connection: sqlite3.Connection) -> int:
    """Return the first version that can still be read."""
    return int(connection.execute("SELECT min(version) FROM versions").fetchone()[0])


def mark_of(connection: sqlite3.Connection, version: int) -> str | None:
    """Return what tells this version from one of the same number in a copy of the store; None when it is gone."""
    found = connection.execute("SELECT mark FROM versions WHERE version = ?", (version,)).fetchone()
    return None if found is None else str(found[0])


def check_version(connection: sqlite3.Connection, version: int) -> None:
    """Raise KnowledgeError for a version that is not kept."""
    oldest, present = oldest_version(connection), present_version(connection)
    if not oldest <= version <= present:
        raise KnowledgeError(f"there is no version {version}: the store keeps {oldest} to {present}")


def count_facts(connection: sqlite3.Connection) -> int:
    """Return M, how many facts hold."""
    return int(connection.execute("SELECT ifnull(max(row) + 1, 0) FROM facts WHERE ended IS NULL").fetchone()[0])


def find(connection: sqlite3.Connection, entity: str, attribute: str) -> Triple | None:
    """Return the fact that holds with this identity."""
    row = connection.execute(
        f"SELECT {TEXTS} FROM facts WHERE entity = ? AND property = ? AND ended IS NULL", (entity, attribute)
    ).fetchone()
    return None if row is None else triple_of(row)


def read_page(connection: sqlite3.Connection, first: int, count: int | None) -> list[Triple]:
    """Return facts that hold, by row, from `first` on."""
    last = 2**62 if count is None else first + count
    rows = connection.execute(
        f"SELECT {TEXTS} FROM facts WHERE ended IS NULL AND row >= ? AND row < ? ORDER BY row", (first, last)
    )
    return [triple_of(row) for row in rows]


def search_facts(connection: sqlite3.Connection, words: str, first: int, count: int) -> list[Triple]:
    """Return facts that hold every one of the words somewhere in their texts.

    A scan: 21 ms for 100,000 facts, and a write costs nothing more. An index of trigrams would not find the words of
    two characters that Chinese and Japanese are made of.
    """
    conditions, values = [], []
    for word in words.split():
        # LIKE ignores the case of ASCII letters only.
        spellings = list(dict.fromkeys((word, word.lower(), word.upper(), word.title())))
        spellings = spellings[:1] if word.isascii() else spellings
        patterns = [f"%{_escaped(spelling)}%" for spelling in spellings]
        texts = ("entity", "property", "value", "aliases")
        conditions.append("(" + " OR ".join(f"{text} LIKE ? ESCAPE '\\'" for text in texts for _ in patterns) + ")")
        values += patterns * len(texts)
    rows = connection.execute(
        f"SELECT {TEXTS} FROM facts WHERE {' AND '.join(['ended IS NULL', *conditions])} ORDER BY row LIMIT ? OFFSET ?",
        (*values, count, first),
    )
    return [triple_of(row) for row in rows]


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def facts_as_of(connection: sqlite3.Connection, version: int) -> tuple[list[Triple], list[tuple[int, int]]]:
    """Return the facts of a version, in the order in which they came, and the ids of their key and value vectors."""
    check_version(connection, version)
    rows = connection.execute(
        f"SELECT {TEXTS}, key_embedding, value_embedding FROM facts WHERE {HELD} ORDER BY id", {"version": version}
    ).fetchall()
    return [triple_of(row) for row in rows], [row[5:] for row in rows]


def rows_since(connection: sqlite3.Connection, version: int) -> tuple[list[int], list[Triple], list[tuple[int, int]]]:
    """Return the rows whose fact came to its place after this version: numbers, facts, and ids of their vectors."""
    rows = connection.execute(
        f"SELECT {TEXTS}, key_embedding, value_embedding, row FROM facts INDEXED BY facts_by_placing "
        "WHERE ended IS NULL AND placed > ?",  # in the order of the index: sorting by row would read every row
        (version,),
    ).fetchall()
    rows.sort(key=lambda row: row[7])
    return [row[7] for row in rows], [triple_of(row) for row in rows], [row[5:7] for row in rows]


def vectors_of(connection: sqlite3.Connection, ids: Sequence[int], encoder: StoreEncoder) -> FloatArray:
    """Return (n, D) vectors, one for each id; raise KnowledgeError for one that is missing or damaged."""
    size = encoder.width * encoder.dtype.itemsize
    wanted, places = np.unique(np.array(ids, dtype=np.int64), return_inverse=True)
    rows = _embeddings(connection, wanted)
    good = [row for row in rows if len(row[1]) == size and zlib.crc32(row[1]) == row[2]]
    numbers = np.fromiter((row[0] for row in good), np.int64, len(good))
    missing = np.setdiff1d(wanted, numbers, assume_unique=True)
    if len(missing):
        file = Path(connection.execute("PRAGMA database_list").fetchone()[2])
        raise KnowledgeError(
            f"{file} is damaged (vector {missing[0]} is missing or changed): take the file from your last copy of it, "
            f"or export the facts with `kblam kb export {file.parent} facts.jsonl` and import them into a new store"
        )
    vectors: FloatArray = np.frombuffer(b"".join([row[1] for row in good]), encoder.dtype)
    return vectors.reshape(len(good), encoder.width)[np.searchsorted(numbers, wanted)[places]]


def _embeddings(connection: sqlite3.Connection, wanted: NDArray[np.int64]) -> list[tuple[int, bytes, int]]:
    """Return (id, vector, checksum) of those ids, and perhaps of others between them, by id."""
    select = "SELECT id, vector, checksum FROM embeddings WHERE id"
    if len(wanted) and wanted[-1] - wanted[0] < 4 * len(wanted):
        limits = int(wanted[0]), int(wanted[-1])
        return connection.execute(f"{select} BETWEEN ? AND ? ORDER BY id", limits).fetchall()
    return [row for number in wanted.tolist() for row in connection.execute(f"{select} = ?", (number,))]


def history_of(connection: sqlite3.Connection, entity: str, attribute: str | None) -> list[Record]:
    """Return everything that was said of an entity, or of one property of it, oldest first."""
    only = "" if attribute is None else " AND property = :property"
    rows = connection.execute(
        f"SELECT {TEXTS}, began, ended, id FROM facts WHERE ended IS NULL AND entity = :entity{only} UNION ALL "
        f"SELECT {TEXTS}, began, ended, id FROM facts WHERE ended IS NOT NULL AND entity = :entity{only} ORDER BY began, id",
        {"entity": entity, "property": attribute},
    )
    return [Record(triple_of(row), row[5], row[6]) for row in rows]


def list_versions(connection: sqlite3.Connection, count: int) -> list[Version]:
    """Return the latest versions, newest first."""
    rows = connection.execute(
        "SELECT version, time, action, added, replaced, removed, note FROM versions ORDER BY version DESC LIMIT ?",
        (count,),
    )
    return [Version(*row) for row in rows]


def difference(connection: sqlite3.Connection, old: int, new: int) -> Difference:
    """Return what must be done to version `old` to have version `new`, which may be the earlier one."""
    before, after = (_held_only_in(connection, here, there) for here, there in ((old, new), (new, old)))
    both = [identity for identity in after if identity in before]
    changed = [(before[identity], after[identity]) for identity in both if before[identity] != after[identity]]
    return Difference(
        added=tuple(after[identity] for identity in after if identity not in before),
        removed=tuple(before[identity] for identity in before if identity not in after),
        replaced=tuple(changed),
    )


def _held_only_in(connection: sqlite3.Connection, here: int, there: int) -> dict[tuple[str, str], Triple]:
    """Return the facts of version `here` whose record is not in version `there`; both are kept versions."""
    for version in (here, there):
        check_version(connection, version)
    gone = "ended IS NOT NULL AND ended > :here AND ended <= :there AND began <= :here"
    came = "began > :there AND began <= :here AND (ended IS NULL OR ended > :here)"
    rows = connection.execute(
        f"SELECT {TEXTS} FROM facts WHERE {gone if here < there else came} ORDER BY id", {"here": here, "there": there}
    )
    return {triple.identity: triple for triple in map(triple_of, rows)}
