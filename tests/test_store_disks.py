"""What a store says and keeps when its disk is full or read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_encoder import FakeEncoder, check_vectors
from stored_facts import FACTS, NEW, one_sentence, opened

from kblam.errors import KnowledgeError
from kblam.knowledge import KnowledgeBase, Triple
from kblam.knowledge.store import columns
from kblam.knowledge.store.database import FILE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, where the machine lets us make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_changes_nothing_and_says_so(small_disk: Path) -> None:
    with opened(small_disk / "facts", create=True) as store:
        store.set_many(FACTS)
        with pytest.raises(KnowledgeError) as error:
            for row in range(10_000):
                store.set(Triple(f"long {row}", "p", "x" * 50_000))
        one_sentence(error, "is full", store.directory, "free some space")
        held = store.triples
        assert store.version == len(held) - len(FACTS) + 1 and held[:40] == FACTS
        subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
        store.remove_many(fact.identity for fact in held[40:])
    with opened(small_disk / "facts") as store:
        assert store.triples == FACTS and store.check().problems == ()


def test_a_disk_that_is_full_of_other_files_still_answers(small_disk: Path, facts: Path) -> None:
    shutil.copytree(facts, small_disk / "facts", ignore=shutil.ignore_patterns("columns"))
    with pytest.raises(OSError), (small_disk / "filling").open("wb") as file:
        file.write(b"x" * 2_000_000)
    with opened(small_disk / "facts") as store:
        assert store.snapshot().triples == tuple(FACTS)
        check_vectors(store.snapshot())  # without a column cache
        with pytest.raises(KnowledgeError) as error:
            store.set(NEW)
        one_sentence(error, "is full")
        (small_disk / "filling").unlink()
        store.set(NEW)
        assert store.triples == [*FACTS, NEW]


def test_a_database_that_may_not_grow_says_so(facts: Path) -> None:
    with opened(facts) as store:
        store._database.writer().execute("PRAGMA max_page_count = 1")
        with pytest.raises(KnowledgeError) as error:
            store.set(Triple("long", "p", "x" * 90_000))
        one_sentence(error, "is full", facts)
        assert store.triples == FACTS and store.version == 1 and store.check().problems == ()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Make a read-only copy of a directory."""
    disk = tmp_path / "read-only"
    disk.mkdir()
    root = os.name == "posix" and os.geteuid() == 0
    if root and subprocess.run(["mount", "-t", "tmpfs", "none", disk], capture_output=True).returncode:
        pytest.skip("root can write everywhere, and no file system can be mounted here")

    def make(source: Path) -> Path:
        shutil.copytree(source, disk / "facts")
        if root:
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        else:
            for path in [*disk.rglob("*"), disk]:
                path.chmod(0o555 if path.is_dir() else 0o444)
        return disk / "facts"

    yield make
    if root:
        subprocess.run(["umount", "--lazy", disk], check=True)
    else:
        for path in [disk, *disk.rglob("*")]:
            path.chmod(0o755)


@pytest.mark.parametrize("cached", [True, False])
def test_a_read_only_store_answers_and_refuses_changes(
    facts: Path, read_only: Callable[[Path], Path], cached: bool
) -> None:
    if not cached:
        shutil.rmtree(facts / columns.FOLDER)
    with opened(read_only(facts)) as store:
        assert store.snapshot().triples == tuple(FACTS) and store.get("e7", "p") == FACTS[7]
        check_vectors(store.snapshot())
        assert store.check().problems == ()
        for change in (lambda: store.set(NEW), lambda: store.rollback(0), store.compact):
            with pytest.raises(KnowledgeError) as error:
                change()
            one_sentence(error, "read-only", store.directory)


def test_a_read_only_store_whose_writer_was_killed_shows_all_that_was_committed(
    facts: Path, tmp_path: Path, read_only: Callable[[Path], Path]
) -> None:
    with opened(facts) as store:
        store.set(NEW)  # still in the write-ahead log
        left = tmp_path / "left"
        left.mkdir()
        for name in (FILE, f"{FILE}-wal"):
            shutil.copy(facts / name, left / name)
    with opened(read_only(left)) as store:
        assert store.triples == [*FACTS, NEW] and store.version == 2


def test_an_old_directory_that_is_read_only_is_read(tmp_path: Path, read_only: Callable[[Path], Path]) -> None:
    KnowledgeBase.from_triples(FACTS, FakeEncoder()).save(tmp_path / "old")
    with opened(read_only(tmp_path / "old")) as store:
        assert store.triples == FACTS
        check_vectors(store.snapshot())
