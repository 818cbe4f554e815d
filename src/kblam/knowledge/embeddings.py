"""Facts with their vectors on disk: `embeddings.npy`, one file, or a directory for any size.

The file is one 0-dimensional structured array: np.load(path, allow_pickle=False) opens it and ["keys"] is an array.

    about    uint8    UTF-8 JSON: format, format_version, encoder, width, rows, texts, kblam (the version that wrote it)
    triples  uint8    UTF-8 JSON lines, a row each; nothing when `texts` is false
    keys     float16  (M, D)
    values   float16  (M, D)

The directory holds the same as about.json, triples.jsonl, keys.npy and values.npy, in the precision the vectors have.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kblam.errors import KnowledgeError
from kblam.knowledge.aside import replace_directory, replace_file
from kblam.knowledge.encoders import known_width
from kblam.knowledge.files import json_row, triples_from_json
from kblam.knowledge.snapshot import FloatArray, Snapshot, checked_vectors, nameless_triples
from kblam.knowledge.store.database import is_store
from kblam.knowledge.triples import Triple
from kblam.version import __version__

__all__ = [
    "ABOUT",
    "check_no_store",
    "load_array",
    "load_directory",
    "load_embeddings",
    "save_directory",
    "save_embeddings",
]

FORMAT = "kblam-embeddings"
FORMAT_VERSION = 1
ABOUT = "about.json"
LARGEST_RECORD = 2**31 - 1
"""NumPy counts the bytes of one record in a C int."""

_FIELDS = ("about", "triples", "keys", "values")
_ALIGNMENT = 64


class HasSnapshot(Protocol):
    """A knowledge base, seen from below."""

    def snapshot(self) -> Snapshot:
        """Return its present version."""


def save_embeddings(path: str | Path, base: HasSnapshot) -> None:
    """Write facts and vectors (float16) as one .npy file, whole or not at all.

    Raises KnowledgeError over 2 GiB (the directory form takes any size) and for vectors that float16 cannot hold.
    """
    path, snapshot = Path(path), base.snapshot()
    # Padded, so that the vectors lie at addresses that every library can use in place.
    about = _bytes(_about(snapshot), b" ")
    triples = _bytes(_lines(snapshot), b"\n")
    shape = snapshot.keys.shape
    check_record_size(path, rows=shape[0], width=shape[1], texts=len(about) + len(triples))
    record = np.zeros(
        (),
        dtype=[
            ("about", "u1", (len(about),)),
            ("triples", "u1", (len(triples),)),
            ("keys", "<f2", shape),
            ("values", "<f2", shape),
        ],
    )
    record["about"], record["triples"] = about, triples
    record["keys"], record["values"] = _halves(snapshot.keys, path), _halves(snapshot.values, path)
    with replace_file(path) as aside, aside.open("wb") as file:
        np.save(file, record, allow_pickle=False)


def check_record_size(path: Path, rows: int, width: int, texts: int = 0) -> None:
    """Raise KnowledgeError when so many facts do not fit in one file."""
    if texts + 4 * rows * width > LARGEST_RECORD:
        raise KnowledgeError(
            f"{path} cannot hold {rows:,} facts, for one .npy record ends at 2 GiB: "
            f"write a directory instead, by a name without .npy such as {path.with_suffix('').name}"
        )


def load_embeddings(path: str | Path) -> Snapshot:
    """Return what save_embeddings wrote; raise KnowledgeError for everything else, pickles included."""
    path = Path(path)
    record = load_array(path)
    if record.dtype.names != _FIELDS or record.shape != ():
        raise KnowledgeError(
            f"{path} holds an array that kblam embed did not write: make the file again from the facts with kblam embed"
        )
    about = _checked_about(record["about"].tobytes(), path)
    return _snapshot(about, record["triples"].tobytes(), record["keys"], record["values"], path)


def load_array(path: Path, mapped: bool = False) -> NDArray[Any]:
    """Return the one array of a .npy file; raise KnowledgeError when it is missing, cut short, or holds objects.

    mapped: read-only and memory-mapped, except on Windows, where nobody could replace the file meanwhile.
    """
    if path.is_dir() or not path.exists():
        raise KnowledgeError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}: give a .npy file")
    try:
        array = np.load(path, mmap_mode="r" if mapped and os.name != "nt" else None, allow_pickle=False)
    except OSError as error:
        raise KnowledgeError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, SyntaxError, MemoryError) as error:
        raise KnowledgeError(
            f"{path} is cut short, holds Python objects, or is no NumPy file: make it again with kblam embed"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise KnowledgeError(f"{path} is an archive of arrays, not one array: make it again with kblam embed")
    return array


def save_directory(path: str | Path, base: HasSnapshot) -> None:
    """Write facts and vectors as a directory, whole or not at all; one that kblam wrote there before is replaced.

    A directory with other contents is left alone (InputError), and so is a store.
    """
    check_no_store(path)
    snapshot = base.snapshot()
    with replace_directory(path, mark=ABOUT) as aside:
        (aside / "triples.jsonl").write_bytes(_lines(snapshot))
        for name, array in (("keys", snapshot.keys), ("values", snapshot.values)):
            with (aside / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
        (aside / ABOUT).write_bytes(_about(snapshot) + b"\n")


def check_no_store(path: str | Path) -> None:
    """Raise KnowledgeError for a directory with a store, whose history would be lost."""
    if is_store(Path(path)):
        raise KnowledgeError(f"{path} holds a store and is left alone: use `kblam kb import`, or give another name")


def load_directory(path: str | Path) -> Snapshot:
    """Return what save_directory wrote, its vectors memory-mapped, or what a store holds now.

    Raises KnowledgeError for everything else.
    """
    path = Path(path)
    if is_store(path):
        from kblam.knowledge.store.store import open_store  # which stands on this module

        with open_store(path) as store:
            return store.snapshot()
    parts = {}
    for name in (ABOUT, "triples.jsonl"):
        try:
            parts[name] = (path / name).read_bytes()
        except OSError as error:
            raise KnowledgeError(
                f"{path} is no knowledge directory, for its {name} cannot be read ({error.strerror}): "
                "give one that kblam wrote, or a file of facts"
            ) from error
    about = _checked_about(parts[ABOUT], path / ABOUT)
    keys, values = (load_array(path / f"{name}.npy", mapped=True) for name in ("keys", "values"))
    return _snapshot(about, parts["triples.jsonl"], keys, values, path)


def _about(snapshot: Snapshot) -> bytes:
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "encoder": snapshot.encoder_name,
        "width": snapshot.width,
        "rows": len(snapshot.triples),
        "texts": snapshot.has_texts,
        "kblam": __version__,
    }
    return json.dumps(about, ensure_ascii=False).encode()


def _lines(snapshot: Snapshot) -> bytes:
    if not snapshot.has_texts:
        return b""
    return "".join(json.dumps(json_row(triple), ensure_ascii=False) + "\n" for triple in snapshot.triples).encode()


def _bytes(data: bytes, padding: bytes) -> NDArray[np.uint8]:
    length = -(-len(data) // _ALIGNMENT) * _ALIGNMENT
    return np.frombuffer(data.ljust(length, padding), dtype=np.uint8)


def _halves(vectors: FloatArray, path: Path) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16, copy=False)
    if halves.dtype != vectors.dtype and not np.isfinite(halves).all():
        raise KnowledgeError(
            f"{path} holds float16, too small for a number in these vectors: write a directory instead"
        )
    return halves


def _checked_about(data: bytes, path: Path) -> dict[str, Any]:
    try:
        about = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise KnowledgeError(
            f"{path} is damaged (its description is not JSON): make it again with kblam embed"
        ) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise KnowledgeError(f"{path} is not of the format {FORMAT}: make it again with kblam embed")
    if about.get("format_version") != FORMAT_VERSION:
        raise KnowledgeError(
            f"{path} is of format version {about.get('format_version')}, this kblam ({__version__}) reads "
            f"{FORMAT_VERSION}: upgrade kblam or make the file again"
        )
    if not isinstance(about.get("encoder"), str | None):
        raise KnowledgeError(f"{path} is damaged (its encoder is not a name): make it again with kblam embed")
    return about


def _snapshot(about: dict[str, Any], lines: bytes, keys: FloatArray, values: FloatArray, path: Path) -> Snapshot:
    keys, values = checked_vectors(keys, values, str(path))
    encoder = about["encoder"]
    width = known_width(encoder) if encoder else None
    if about.get("width") != keys.shape[1] or (width or keys.shape[1]) != keys.shape[1]:
        raise KnowledgeError(
            f"{path} says that its vectors have {about.get('width')} numbers (encoder {encoder}), but they have "
            f"{keys.shape[1]}: make it again with kblam embed"
        )
    triples: Sequence[Triple]
    try:
        triples = triples_from_json(lines.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        raise KnowledgeError(f"{path} is damaged (its texts are not UTF-8): make it again with kblam embed") from error
    has_texts = about.get("texts") is not False
    if not triples and not has_texts:
        triples = nameless_triples(len(keys))
    if not len(triples) == len(keys) == about.get("rows"):
        raise KnowledgeError(
            f"{path} has {len(triples):,} facts, {len(keys):,} vectors and says {about.get('rows')}: "
            "make it again with kblam embed"
        )
    return Snapshot(tuple(triples), keys, values, encoder_name=encoder, has_texts=has_texts)
