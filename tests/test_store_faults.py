"""What a store says and keeps when others write or wrote there."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fake_encoder import FakeEncoder
from stored_facts import FACTS, NEW, one_sentence, opened

from kblam.errors import EncoderError, KnowledgeError
from kblam.knowledge import KnowledgeBase, Triple
from kblam.knowledge.store import changes, view
from kblam.knowledge.store.database import FILE


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
