"""Stores of a newer or older kblam, and directories of kblam 0.1."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from fake_encoder import FakeEncoder, check_vectors
from stored_facts import FACTS, NEW, one_sentence, opened

from kblam.errors import KnowledgeError
from kblam.knowledge import KnowledgeBase, embed_file
from kblam.knowledge.store import database
from kblam.knowledge.store.database import FILE


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
