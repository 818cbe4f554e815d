"""Files and directories that are there whole or not at all: written beside their place, then renamed over it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kblam.errors import InputError

__all__ = ["check_replaceable", "replace_directory", "replace_file"]


def check_replaceable(path: Path, mark: str | None = None) -> None:
    """Raise InputError unless a file (or, with a mark, a directory) can be put at this path.

    A directory is replaced only when it is empty or holds the file `mark`, which says that we wrote it: a mistyped
    path must not delete somebody's folder.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}, so make it first")
    if not path.exists():
        return
    if mark is None and path.is_dir():
        raise InputError(f"{path} is a folder, so no file can be written there: give a file name")
    if mark is not None and not path.is_dir():
        raise InputError(f"{path} is a file, so no folder can be written there: give another name")
    if mark is not None and any(path.iterdir()) and not (path / mark).is_file():
        raise InputError(f"{path} holds other files (it has no {mark}) and is left alone: give another name")


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well that file takes the place of `path`, else it is deleted."""
    path = Path(path).resolve()
    check_replaceable(path)
    aside = _beside(path, "part")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replace_directory(path: str | Path, mark: str) -> Iterator[Path]:
    """Yield an empty directory to fill; when the block ends well it takes the place of `path`, else it is deleted.

    `mark` is a file that every directory of this kind holds (see check_replaceable).
    """
    path = Path(path).resolve()
    check_replaceable(path, mark)
    aside = _beside(path, "part")
    try:
        aside.mkdir()
        yield aside
        _swap(aside, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _swap(aside: Path, path: Path) -> None:
    """Put `aside` at `path`; what was there is deleted last, and comes back if the second rename fails."""
    if not path.exists():
        aside.rename(path)
        return
    old = _beside(path, "old.part")
    path.rename(old)
    try:
        aside.rename(path)
    except OSError:
        with suppress(OSError):
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path, suffix: str) -> Path:
    # A name of its own for each writer: two processes that write the same file do not write into each other's.
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.{suffix}")


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {error.strerror or error}")
