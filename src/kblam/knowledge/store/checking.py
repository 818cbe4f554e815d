"""Whether a store is whole: what `kblam kb check` reads and compares."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from kblam.errors import KnowledgeError
from kblam.knowledge.store.changes import text_hash
from kblam.knowledge.store.columns import cached_versions, open_columns
from kblam.knowledge.store.database import Database
from kblam.knowledge.store.facts import (
    count_facts,
    encoder_of,
    facts_as_of,
    mark_of,
    oldest_version,
    present_version,
    triple_of,
)
from kblam.knowledge.triples import Triple

__all__ = ["CheckReport", "check_store"]

SHOWN = 20
"""Problems of one kind that are named."""


@dataclass(frozen=True)
class CheckReport:
    """What is wrong with a store, and what may be wrong with its facts."""

    facts: int
    version: int
    problems: tuple[str, ...]
    """One sentence each; none in a store that is whole."""
    cache: str
    """The state of the column cache, which is made again when it is needed."""
    conflicts: tuple[tuple[Triple, Triple], ...]
    """Facts about one thing under two spellings or names, with different values."""


def check_store(database: Database) -> CheckReport:
    """Read everything in one version, and compare."""
    problems: list[str] = []
    facts, version, cache = 0, 0, "unknown"
    conflicts: tuple[tuple[Triple, Triple], ...] = ()
    try:
        with database.reading_apart() as connection:
            problems += _pages(connection)
            facts, version = count_facts(connection), present_version(connection)
            for kind in (_rows, _versions, _embeddings, _texts):
                problems += _some(kind(connection))
            cache = _cache(database, connection, version)
            conflicts = tuple(_conflicts(facts_as_of(connection, version)[0]))
    except KnowledgeError as error:
        problems.append(str(error))
    return CheckReport(facts, version, tuple(problems), cache, conflicts)


def _some(problems: Iterator[str]) -> list[str]:
    found = list(problems)
    more = [f"and {len(found) - SHOWN:,} more of the last kind"] if len(found) > SHOWN else []
    return found[:SHOWN] + more


def _pages(connection: sqlite3.Connection) -> list[str]:
    found = [str(line) for (line,) in connection.execute(f"PRAGMA integrity_check({SHOWN})")]
    return [] if found == ["ok"] else [f"the database file is damaged: {' '.join(line.split())}" for line in found]


def _rows(connection: sqlite3.Connection) -> Iterator[str]:
    """Facts that hold have the rows 0, 1, 2 ..., others have none."""
    held, least, most = connection.execute(
        "SELECT count(*), min(row), max(row) FROM facts WHERE ended IS NULL"
    ).fetchone()
    if held and (least, most) != (0, held - 1):
        yield f"{held:,} facts hold, but their rows go from {least} to {most}"
    wrong = "SELECT id FROM facts WHERE (ended IS NULL) != (row IS NOT NULL)"
    yield from (
        f"fact {number} holds without a row, or has one without holding" for (number,) in connection.execute(wrong)
    )


def _versions(connection: sqlite3.Connection) -> Iterator[str]:
    """Versions have no gaps, facts begin before they end, and no fact begins or ends in a version that is not there."""
    oldest, present = oldest_version(connection), present_version(connection)
    (count,) = connection.execute("SELECT count(*) FROM versions").fetchone()
    if count != present - oldest + 1:
        yield f"{count:,} versions are listed from {oldest} to {present}"
    wrong = (
        "SELECT id FROM facts WHERE began > :present OR ended > :present OR ended <= began OR ended <= :oldest "
        "OR placed < began OR placed > :present"
    )
    limits = {"oldest": oldest, "present": present}
    yield from (f"fact {number} begins or ends in no version" for (number,) in connection.execute(wrong, limits))
    counts = (
        "SELECT version, added + replaced, (SELECT count(*) FROM facts WHERE began = version) FROM versions "
        "WHERE version > ?"
    )
    if oldest == 0:  # later on, facts that ended have been forgotten
        for version, said, found in connection.execute(counts, (oldest,)):
            if said != found:
                yield f"version {version} says that it brought {said:,} facts, but {found:,} began in it"


def _embeddings(connection: sqlite3.Connection) -> Iterator[str]:
    """Vectors have their width and are what they were when they were written."""
    encoder = encoder_of(connection)
    size = encoder.width * encoder.dtype.itemsize
    for number, vector, checksum in connection.execute("SELECT id, vector, checksum FROM embeddings"):
        if len(vector) != size or zlib.crc32(vector) != checksum:
            yield f"vector {number} is not what was written"


def _texts(connection: sqlite3.Connection) -> Iterator[str]:
    """The texts of the facts are the ones that their vectors were made of."""
    named = encoder_of(connection).name is not None
    rows = connection.execute(
        "SELECT entity, property, value, aliases, source, f.id, k.hash, v.hash FROM facts f "
        "LEFT JOIN embeddings k ON k.id = key_embedding LEFT JOIN embeddings v ON v.id = value_embedding"
    )
    for row in rows:
        if row[6] is None or row[7] is None:
            yield f"fact {row[5]} has no vector"
        elif named:
            triple = triple_of(row)
            if (text_hash(triple.key_text), text_hash(triple.value_text)) != row[6:]:
                yield f"fact {row[5]} ({triple.key_text}) is not what was written"


def _cache(database: Database, connection: sqlite3.Connection, version: int) -> str:
    for number, mark in cached_versions(database.directory):
        if number <= version and mark_of(connection, number) == mark:
            whole = open_columns(database.directory, number, mark) is not None
            return f"whole, of version {number}" if whole else "damaged: it is made again when it is needed"
    return "absent: it is made when it is needed"


def _conflicts(triples: list[Triple]) -> Iterator[tuple[Triple, Triple]]:
    """Pairs that say different things of one property of one thing, by another spelling or an alias."""
    said: dict[tuple[str, str], Triple] = {}
    for triple in triples:
        said.setdefault((_folded(triple.entity), _folded(triple.property)), triple)
    seen: set[frozenset[tuple[str, str]]] = set()
    for triple in triples:
        for name in (triple.entity, *triple.aliases):
            other = said.get((_folded(name), _folded(triple.property)))
            if other is None or other.identity == triple.identity or other.value == triple.value:
                continue
            pair = frozenset((other.identity, triple.identity))
            if pair not in seen:
                seen.add(pair)
                yield other, triple


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
