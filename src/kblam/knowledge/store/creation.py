"""New stores: whole or not at all, also out of the directories that kblam wrote before there were stores."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from kblam.errors import KnowledgeError
from kblam.knowledge.embeddings import ABOUT, load_directory
from kblam.knowledge.encoders import Encoder
from kblam.knowledge.snapshot import Snapshot
from kblam.knowledge.store.changes import Writer, start
from kblam.knowledge.store.database import FILE, create_database, explained, is_store

__all__ = ["create_store", "is_old_directory", "make_store", "store_of_old_directory"]


def is_old_directory(directory: Path) -> bool:
    """True for a directory of facts as kblam 0.1 wrote it."""
    return (directory / ABOUT).is_file()


def create_store(directory: Path, encoder: Encoder) -> None:
    """Make an empty store; raise KnowledgeError where there is one already, or somebody else's files.

    An encoder whose name does not say its width is loaded for it (EncoderError when that fails).
    """
    if is_store(directory):
        raise KnowledgeError(f"{directory} holds a store already: use it, or give another name")
    if directory.exists() and (not directory.is_dir() or not all(_is_ours(path) for path in directory.iterdir())):
        raise KnowledgeError(f"{directory} holds other files and is left alone: give another name")
    make_store(directory, None, "create", encoder)


def _is_ours(path: Path) -> bool:
    """True for what another process leaves while it makes a store here."""
    return path.name.startswith(f"{FILE}.")


def store_of_old_directory(source: Path, target: Path) -> None:
    """Make a store in `target` of the facts of an old directory, whose files are only read."""
    snapshot = load_directory(source)
    make_store(target, snapshot, "migrate")


def make_store(directory: Path, snapshot: Snapshot | None, action: str, encoder: Encoder | None = None) -> None:
    """Make a store in a directory, with the facts of a snapshot as its version 1 if there is one."""
    path = directory / FILE
    width = encoder.width if encoder is not None else 0
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KnowledgeError(f"{directory} cannot be made: {error.strerror or error}") from error
    aside = directory / f"{FILE}.{secrets.token_hex(4)}.part"
    try:
        with explained(path):
            _fill(aside, snapshot, action, None if encoder is None else encoder.name, width)
        _put_in_place(aside, path)
    finally:
        for name in (aside.name, f"{aside.name}-wal", f"{aside.name}-shm"):
            (directory / name).unlink(missing_ok=True)


def _fill(aside: Path, snapshot: Snapshot | None, action: str, encoder: str | None, width: int) -> None:
    connection = create_database(aside)
    try:
        connection.execute("BEGIN IMMEDIATE")
        if snapshot is None:
            start(connection, encoder, width, "<f2", texts=True)
        else:
            dtype = snapshot.keys.dtype.newbyteorder("<").str
            start(connection, snapshot.encoder_name, snapshot.width, dtype, snapshot.has_texts)
            writer = Writer(connection)
            writer.put(zip(snapshot.triples, snapshot.keys, snapshot.values, strict=True))
            writer.record(action)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _put_in_place(aside: Path, path: Path) -> None:
    """Give the new file its name; of two processes that make one at once, the first wins."""
    try:
        os.link(aside, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        with suppress(FileExistsError):
            if not path.exists():
                aside.rename(path)
