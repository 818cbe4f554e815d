"""KnowledgeBase.open: changes, pages, search, files in and out, models' directories."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_encoder import FakeEncoder, check_vectors, vector

from kblam.errors import EncoderError, KnowledgeError, OutdatedError
from kblam.knowledge import KnowledgeBase, Triple
from kblam.knowledge.base import Change
from kblam.knowledge.files import read_triples
from kblam.knowledge.store import view
from kblam.knowledge.store.store import StoredKnowledge, write_store

AI = Triple("AI", "description", "人工智能是模拟人类智能的技术")
FUJI = Triple("Mount Fuji", "height", "3,776 metres", aliases=("Fujisan", "富士山"), id="7")
CAPITAL = Triple("Mongolia", "capital", "Ulaanbaatar")


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def store(tmp_path: Path, encoder: FakeEncoder) -> StoredKnowledge:
    return KnowledgeBase.open(tmp_path / "facts", create=True, encoder=encoder)


def test_it_is_a_knowledge_base(store: StoredKnowledge, encoder: FakeEncoder) -> None:
    assert isinstance(store, KnowledgeBase) and len(store) == 0 and store.width == 8
    assert store.snapshot().keys.shape == (0, 8)
    assert store.set(AI) == Change(added=1)
    assert store.set_many([AI, FUJI, CAPITAL]) == Change(added=2, unchanged=1)
    assert (len(store), list(store), store.triples, store.version) == (3, [AI, FUJI, CAPITAL], [AI, FUJI, CAPITAL], 2)
    assert (store.encoder_name, store.encoder, store.has_texts) == ("fake", encoder, True)
    assert AI in store and ("Mongolia", "capital") in store and ("AI", "name") not in store
    assert store.get("Mount Fuji", "height") == FUJI and store.get("Mount Fuji", "depth") is None
    assert repr(store).endswith("3 facts, fake, version 2)")
    assert store.keys.dtype == np.float16 and not store.keys.flags.writeable
    check_vectors(store.snapshot())
    assert store.snapshot() is store.snapshot() and store.changes_since(2) == frozenset()


def test_nothing_is_encoded_twice(store: StoredKnowledge, encoder: FakeEncoder) -> None:
    store.set_many([CAPITAL, Triple("Mongolia", "largest city", "Ulaanbaatar")])
    assert sorted(encoder.asked) == ["Ulaanbaatar", "the capital of Mongolia", "the largest city of Mongolia"]
    encoder.asked.clear()
    store.set(Triple("Mongolia", "capital", "Darkhan"))
    store.remove("Mongolia", "capital")
    store.set(CAPITAL)
    store.rollback(1)
    store.set(CAPITAL)
    assert encoder.asked == ["Darkhan"]
    store.compact(keep=1)
    store.set(Triple("Mongolia", "capital", "Darkhan"))
    assert encoder.asked == ["Darkhan", "Darkhan"]  # compacting forgot it


def test_setting_what_is_there_makes_no_version(store: StoredKnowledge) -> None:
    store.set(FUJI)
    snapshot = store.snapshot()
    assert store.set(FUJI) == Change(unchanged=1) and store.set_many([]) == Change()
    assert store.version == 1 and store.snapshot() is snapshot
    assert store.set(Triple("Mount Fuji", "height", "3,776 metres", aliases=("Fujisan",))) == Change(replaced=1)


def test_add_refuses_what_is_there(store: StoredKnowledge) -> None:
    store.add([AI, FUJI])
    with pytest.raises(KnowledgeError, match="the description of AI is already here: use set"):
        store.add([CAPITAL, Triple("AI", "description", "new")])
    assert store.triples == [AI, FUJI]


def test_removing_moves_the_last_row_into_the_hole(store: StoredKnowledge) -> None:
    store.set_many([AI, FUJI, CAPITAL])
    version = store.snapshot().version
    store.remove("AI", "description")
    assert store.triples == [CAPITAL, FUJI] and store.changes_since(version) == frozenset({0})
    check_vectors(store.snapshot())


def test_a_long_value_is_kept_whole(store: StoredKnowledge) -> None:
    value = "長い値 " * 24_000 + "end"
    store.set(Triple("manual", "text", value))
    store.close()
    assert store.get("manual", "text") == Triple("manual", "text", value) and store.search("end")[0].value == value


def test_pages_and_search(store: StoredKnowledge) -> None:
    facts = [
        Triple(f"Ort {row}", "Straße", f"Größe {row}% of_it 首都{row}", aliases=(f"Alias{row}",)) for row in range(30)
    ]
    store.set_many(facts)
    assert store.page(10, 5) == facts[10:15] and store.page(28, 5) == facts[28:] and store.page(30, 5) == []
    assert store.search("首都2", count=3) == [facts[2], facts[20], facts[21]]
    assert store.search("GRÖSSE") == [] and store.search("GRÖßE 7%", count=9) == [facts[7], facts[17], facts[27]]
    assert store.search("straße alias29") == [facts[29]] and store.search("ORT 1 ALIAS11") == [facts[11]]
    assert store.search("of_it", first=28) == facts[28:] and store.search("of%it") == []
    assert store.search("\\") == [] and store.search("'; DROP TABLE facts; --") == []


def test_history_diff_and_rollback(store: StoredKnowledge) -> None:
    store.set(CAPITAL)
    store.set(Triple("Mongolia", "capital", "Darkhan"))
    store.set_many([AI, FUJI])
    store.remove("AI", "description")
    assert [(r.triple.value, r.began, r.ended) for r in store.history("Mongolia")] == [
        ("Ulaanbaatar", 1, 2),
        ("Darkhan", 2, None),
    ]
    assert store.history("AI", "name") == [] and store.history("AI")[0].ended == 4
    difference = store.diff(1)
    assert difference.added == (FUJI,) and difference.removed == ()
    assert difference.replaced == ((CAPITAL, Triple("Mongolia", "capital", "Darkhan")),)
    assert store.diff(4, 3).added == (AI,) and store.diff(2, 2).added == ()
    assert store.rollback(1) == Change(replaced=1)
    newest = store.versions(1)[0]
    assert (newest.version, newest.action, newest.removed, newest.note) == (5, "rollback", 1, "to version 1")
    assert store.triples == [CAPITAL] and store.rollback(1) == Change() and store.version == 5
    assert store.at(3).triples == tuple(store.facts_as_of(3))
    for version in (-1, 6, 10**30):
        with pytest.raises(KnowledgeError, match="there is no version"):
            store.rollback(version)
        with pytest.raises(KnowledgeError, match="there is no version"):
            store.at(version)


def test_compacting_forgets_what_it_is_told_to(store: StoredKnowledge) -> None:
    for row in range(6):
        store.set(Triple("a", "p", str(row)))
    store.compact()
    assert store.at(1).triples[0].value == "0"
    store.compact(keep=2)
    assert [version.version for version in store.versions()] == [6, 5] and store.at(5).triples[0].value == "4"
    with pytest.raises(KnowledgeError, match="the store keeps 5 to 6"):
        store.at(4)
    with pytest.raises(KnowledgeError, match="keep 1 or more"):
        store.compact(keep=0)
    assert store.check().problems == () and store.check().cache == "whole, of version 6"


def test_a_snapshot_stays_while_others_commit(store: StoredKnowledge, tmp_path: Path) -> None:
    store.set_many([AI, CAPITAL])
    before = store.snapshot()
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from fake_encoder import FakeEncoder; from kblam.knowledge import KnowledgeBase, Triple\n"
        "with KnowledgeBase.open(sys.argv[1], encoder=FakeEncoder()) as store:\n"
        "    store.set(Triple('AI', 'description', 'changed elsewhere'))\n"
        "    store.remove('Mongolia', 'capital')"
    )
    subprocess.run([sys.executable, "-c", code, store.directory, Path(__file__).parent], check=True)
    after = store.snapshot()
    assert (before.version, before.triples) == (1, (AI, CAPITAL))
    assert (after.version, [triple.value for triple in after.triples]) == (3, ["changed elsewhere"])
    check_vectors(before)
    check_vectors(after)
    assert store.changes_since(1) == frozenset({0})


def test_threads_share_a_store(store: StoredKnowledge) -> None:
    wrong: list[object] = []

    def write(name: str) -> None:
        for row in range(20):
            store.set(Triple(f"{name}{row}", "p", "v"))
            try:
                check_vectors(store.snapshot())
            except AssertionError as error:
                wrong.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and store.version == len(store) == 80 and store.check().problems == ()


def test_what_takes_long_does_not_keep_others_waiting(store: StoredKnowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    store.set_many([AI, FUJI])
    store.set(CAPITAL)
    asked: list[tuple[int, int]] = []
    slow = view.facts_as_of

    def slowly(*arguments: Any) -> Any:
        # Another thread asks meanwhile; it would wait for ever if the past held the connection.
        thread = threading.Thread(target=lambda: asked.append((store.snapshot().version, store.version)))
        thread.start()
        thread.join(timeout=20)
        return slow(*arguments)

    monkeypatch.setattr(view, "facts_as_of", slowly)
    assert store.at(1).triples == (AI, FUJI) and asked == [(2, 2)]


def test_conflicts_are_listed(store: StoredKnowledge) -> None:
    other = Triple("富士山", "Height", "3,775 m")
    store.set_many([FUJI, other, AI, Triple("ai", "Description", AI.value), Triple("富士山", "range", "none")])
    assert store.check().conflicts == ((other, FUJI),)


# Vectors of several kinds


def test_vectors_without_an_encoders_name_are_kept_as_they_are(tmp_path: Path) -> None:
    keys, values = np.arange(6.0).reshape(2, 3), np.arange(6.0, 12.0).reshape(2, 3)
    facts = [Triple("a", "p", "same"), Triple("b", "p", "same")]
    with write_store(KnowledgeBase.from_embeddings(keys, values, facts), tmp_path / "facts") as store:
        np.testing.assert_array_equal(store.keys, keys)
        np.testing.assert_array_equal(store.values, values)
        assert store.keys.dtype == np.float64 and store.encoder_name is None and store.check().problems == ()
        with pytest.raises(EncoderError, match="does not say what made its vectors"):
            store.set(AI)
    with write_store(KnowledgeBase.from_embeddings(keys, values), tmp_path / "nameless") as store:
        assert not store.has_texts and len(store) == 2
        with pytest.raises(KnowledgeError, match="cannot be changed"):
            store.set(AI)


def test_numbers_too_large_for_float16_are_refused(store: StoredKnowledge) -> None:
    large = KnowledgeBase.from_embeddings(np.full((1, 8), 1e6), np.ones((1, 8)), [AI], FakeEncoder())
    with pytest.raises(KnowledgeError, match="too small for a number"):
        store.merge(large)
    assert len(store) == 0 and store.version == 0


def test_a_copy_has_the_whole_history(store: StoredKnowledge, tmp_path: Path) -> None:
    store.set(CAPITAL)
    store.set(Triple("Mongolia", "capital", "Darkhan"))
    with write_store(store, tmp_path / "copy") as copy:
        copy.rollback(1)
        assert copy.triples == [CAPITAL] and copy.version == 3
    assert store.version == 2


def test_a_store_is_read_like_a_file(store: StoredKnowledge) -> None:
    store.set_many([AI, FUJI])
    copy = KnowledgeBase.from_file(store.directory)
    copy._encoder = FakeEncoder()
    copy.set(CAPITAL)
    assert copy.triples == [AI, FUJI, CAPITAL] and store.triples == [AI, FUJI]
    assert store.in_memory().triples == [AI, FUJI] and not isinstance(store.in_memory(), StoredKnowledge)


def test_an_unnamed_past_is_kept_in_memory_only(encoder: FakeEncoder) -> None:
    base = KnowledgeBase.from_triples([AI], encoder)
    assert base.at(0) is base.snapshot()
    with pytest.raises(KnowledgeError, match="version 1 is not kept"):
        base.at(1)


# Files


def test_import_reports_and_is_one_version(store: StoredKnowledge, tmp_path: Path, encoder: FakeEncoder) -> None:
    store.set_many([AI, CAPITAL])
    path = tmp_path / "new.csv"
    path.write_text(
        "entity,property,value\nMongolia,capital,Darkhan\nAI,description,人工智能是模拟人类智能的技术\nx,y,z\n",
        encoding="utf-8",
    )
    encoder.asked.clear()
    tried = store.import_file(path, dry_run=True)
    assert (tried.added, tried.replaced, tried.unchanged, tried.version) == (1, 1, 1, None)
    assert encoder.asked == [] and store.version == 1
    done = store.import_file(path)
    assert (done.added, done.replaced, done.unchanged, done.rejected, done.version) == (1, 1, 1, (), 2)
    assert store.versions(1)[0].note == "new.csv"
    check_vectors(store.snapshot())


def test_a_file_with_a_bad_row_changes_nothing(store: StoredKnowledge, tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    rows = ['{"entity": "a", "description": "b"}', '{"entity": "c"}', "", '{"entity": "", "description": 3}']
    path.write_text("\n".join(rows), encoding="utf-8")
    report = store.import_file(path)
    assert [(r.row, r.line, r.reason) for r in report.rejected] == [
        (2, 2, "description is missing"),
        (3, 4, "entity is empty"),
    ]
    assert (report.added, report.version, len(store), store.version) == (0, None, 0, 0)
    for name, text in (("broken.json", '[{"entity": "a"'), ("none.json", "")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(KnowledgeError, match=name):
            store.import_file(tmp_path / name)


def test_of_rows_that_contradict_each_other_the_last_counts(
    store: StoredKnowledge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "twice.json"
    path.write_text(json.dumps([{"entity": "a", "description": value} for value in "bc"]), encoding="utf-8")
    with caplog.at_level(logging.WARNING, logger="kblam"):
        assert store.import_file(path).added == 1
    assert store.page()[0].value == "c" and "the last one counts" in caplog.text


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet", ".npy"])
def test_what_is_exported_can_be_imported(store: StoredKnowledge, tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    store.set_many([AI, FUJI])
    store.set_many([CAPITAL, Triple("a", "b", 'line\nbreak, "quotes"')])
    path = tmp_path / f"out{suffix}"
    assert store.export_file(path) == 4
    with KnowledgeBase.open(tmp_path / "other", create=True, encoder=FakeEncoder()) as other:
        assert other.import_file(path).added == 4 and other.triples == store.triples
        check_vectors(other.snapshot())
    assert store.export_file(path, version=1) == 2
    assert [t.entity for t in store.facts_as_of(1)] == ["AI", "Mount Fuji"]


def test_parquet_rows_are_checked(store: StoredKnowledge, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    rows = [
        {"entity": "a", "description": "b", "aliases": ["c"]},
        {"entity": None, "description": "d", "aliases": None},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [(r.line, r.reason) for r in store.import_file(path).rejected] == [(2, "entity is missing")]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[:1]), path)
    assert store.import_file(path).added == 1 and store.triples == [Triple("a", "description", "b", aliases=("c",))]
    assert read_triples(path) == store.triples
    path.write_bytes(b"PAR1 junk")
    with pytest.raises(KnowledgeError, match="is no Parquet file that can be read"):
        store.import_file(path)
    with pytest.raises(KnowledgeError, match="does not exist"):
        store.import_file(tmp_path / "none.parquet")


def test_without_pyarrow_a_parquet_file_says_what_to_install(
    store: StoredKnowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(KnowledgeError, match=r"pip install .*\[parquet\]'"):
        store.import_file(tmp_path / "x.parquet")


def test_vectors_of_another_encoder_are_not_imported(store: StoredKnowledge, tmp_path: Path) -> None:
    KnowledgeBase.from_triples([AI], FakeEncoder("other")).save(tmp_path / "other.npy")
    for dry_run in (True, False):
        with pytest.raises(EncoderError, match="vectors of fake and of other"):
            store.import_file(tmp_path / "other.npy", dry_run)
    assert store.version == 0


def test_a_store_needs_neither_torch_nor_transformers(store: StoredKnowledge) -> None:
    store.set(AI)
    code = (
        "import sys; from kblam.cli import main; main(['kb', 'list', sys.argv[1]]); "
        "print(*{'torch', 'transformers', 'rich', 'openai'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code, store.directory], capture_output=True, text=True, check=True)
    assert run.stdout == f"AI · description: {AI.value}\n\n"


def test_the_vector_of_a_text_is_the_encoders(store: StoredKnowledge) -> None:
    store.set(AI)
    np.testing.assert_array_equal(store.values[0], vector(AI.value).astype(np.float16))


def test_a_change_can_require_a_version(store: StoredKnowledge) -> None:
    first, second = Triple("Norland", "capital", "A"), Triple("Norland", "currency", "B")
    store.set_many([first, second])
    seen = store.version
    store.set(Triple("Norland", "capital", "changed"))
    store.put("set", [Triple(*second.identity, "C")], require=lambda w: w.require_unchanged(*second.identity, seen))
    for refused in (
        lambda: store.put("set", [first], require=lambda w: w.require_unchanged(*first.identity, seen)),
        lambda: store.remove_many([first.identity], lambda w: w.require_unchanged(*first.identity, seen)),
        lambda: store.put("set", [first], require=lambda w: w.require_unchanged("Nowhere", "capital", seen)),
        lambda: store.put("set", [first], require=lambda w: w.require_unchanged(*first.identity, 999)),
        lambda: store.rollback(0, lambda w: w.require_version(seen)),
    ):
        with pytest.raises(OutdatedError, match="try again"):
            refused()
    store.rollback(seen, lambda w: w.require_version(seen + 2))
    assert store.get(*first.identity) == first and store.version == seen + 3
