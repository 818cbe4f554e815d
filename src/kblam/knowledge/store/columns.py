"""The column cache of a store: the vectors of one version in one file, mapped into memory and never copied.

The cache holds nothing that the database does not: it may be deleted at any time, and what is missing, damaged or of
another store is made again. A file is never written twice. A reader maps it privately and writes the rows that changed
since into its own mapping, so that a version stays what it was while the next one is answered from.

    4,096 bytes   CRC-32 and JSON: format, version, mark (see versions.mark), rows, capacity, width, dtype, checksum
    keys          (capacity, D), of which the first `rows` count; the rest takes no place on the disk
    values        (capacity, D)
"""

from __future__ import annotations

import json
import mmap
import secrets
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["FOLDER", "Columns", "cached_versions", "open_columns", "remove_other_columns", "write_columns"]

FOLDER = "columns"
HEADER = 4096
FORMAT = 1
SPARE = 1024
"""Rows that a small store can grow by before the cache is made anew; they take no place on the disk."""
ABANDONED = 600.0
"""Seconds after which a file that was not finished belongs to a process that died."""
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Columns:
    """A cache file that was found whole."""

    path: Path
    file: BinaryIO
    """Held open, for another process may put a newer file in the place of this one and delete it."""
    version: int
    mark: str
    rows: int
    capacity: int
    width: int
    dtype: np.dtype[np.floating[Any]]

    def map(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
        """Return keys and values, (capacity, D); what is written to them stays in this mapping."""
        shape = (self.capacity, self.width)
        size = self.capacity * self.width * self.dtype.itemsize
        memory = mmap.mmap(self.file.fileno(), HEADER + 2 * size, access=mmap.ACCESS_COPY)
        keys, values = (np.ndarray(shape, self.dtype, buffer=memory, offset=HEADER + part * size) for part in range(2))
        return keys, values


def write_columns(directory: Path, version: int, mark: str, keys: NDArray[Any], values: NDArray[Any]) -> Columns | None:
    """Write the vectors of a version, whole or not at all; None where nothing can be written: the cache is a comfort."""
    rows, width = keys.shape
    capacity = rows + max(SPARE, rows // 8)
    about = {
        "format": FORMAT,
        "version": version,
        "mark": mark,
        "rows": rows,
        "capacity": capacity,
        "width": width,
        "dtype": keys.dtype.str,
        "checksum": _checksum(keys, values),
    }
    folder = directory / FOLDER
    path = folder / _name(version, mark)
    aside = folder / f"{path.name}.{secrets.token_hex(4)}.part"
    try:
        folder.mkdir(exist_ok=True)
        with aside.open("wb") as file:
            file.write(_header(about))
            file.write(np.ascontiguousarray(keys).view(np.uint8).data)
            file.seek(HEADER + capacity * width * keys.itemsize)
            file.write(np.ascontiguousarray(values).view(np.uint8).data)
            file.truncate(HEADER + 2 * capacity * width * keys.itemsize)
        aside.replace(path)
        return Columns(path, path.open("rb"), version, mark, rows, capacity, width, keys.dtype)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        return None


def open_columns(directory: Path, version: int, mark: str) -> Columns | None:
    """Return the cache of this version if it is there and whole."""
    path = directory / FOLDER / _name(version, mark)
    try:
        file = path.open("rb")
    except OSError:
        return None
    try:
        line = file.read(HEADER).rstrip(b"\0")
        about = json.loads(line[9:])
        if int(line[:8], 16) != zlib.crc32(line[9:]) or about["format"] != FORMAT or about["mark"] != mark:
            raise ValueError("another format or version")
        dtype = np.dtype(about["dtype"])
        columns = Columns(path, file, version, mark, about["rows"], about["capacity"], about["width"], dtype)
        keys, values = columns.map()
        if _checksum(keys[: columns.rows], values[: columns.rows]) != about["checksum"]:
            raise ValueError("damaged")
    except (OSError, ValueError, KeyError, TypeError):
        file.close()
        return None
    return columns


def cached_versions(directory: Path) -> list[tuple[int, str]]:
    """Return the versions, with their marks, that files of the cache are called after, newest first."""
    found = []
    for path in (directory / FOLDER).glob("*.columns"):
        number, _, mark = path.stem.partition("-")
        if number.isdigit():
            found.append((int(number), mark))
    return sorted(found, reverse=True)


def remove_other_columns(directory: Path, keep: Path) -> None:
    """Delete every other file of the cache; readers that mapped one keep what they have."""
    for path in (directory / FOLDER).glob("*"):
        with suppress(OSError):  # Windows does not delete what is mapped; a later call does
            if path != keep and (path.suffix == ".columns" or time.time() - path.stat().st_mtime > ABANDONED):
                path.unlink()


def _name(version: int, mark: str) -> str:
    return f"{version}-{mark}.columns"


def _header(about: dict[str, Any]) -> bytes:
    line = json.dumps(about).encode()
    return (b"%08x " % zlib.crc32(line) + line).ljust(HEADER, b"\0")


def _checksum(keys: NDArray[Any], values: NDArray[Any]) -> int:
    checksum = 0
    for array in (keys, values):
        data = np.ascontiguousarray(array).view(np.uint8).reshape(-1).data
        for start in range(0, len(data), _BLOCK):
            checksum = zlib.crc32(data[start : start + _BLOCK], checksum)
    return checksum
