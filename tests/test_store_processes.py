"""The store under sudden ends and concurrent use; see store_processes.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory if there is one: what SIGKILL does not depend on the disk, which may be slow."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def run(*arguments: object) -> str:
    command = [sys.executable, str(HERE / "store_processes.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_200_killed_writers_lose_nothing_that_they_acknowledged(folder: Path) -> None:
    said = run("kill", folder / "facts", 200, 1).split()
    assert said[0] == "200" and int(said[2]) > 200  # most were killed in the middle of their work


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_1000_killed_writers(folder: Path, seed: int) -> None:
    assert run("kill", folder / "facts", 200, seed).startswith("200 kills")


def test_four_readers_see_whole_versions_while_a_thousand_are_committed(folder: Path) -> None:
    assert run("read", folder / "facts", 1000) == "1000 commits, 4 readers\n"
