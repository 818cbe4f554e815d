"""What a store says and keeps when the disk is full, read-only or damaged, and when others write or wrote there."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_encoder import FakeEncoder, check_vectors, vector

from kblam.errors import EncoderError, KnowledgeError
from kblam.knowledge import KnowledgeBase, Triple, embed_file
from kblam.knowledge.store import changes, columns, database, view
from kblam.knowledge.store.database import FILE
from kblam.knowledge.store.store import StoredKnowledge

FACTS = [Triple(f"e{row}", "p", f"value {row}") for row in range(40)]
NEW = Triple("new", "p", "newer")


def opened(directory: Path, **options: Any) -> StoredKnowledge:
    return KnowledgeBase.open(directory, encoder=FakeEncoder(), **options)


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """A closed store with forty facts and a column cache."""
    with opened(tmp_path / "facts", create=True) as store:
        store.set_many(FACTS)
        store.snapshot()
    return tmp_path / "facts"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, where the machine lets us make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def one_sentence(error: pytest.ExceptionInfo[Exception], *words: object) -> None:
    text = str(error.value)
    assert "\n" not in text and all(str(word) in text for word in words), text


# A full disk


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


# A directory that is read-only


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


# Damage


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_page_is_one_sentence_and_check_finds_it(facts: Path, seed: int) -> None:
    path, chance = facts / FILE, random.Random(seed)
    data = bytearray(path.read_bytes())
    page = chance.randrange(1, len(data) // 4096) * 4096
    data[page : page + 4096] = chance.randbytes(4096)
    path.write_bytes(data)
    shutil.rmtree(facts / columns.FOLDER)
    said = []
    try:
        with opened(facts) as store:
            said += store.check().problems
            assert store.snapshot().triples == tuple(FACTS)
            store.set(NEW)
    except KnowledgeError as error:
        said.append(str(error))
    assert said and all("damaged" in text or "no vector" in text or "rows" in text for text in said), said
    assert "\n" not in said[-1] and (str(facts) in said[-1] or len(said) == 1)


@pytest.mark.parametrize(
    "data", [b"", b"no database", b"SQLite format 3\0" + b"x" * 9000], ids=["empty", "text", "junk"]
)
def test_a_file_that_is_no_store_is_left_alone(facts: Path, data: bytes) -> None:
    (facts / FILE).write_bytes(data)
    with pytest.raises(KnowledgeError) as error:
        opened(facts)
    one_sentence(error, facts / FILE)
    assert (facts / FILE).read_bytes() == data


def test_a_flipped_bit_in_a_vector_is_found(facts: Path) -> None:
    path = facts / FILE
    data = path.read_bytes()
    stored = vector("value 7").astype(np.float16).tobytes()
    assert data.count(stored) == 1
    path.write_bytes(data.replace(stored, bytes([stored[0] ^ 1]) + stored[1:]))
    shutil.rmtree(facts / columns.FOLDER)
    with opened(facts) as store:
        (problem,) = store.check().problems
        assert "is not what was written" in problem
        with pytest.raises(KnowledgeError) as error:
            store.snapshot()
        one_sentence(error, "damaged", "kblam kb export")
        assert store.page() == FACTS  # what the sentence says can be saved


def test_a_changed_text_is_found(facts: Path) -> None:
    path = facts / FILE
    path.write_bytes(path.read_bytes().replace(b"value 7", b"value 8", 1))
    with opened(facts) as store:
        assert any("is not what was written" in problem for problem in store.check().problems)


@pytest.mark.parametrize("how", ["missing", "cut", "vectors", "header", "empty"])
def test_a_damaged_cache_is_made_again(facts: Path, how: str) -> None:
    (path,) = (facts / columns.FOLDER).iterdir()
    data = bytearray(path.read_bytes())
    if how == "vectors":
        data[columns.HEADER + 5] ^= 4
    elif how == "header":
        data[data.index(b'"rows": 40') + 8] = ord("3")
    data = data[: {"cut": columns.HEADER + 50, "empty": 0}.get(how, len(data))]
    path.unlink()
    if how != "missing":
        path.write_bytes(data)
    with opened(facts) as store:
        assert store.check().cache.startswith("absent" if how == "missing" else "damaged")
        check_vectors(store.snapshot())
        assert store.check().cache == "whole, of version 1"


def test_what_a_killed_cache_writer_left_is_cleared_away(facts: Path) -> None:
    left, fresh = (facts / columns.FOLDER / f"9-f.columns.{name}.part" for name in "ab")
    for path in (left, fresh):
        path.write_bytes(b"half")
    os.utime(left, (1, 1))
    with opened(facts) as store:
        store.rebuild_cache()
    assert not left.exists() and fresh.exists()  # another process may just be writing it


def test_a_copy_that_went_another_way_does_not_take_over_the_cache(facts: Path, tmp_path: Path) -> None:
    shutil.copy(facts / FILE, tmp_path / "copy")
    with opened(facts) as store:
        store.set(Triple("e1", "p", "this way"))
        store.rebuild_cache()
        before = store.snapshot()
        (tmp_path / "copy").replace(facts / FILE)  # somebody restores a copy while we are attached
        for name in ("-wal", "-shm"):
            (facts / f"{FILE}{name}").unlink(missing_ok=True)
        assert store.snapshot().triples == tuple(FACTS) and store.version == 1
        store.set(Triple("e2", "p", "that way"))
        check_vectors(store.snapshot())
        assert (
            store.version == 2 and store.triples[1] == FACTS[1] and store.changes_since(before.version) != frozenset()
        )
    with opened(facts) as store:
        check_vectors(store.snapshot())
        assert store.triples[2].value == "that way" and store.check().problems == ()


# Others


def test_a_writer_that_another_one_blocks_says_so(facts: Path) -> None:
    other = sqlite3.connect(facts / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with opened(facts, patience=0.05) as store:
        with pytest.raises(KnowledgeError) as error:
            store.set(NEW)
        one_sentence(error, facts, "another writer", "0.05 seconds")
        assert store.triples == FACTS  # readers go on
        other.execute("ROLLBACK")
        store.set(NEW)
        assert store.version == 2
    other.close()


def test_a_store_by_a_newer_kblam_is_left_alone(facts: Path) -> None:
    with sqlite3.connect(facts / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (facts / FILE).read_bytes()
    with pytest.raises(KnowledgeError) as error:
        opened(facts)
    one_sentence(error, "newer kblam", "schema 99", "upgrade")
    assert (facts / FILE).read_bytes() == before


def test_an_older_schema_is_brought_up_after_a_copy(facts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = "ALTER TABLE versions ADD COLUMN author TEXT; -- for a test\nCREATE INDEX by_author ON versions (author);"
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, step))
    for _ in range(2):
        with opened(facts) as store:
            assert store.triples == FACTS and store.check().problems == ()
    connection = sqlite3.connect(facts / FILE)
    assert connection.execute("SELECT count(author) FROM versions").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()
    copy = sqlite3.connect(facts / f"{FILE}.schema-1")
    assert copy.execute("PRAGMA user_version").fetchone() == (1,)
    assert copy.execute("SELECT count(*) FROM facts").fetchone() == (40,)
    copy.close()


def test_a_migration_that_fails_leaves_the_old_schema(facts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, "CREATE TABLE more (a); CREATE NONSENSE"))
    with pytest.raises(KnowledgeError):
        opened(facts)
    monkeypatch.undo()
    with opened(facts) as store:
        assert store.triples == FACTS and store.check().problems == ()


def test_a_clock_that_jumps_back_orders_nothing(facts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Past(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(timezone.utc) - timedelta(days=4000)

    with opened(facts) as store:
        monkeypatch.setattr(changes, "datetime", Past)
        store.set(NEW)
        monkeypatch.undo()
        store.set(Triple("new", "p", "newest"))
        newest, jumped, _, _ = store.versions()
        assert (newest.version, jumped.version) == (3, 2) and jumped.time < newest.time
        assert store.get("new", "p") == Triple("new", "p", "newest")
        assert [record.triple.value for record in store.history("new")] == ["newer", "newest"]
        store.rollback(2)
        assert store.get("new", "p") == NEW and store.check().problems == ()


def test_a_directory_of_kblam_0_1_gets_a_store_beside_its_files(tmp_path: Path) -> None:
    old = tmp_path / "knowledge"
    KnowledgeBase.from_triples(FACTS, FakeEncoder()).save(old)
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    with opened(old) as store:
        store.set(NEW)
        check_vectors(store.snapshot())
        assert store.triples == [*FACTS, NEW]
        assert [version.action for version in store.versions()] == ["set", "migrate", "create"]
    assert {name: (old / name).read_bytes() for name in before} == before
    with opened(old) as store:
        assert store.version == 2


def test_vectors_are_not_written_over_a_store(tmp_path: Path, facts: Path) -> None:
    old = tmp_path / "old"
    KnowledgeBase.from_triples(FACTS, FakeEncoder()).save(old)
    opened(old).close()
    (tmp_path / "new.json").write_text('{"entity": "a", "description": "b"}', encoding="utf-8")
    for directory in (old, facts):
        with pytest.raises(KnowledgeError, match="holds a store and is left alone"):
            KnowledgeBase.from_triples([NEW], FakeEncoder()).save(directory)
        with pytest.raises(KnowledgeError, match="holds a store and is left alone"):
            embed_file(tmp_path / "new.json", directory, FakeEncoder())
        assert len(opened(directory)) == 40


def test_a_damaged_old_directory_gets_no_store(tmp_path: Path) -> None:
    old = tmp_path / "knowledge"
    KnowledgeBase.from_triples(FACTS, FakeEncoder()).save(old)
    (old / "keys.npy").write_bytes(b"cut")
    with pytest.raises(KnowledgeError, match=r"keys\.npy"):
        opened(old)
    assert not list(old.glob(f"{FILE}*"))


def test_two_that_create_at_once_use_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kblam.knowledge.store import creation

    put = creation._put_in_place

    def late(aside: Path, path: Path) -> None:
        if not path.exists():
            monkeypatch.undo()
            with opened(tmp_path / "facts", create=True) as first:
                first.set(NEW)
        put(aside, path)

    monkeypatch.setattr(creation, "_put_in_place", late)
    with opened(tmp_path / "facts", create=True) as second:
        assert second.triples == [NEW]
    assert not list((tmp_path / "facts").glob("*.part*"))


def test_vectors_of_another_encoder_are_refused(facts: Path) -> None:
    with pytest.raises(EncoderError, match="was made with fake, not with other"):
        KnowledgeBase.open(facts, encoder=FakeEncoder("other"))
    with opened(facts) as store, pytest.raises(EncoderError, match="cannot be in one knowledge base"):
        store.merge(KnowledgeBase.from_triples([NEW], FakeEncoder("other")))


def test_nothing_is_made_where_other_files_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("milk")
    for directory in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(KnowledgeError, match="other files"):
            opened(directory, create=True)
    with pytest.raises(KnowledgeError, match="does not exist: make one with"):
        opened(tmp_path / "nothing")
    with pytest.raises(KnowledgeError, match="is no store"):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_change_that_is_interrupted_is_not_there(facts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    with opened(facts) as store:
        monkeypatch.setattr(changes.Writer, "record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.set_many([NEW, Triple("e1", "p", "other")])
        monkeypatch.undo()
        assert store.triples == FACTS and store.version == 1
        store.set(NEW)
        assert store.version == 2 and view.allowance(0) > 0
