"""The column cache of a store: the vectors of one version in one file, mapped into memory and never copied.

The cache holds nothing that the database does not: it may be deleted at any time, and what is missing, damaged or of
another store is made again. A file is never written twice.

    4,096 bytes   CRC-32 and JSON: format, version, mark (see versions.mark), rows, width, dtype, checksum
    keys          (rows, D)
    values        (rows, D)
"""

from __future__ import annotations

import json
import mmap
import secrets
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kblam.knowledge.rows import FloatArray

__all__ = ["FOLDER", "cached_versions", "open_columns", "remove_other_columns", "write_columns"]

FOLDER = "columns"
HEADER = 4096
FORMAT = 1
ABANDONED = 600.0
"""Seconds after which a file that was not finished belongs to a process that died."""
_BLOCK = 1 << 24


def write_columns(directory: Path, version: int, mark: str, keys: FloatArray, values: FloatArray) -> bool:
    """Write the vectors of a version, whole or not at all; False where nothing can be written: it is only a cache."""
    about = {
        "format": FORMAT,
        "version": version,
        "mark": mark,
        "rows": len(keys),
        "width": keys.shape[1],
        "dtype": keys.dtype.str,
        "checksum": _checksum(keys, values),
    }
    path = _path(directory, version, mark)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        with aside.open("wb") as file:
            file.write(_header(about))
            for array in (keys, values):
                file.write(_bytes(array))
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        return False
    return True


def open_columns(directory: Path, version: int, mark: str) -> tuple[FloatArray, FloatArray] | None:
    """Return keys and values, (M, D) and mapped, from the cache of this version; None unless it is there and whole."""
    try:
        with _path(directory, version, mark).open("rb") as file:
            line = file.read(HEADER).rstrip(b"\0")
            about = json.loads(line[9:])
            if int(line[:8], 16) != zlib.crc32(line[9:]) or about["format"] != FORMAT or about["mark"] != mark:
                return None
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        shape, dtype = (about["rows"], about["width"]), np.dtype(about["dtype"])
        size = shape[0] * shape[1] * dtype.itemsize
        keys, values = (np.ndarray(shape, dtype, memory, HEADER + part * size) for part in range(2))
        return (keys, values) if _checksum(keys, values) == about["checksum"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cached_versions(directory: Path) -> list[tuple[int, str]]:
    """Return the versions, with their marks, that files of the cache are called after, newest first."""
    found = []
    for path in (directory / FOLDER).glob("*.columns"):
        number, _, mark = path.stem.partition("-")
        if number.isdigit():
            found.append((int(number), mark))
    return sorted(found, reverse=True)


def remove_other_columns(directory: Path, version: int, mark: str) -> None:
    """Delete every file of the cache but this version's; readers that mapped one keep what they have."""
    keep = _path(directory, version, mark)
    for path in keep.parent.glob("*"):
        with suppress(OSError):  # Windows does not delete what is mapped; a later call does
            if path != keep and (path.suffix == ".columns" or time.time() - path.stat().st_mtime > ABANDONED):
                path.unlink()


def _path(directory: Path, version: int, mark: str) -> Path:
    return directory / FOLDER / f"{version}-{mark}.columns"


def _header(about: dict[str, Any]) -> bytes:
    line = json.dumps(about).encode()
    return (b"%08x " % zlib.crc32(line) + line).ljust(HEADER, b"\0")


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1).data


def _checksum(keys: FloatArray, values: FloatArray) -> int:
    checksum = 0
    for array in (keys, values):
        data = _bytes(array)
        for start in range(0, len(data), _BLOCK):
            checksum = zlib.crc32(data[start : start + _BLOCK], checksum)
    return checksum
