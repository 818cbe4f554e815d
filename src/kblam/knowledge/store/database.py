"""The SQLite file of a store: its tables, their numbered migrations, its connections, and what their errors mean.

Write-ahead logging lets any number of readers go on, each in the version it began with, while one writer works; a
commit is on the disk when it returns (synchronous = FULL), and a killed writer leaves nothing of what it had begun.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kblam.errors import KnowledgeError
from kblam.version import __version__

__all__ = ["FILE", "MIGRATIONS", "Database", "create_database", "explained", "is_store"]

FILE = "facts.sqlite3"
APPLICATION = 0x6B626C6D
"""Marks the file as ours, in the place where the tool `file` looks."""
PATIENCE = 10.0
"""Seconds that a writer waits for another one."""
LEAST_SPACE = 1 << 18
"""Bytes without which a disk counts as full: SQLite calls it an error of the disk when a helper file cannot be made."""
WRITE_CACHE = 262_144
"""KiB of pages that the writer may hold before it must write them in the middle of a change."""

MIGRATIONS = (
    """
    CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
    CREATE TABLE versions (
        version INTEGER PRIMARY KEY,
        mark TEXT NOT NULL,          -- random, so that a copy of the store that went another way is told apart
        time TEXT NOT NULL,          -- UTC, for people: nothing is ordered by it
        action TEXT NOT NULL,
        added INTEGER NOT NULL, replaced INTEGER NOT NULL, removed INTEGER NOT NULL,
        note TEXT
    );
    CREATE TABLE encoders (id INTEGER PRIMARY KEY, name TEXT UNIQUE, width INTEGER NOT NULL, dtype TEXT NOT NULL);
    CREATE TABLE embeddings (
        id INTEGER PRIMARY KEY,
        encoder INTEGER NOT NULL,
        hash BLOB NOT NULL,          -- of the text
        vector BLOB NOT NULL,
        checksum INTEGER NOT NULL    -- of the vector, for SQLite does not notice a flipped bit
    );
    CREATE UNIQUE INDEX embeddings_of_text ON embeddings (encoder, hash);
    CREATE TABLE facts (
        id INTEGER PRIMARY KEY,
        entity TEXT NOT NULL, property TEXT NOT NULL, value TEXT NOT NULL,
        aliases TEXT,                -- a JSON array
        source TEXT,                 -- the fact's own id where it came from
        began INTEGER NOT NULL,
        ended INTEGER,               -- null while it holds
        row INTEGER,                 -- its place among the facts that hold, 0, 1, 2 ...
        placed INTEGER NOT NULL,     -- the version in which it came to this place
        key_embedding INTEGER NOT NULL, value_embedding INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX facts_that_hold ON facts (entity, property) WHERE ended IS NULL;
    CREATE UNIQUE INDEX facts_by_row ON facts (row) WHERE ended IS NULL;
    CREATE INDEX facts_by_placing ON facts (placed) WHERE ended IS NULL;
    CREATE INDEX facts_by_beginning ON facts (began);
    CREATE INDEX facts_of_the_past ON facts (entity, property) WHERE ended IS NOT NULL;
    CREATE INDEX facts_by_ending ON facts (ended) WHERE ended IS NOT NULL;
    """,
)
"""Step n takes a store of schema n to n + 1; a step that was released is never changed."""


class Database:
    """The connections to one store: one for reading, one for writing, each used by one thread at a time."""

    def __init__(self, directory: Path, patience: float = PATIENCE) -> None:
        """Open the store in this directory; raise KnowledgeError when it is damaged or of a newer schema."""
        self.directory, self.path, self.patience = directory, directory / FILE, patience
        self._reading, self._writing = threading.RLock(), threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._writer_seen: tuple[int, ...] = ()
        self._seen: tuple[int, ...] | None = None
        self._outside = False
        """Whether the reader stands outside of SQLite's locking, because it can write nothing here."""
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self.read_only = not (os.access(self.path, os.W_OK) and os.access(directory, os.W_OK))
        self._open()

    def _open(self) -> None:
        with explained(self.path, self.patience):
            self._outside = self.read_only
            try:
                self._reader = self._read_only_connection() if self.read_only else self._connect(self.path, "mode=rw")
            except sqlite3.OperationalError:
                # On a full disk there is no room for the index of the write-ahead log, but reading goes on.
                if not _is_full(self.directory):
                    raise
                self._outside, self._reader = True, self._read_only_connection()
            self._seen = self._signature()
            self._check_schema()

    def _connect(self, path: Path, options: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?{options}",
            uri=True,
            timeout=self.patience,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        return connection

    def _read_only_connection(self) -> sqlite3.Connection:
        """Return a connection that writes nothing into the directory."""
        try:
            connection = self._connect(self.path, "mode=ro")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            # Without the right to make the index of the write-ahead log, the log can only be read in a copy.
            log = self.path.with_name(FILE + "-wal")
            if not (log.exists() and log.stat().st_size):
                return self._connect(self.path, "immutable=1")
            self._copy = tempfile.TemporaryDirectory(prefix="kblam-")
            for file in (self.path, log):
                shutil.copyfile(file, Path(self._copy.name) / file.name)
            return self._connect(Path(self._copy.name) / FILE, "mode=rw")
        return connection

    def _check_schema(self) -> None:
        (schema,) = self._reader.execute("PRAGMA user_version").fetchone()
        (application,) = self._reader.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION:
            raise KnowledgeError(f"{self.path} is no kblam store: give a directory that `kblam kb create` made")
        if schema > len(MIGRATIONS):
            raise KnowledgeError(
                f"{self.path} was written by a newer kblam (schema {schema}, this kblam {__version__} knows "
                f"{len(MIGRATIONS)}) and is left alone: upgrade kblam"
            )
        if schema < len(MIGRATIONS):
            self._migrate(schema)

    def _migrate(self, schema: int) -> None:
        """Bring an older store to the present schema in one transaction, after a copy of it was put beside it."""
        if self.read_only:
            raise KnowledgeError(
                f"{self.path} is of an older schema ({schema}) and read-only: make it writeable so that it can be updated"
            )
        with self.writing() as connection:
            (schema,) = connection.execute("PRAGMA user_version").fetchone()  # another process may have been first
            if schema == len(MIGRATIONS):
                return
            self.copy_to(self.path.with_name(f"{FILE}.schema-{schema}"))
            _run_migrations(connection, schema)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one version from the beginning of the block to its end."""
        with self._reading, explained(self.path, self.patience):
            if self._signature() != self._seen:
                self._reader.close()
                self._open()
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                with suppress(sqlite3.Error):
                    self._reader.execute("ROLLBACK")

    @contextmanager
    def reading_apart(self) -> Iterator[sqlite3.Connection]:
        """Like reading, by a connection of its own: for what takes long, while other threads go on."""
        other = Database(self.directory, self.patience)
        try:
            with other.reading() as connection:
                yield connection
        finally:
            other.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection of the one writer; all that the block did is kept when it ends well, else nothing."""
        if self.read_only:
            raise KnowledgeError(
                f"{self.directory} is read-only, so nothing was changed: make it writeable, or copy it"
            )
        with self._writing, explained(self.path, self.patience):
            connection = self.writer()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def writer(self) -> sqlite3.Connection:
        """Return the writing connection outside of a transaction."""
        if self._writer is None or self._writer_seen != self._signature():
            if self._writer is not None:
                self._writer.close()
            self._writer_seen = self._signature()
            self._writer = self._connect(self.path, "mode=rw")
            self._writer.execute(f"PRAGMA cache_size = -{WRITE_CACHE}")
        return self._writer

    def copy_to(self, path: Path) -> None:
        """Write the present version of the file to another place, where a file of that name is replaced."""
        aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        with self._reading, explained(path, self.patience):
            target = sqlite3.connect(aside)
            try:
                self._reader.backup(target)
                target.close()
                aside.replace(path)
            finally:
                target.close()
                aside.unlink(missing_ok=True)

    def checkpoint(self) -> None:
        """Move what was committed from the write-ahead log into the file, as far as readers let it."""
        with self._writing, explained(self.path, self.patience):
            self.writer().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def tidy(self) -> None:
        """Give unused pages back to the disk; there is a moment's need for as much space again."""
        with self._writing, explained(self.path, self.patience):
            self.writer().execute("VACUUM")
        self.checkpoint()

    def close(self) -> None:
        """Let go of the files; they are opened again when they are needed."""
        with self._reading, self._writing:
            self._reader.close()
            if self._writer is not None:
                self._writer.close()
            self._seen, self._writer = None, None
            if self._copy is not None:
                self._copy.cleanup()

    def _signature(self) -> tuple[int, ...]:
        """Return what differs when another file was put in the place of the one that is open."""
        paths = [self.path]
        if self._outside:  # then the connection does not notice what others write either
            paths.append(self.path.with_name(f"{FILE}-wal"))
        marks: list[int] = []
        for path in paths:
            with suppress(FileNotFoundError):
                status = path.stat()
                marks += (status.st_dev, status.st_ino)
                marks += (status.st_mtime_ns, status.st_size) if self._outside else ()
        return tuple(marks)


def _is_full(directory: Path) -> bool:
    return shutil.disk_usage(directory).free < LEAST_SPACE


def is_store(directory: Path) -> bool:
    """True for a directory that holds a store."""
    return (directory / FILE).is_file()


def create_database(path: Path) -> sqlite3.Connection:
    """Return a connection to a new, empty store file that nobody else knows yet."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    _run_migrations(connection, 0)
    connection.execute("COMMIT")
    return connection


def _run_migrations(connection: sqlite3.Connection, schema: int) -> None:
    """Take the steps that are missing, inside the caller's transaction (executescript would end it)."""
    for step in MIGRATIONS[schema:]:
        lines = "\n".join(line.split("--")[0] for line in step.splitlines())
        for statement in lines.split(";"):
            if statement.strip():
                connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def explained(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Turn what SQLite says into one sentence that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise KnowledgeError(_sentence(path, str(error), patience)) from error


def _sentence(path: Path, said: str, patience: float) -> str:
    directory = path.parent
    if "locked" in said or "busy" in said:
        return f"{directory} is being changed by another writer for more than {patience:g} seconds: try again later"
    if "full" in said or ("disk I/O" in said and directory.is_dir() and _is_full(directory)):
        return f"the disk of {directory} is full, so nothing was changed: free some space and do it again"
    if "readonly" in said:
        return f"{directory} is read-only, so nothing was changed: make it writeable, or copy it"
    if "unable to open" in said:
        return f"{path} cannot be opened: check that it is there and that you may read it"
    return (
        f"{path} is damaged or cannot be read ({said}): `kblam kb check {directory}` says more; "
        "take the file from your last copy of it"
    )
