from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kblam.errors import EncoderError, KnowledgeError
from kblam.knowledge import changelog
from kblam.knowledge import rows as pieces_of_rows
from kblam.knowledge.base import Change, KnowledgeBase
from kblam.knowledge.triples import Triple


class CountingEncoder:
    """Gives each text a vector of its own and remembers what it was asked."""

    def __init__(self, name: str = "counting", width: int = 6) -> None:
        self.name = name
        self.width = width
        self.asked: list[str] = []

    def vector(self, text: str) -> NDArray[np.float32]:
        return np.random.default_rng(list(text.encode())).standard_normal(self.width).astype(np.float32)

    def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([self.vector(text) for text in texts], dtype=np.float32).reshape(-1, self.width)


entities = st.sampled_from("abcd")

AI = Triple("AI", "description", "人工智能是模拟人类智能的技术")
KBLAM = Triple("KBLaM", "description", "微软开发的知識増強ツール", aliases=("ケービー",), id="7")
CAPITAL = Triple("Mongolia", "capital", "Ulaanbaatar")


def consistent(base: KnowledgeBase, encoder: CountingEncoder, tolerance: float = 2e-3) -> None:
    """Check that every row holds the vectors of its own texts."""
    snapshot = base.snapshot()
    assert snapshot.keys.shape == snapshot.values.shape == (len(snapshot.triples), encoder.width)
    for row, triple in enumerate(snapshot.triples):
        np.testing.assert_allclose(snapshot.keys[row], encoder.vector(triple.key_text), atol=tolerance, rtol=tolerance)
        np.testing.assert_allclose(snapshot.values[row], encoder.vector(triple.value), atol=tolerance, rtol=tolerance)
        assert base.get(*triple.identity) is triple


# Making and reading


def test_from_triples() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI, KBLAM], encoder)
    assert (len(base), list(base), base.triples, base.version) == (2, [AI, KBLAM], [AI, KBLAM], 0)
    assert (base.encoder_name, base.encoder, base.width, base.has_texts) == ("counting", encoder, 6, True)
    assert base.keys.dtype == base.values.dtype == np.float16
    assert AI in base and ("KBLaM", "description") in base and Triple("AI", "description", "other") in base
    assert CAPITAL not in base and ("AI", "name") not in base and "AI" not in base and None not in base
    assert base.get("AI", "description") is AI and base.get("AI", "name") is None
    assert repr(base) == "KnowledgeBase(2 facts, 6-d, counting, version 0)"
    consistent(base, encoder)


def test_each_text_is_encoded_once() -> None:
    encoder = CountingEncoder()
    rows = [
        Triple("a", "p", "same"),
        Triple("b", "p", "same"),
        Triple("a", "p", "same"),
        Triple("c", "q", "the p of a"),
    ]
    base = KnowledgeBase.from_triples(rows, encoder)
    assert len(base) == 3
    assert sorted(encoder.asked) == ["same", "the p of a", "the p of b", "the q of c"]
    consistent(base, encoder)


def test_of_contradicting_triples_the_last_counts(caplog: pytest.LogCaptureFixture) -> None:
    encoder = CountingEncoder()
    with caplog.at_level(logging.WARNING, logger="kblam"):
        base = KnowledgeBase.from_triples([AI, CAPITAL, Triple("AI", "description", "new")], encoder)
    assert [triple.value for triple in base] == ["new", "Ulaanbaatar"]
    assert len(caplog.messages) == 1
    consistent(base, encoder)


def test_an_empty_base_grows() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.empty(encoder)
    assert (len(base), base.keys.shape, base.width) == (0, (0, 6), 6)
    assert encoder.asked == []
    base.set(AI)
    consistent(base, encoder)
    assert KnowledgeBase.empty().width == 384


def test_the_default_encoder_end_to_end(tmp_path: Path) -> None:
    (tmp_path / "knowledge.json").write_text(
        '{"entity": "AI", "description": "人工智能是模拟人类智能的技术"}\n'
        '{"entity": "KBLaM", "description": "微软开发的知识增强工具"}\n',
        encoding="utf-8",
    )
    base = KnowledgeBase.from_file(tmp_path / "knowledge.json")
    assert (base.encoder_name, base.keys.shape) == ("all-MiniLM-L6-v2", (2, 384))
    question = base.encoder.encode(["What is KBLaM?"])[0]
    assert int(np.argmax(base.keys @ question)) == 1
    np.testing.assert_allclose(base.keys[0], base.encoder.encode(["the description of AI"])[0], atol=1e-3)
    np.testing.assert_allclose(base.values[1], base.encoder.encode(["微软开发的知识增强工具"])[0], atol=1e-3)


def test_from_embeddings_keeps_the_arrays_as_they_are() -> None:
    keys, values = np.eye(3, 5), np.ones((3, 5))
    triples = [Triple("a", "p", "1"), Triple("b", "p", "2"), Triple("c", "p", "3")]
    base = KnowledgeBase.from_embeddings(keys, values, triples)
    assert base.keys.dtype == np.float64 and np.shares_memory(base.keys, keys)
    assert base.encoder_name is None and base.triples == triples
    with pytest.raises(EncoderError, match="does not say what made its vectors"):
        _ = base.encoder
    with pytest.raises(EncoderError, match="does not say what made its vectors"):
        base.set(AI)
    with pytest.raises(ValueError, match="read-only"):
        base.keys[0, 0] = 2
    keys[0, 0] = 1  # the caller's own array stays writeable
    assert KnowledgeBase.from_embeddings(np.empty((0, 5)), np.empty((0, 5))).keys.shape == (0, 5)


def test_from_embeddings_of_contradicting_triples_keeps_the_rows_that_count() -> None:
    keys = np.arange(6.0).reshape(3, 2)
    triples = [Triple("a", "p", "1"), Triple("b", "p", "2"), Triple("a", "p", "3")]
    base = KnowledgeBase.from_embeddings(keys, keys + 1, triples)
    assert base.triples == [triples[2], triples[1]]
    np.testing.assert_array_equal(base.keys, keys[[2, 1]])
    np.testing.assert_array_equal(base.values, keys[[2, 1]] + 1)


def test_vectors_without_facts_are_numbered_and_cannot_be_changed() -> None:
    base = KnowledgeBase.from_embeddings(np.eye(2), np.eye(2), encoder=CountingEncoder(width=2))
    assert len(base) == 2 and not base.has_texts
    assert [triple.entity for triple in base] == ["row 0", "row 1"]
    for change in (lambda: base.set(AI), lambda: base.remove("row 0", "vector"), lambda: base.merge(base)):
        with pytest.raises(KnowledgeError, match="vectors without their facts cannot be changed"):
            change()


@pytest.mark.parametrize(
    ("keys", "values", "message"),
    [
        (np.ones(3), np.ones(3), r"keys have the shape \(3,\) instead of"),
        (np.ones((2, 3, 4)), np.ones((2, 3, 4)), "keys have the shape"),
        (np.ones((2, 0)), np.ones((2, 0)), "keys have the shape"),
        (np.ones((2, 3)), np.ones((3, 3)), r"keys are \(2, 3\) and values \(3, 3\)"),
        (np.ones((2, 3)), np.ones((2, 4)), r"keys are \(2, 3\) and values \(2, 4\)"),
        (np.ones((2, 3), int), np.ones((2, 3)), "keys hold int64 instead of floating-point numbers"),
        (np.ones((2, 3)), np.full((2, 3), "x"), "values hold <U1 instead"),
        (np.ones((2, 3)), np.array([[1, 1, 1], [1, np.nan, 1]]), "values hold NaN or infinity, first in row 2"),
        (np.array([[np.inf, 1]]), np.ones((1, 2)), "keys hold NaN or infinity, first in row 1"),
    ],
)
def test_unusable_arrays_are_refused(keys: object, values: object, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        KnowledgeBase.from_embeddings(keys, values)


def test_embeddings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(KnowledgeError, match="have 2 rows for 1 facts"):
        KnowledgeBase.from_embeddings(np.eye(2), np.eye(2), [AI])
    with pytest.raises(EncoderError, match="all-MiniLM-L6-v2 makes vectors of 384 numbers, these have 2"):
        KnowledgeBase.from_embeddings(np.eye(2), np.eye(2), encoder="all-MiniLM-L6-v2")


def test_an_encoder_that_gives_nonsense_is_refused() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI], encoder)
    encoder.vector = lambda text: np.full(6, np.nan, dtype=np.float32)  # type: ignore[method-assign]
    with pytest.raises(EncoderError, match="or with NaN"):
        base.set(CAPITAL)
    assert base.triples == [AI] and base.version == 0


# Changing


def test_set_adds_and_replaces() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI, KBLAM], encoder)
    before = base.snapshot()
    assert base.set(CAPITAL) == Change(added=1)
    newer = Triple("AI", "description", "something else")
    assert base.set(newer) == Change(replaced=1)
    assert base.version == 2 and base.triples == [newer, KBLAM, CAPITAL]
    assert base.keys.dtype == np.float16
    consistent(base, encoder)
    assert before.triples == (AI, KBLAM) and before.version == 0 and before.keys.shape == (2, 6)
    np.testing.assert_allclose(before.values[0], encoder.vector(AI.value), atol=2e-3, rtol=2e-3)


def test_setting_what_is_there_changes_nothing() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI], encoder)
    snapshot = base.snapshot()
    assert base.set(Triple("AI ", "description", AI.value)) == Change(unchanged=1)
    assert base.snapshot() is snapshot
    assert base.set(Triple("AI", "description", AI.value, id="new")) == Change(replaced=1)
    assert base.version == 1 and base.triples[0].id == "new"


def test_many_are_set_in_one_change() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI, KBLAM], encoder)
    change = base.set_many([CAPITAL, AI, Triple("KBLaM", "description", "y"), Triple("x", "y", "z"), CAPITAL])
    assert change == Change(added=2, replaced=1, unchanged=1)
    assert base.version == 1
    assert [triple.value for triple in base] == [AI.value, "y", "Ulaanbaatar", "z"]
    consistent(base, encoder)
    assert base.set_many([]) == Change() and base.version == 1


def test_a_known_text_is_not_encoded_again() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI, CAPITAL], encoder)
    encoder.asked.clear()
    base.set(Triple("AI", "description", "Ulaanbaatar"))
    assert encoder.asked == []
    base.set(Triple("AI", "home", "Ulaanbaatar"))
    assert encoder.asked == ["the home of AI"]
    base.set(Triple("AI", "home", "elsewhere"))
    base.remove("AI", "home")
    base.set(CAPITAL)
    assert encoder.asked == ["the home of AI", "elsewhere"]
    consistent(base, encoder)


def test_remove() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI, KBLAM, CAPITAL], encoder)
    base.remove("KBLaM", "description")
    assert base.triples == [AI, CAPITAL] and base.version == 1 and KBLAM not in base
    consistent(base, encoder)
    with pytest.raises(KnowledgeError, match="there is no description of KBLaM to remove"):
        base.remove("KBLaM", "description")
    base.set(KBLAM)
    assert base.triples == [AI, CAPITAL, KBLAM]
    for triple in base:
        base.remove(*triple.identity)
    assert len(base) == 0 and base.keys.shape == (0, 6) and base.version == 5


def test_removing_moves_the_last_fact_into_the_hole() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI, KBLAM, CAPITAL], encoder)
    base.remove("AI", "description")
    assert base.triples == [CAPITAL, KBLAM]
    consistent(base, encoder)
    base.remove("Mongolia", "capital")
    assert base.triples == [KBLAM] and base.get("Mongolia", "capital") is None
    consistent(base, encoder)


def test_changes_since_names_the_rows_that_differ() -> None:
    base = KnowledgeBase.from_triples([AI, KBLAM], CountingEncoder())
    assert base.changes_since(0) == frozenset()
    base.set(CAPITAL)
    assert base.changes_since(0) == {2} and base.changes_since(1) == frozenset()
    base.set(Triple("AI", "description", "new"))
    assert base.changes_since(0) == {0, 2} and base.changes_since(1) == {0}
    base.remove("AI", "description")  # the last row moves into its place
    assert base.triples == [CAPITAL, KBLAM]
    assert base.changes_since(0) == {0} and base.changes_since(2) == {0}
    assert base.changes_since(99) is None and base.changes_since(-1) is None


def test_changes_are_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelog, "MOST_ROWS", 3)
    log = changelog.ChangeLog(5)
    assert log.since(4, 5, 10) is None
    for version in range(6, 6 + changelog.KEPT + 2):
        log.add(version, [version])
    last = 5 + changelog.KEPT + 2
    assert log.since(6, last, 10**6) is None
    assert log.since(7, last, 10**6) == set(range(8, last + 1))
    log.add(last + 1, range(4))
    assert log.since(last, last + 1, 10) is None and log.since(last + 1, last + 1, 10) == frozenset()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(entities, st.sampled_from("vwxyz"), st.booleans()), max_size=12))
def test_rows_outside_changes_since_are_the_same(changes: list[tuple[str, str, bool]]) -> None:
    base = KnowledgeBase.from_triples([Triple(name, "p", "0") for name in "abc"], CountingEncoder())
    seen = [base.snapshot()]
    for entity, value, keep in changes:
        if keep:
            base.set(Triple(entity, "p", value))
        elif (entity, "p") in base:
            base.remove(entity, "p")
        seen.append(base.snapshot())
    now = seen[-1]
    for then in seen:
        touched = base.changes_since(then.version)
        assert touched is not None and all(row < len(now.triples) for row in touched)
        for row in set(range(len(now.triples))) - touched:
            assert now.triples[row] == then.triples[row]
            np.testing.assert_array_equal(now.keys[row], then.keys[row])
            np.testing.assert_array_equal(now.values[row], then.values[row])


def test_versions_share_all_pieces_but_those_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_of_rows, "PIECE", 4)
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([Triple(f"e{row}", "p", str(row)) for row in range(10)], encoder)
    first = base.snapshot()
    base.set(Triple("e5", "p", "new"))
    second = base.snapshot()
    shared = [np.shares_memory(first.values, piece) for piece in second.value_rows.pieces]
    assert shared == [True, False, True]
    base.set_many([Triple(f"e{row}", "p", str(row)) for row in range(10, 15)])
    third = base.snapshot()
    assert [len(piece) for piece in third.key_rows.pieces] == [4, 4, 4, 3]
    assert np.shares_memory(third.key_rows.pieces[1], second.key_rows.pieces[1])
    for row in (14, 3, 0, 7, 1):
        base.remove(f"e{row}", "p")
        consistent(base, encoder)
    assert first.triples[5].value == "5" and len(first.keys) == 10
    np.testing.assert_allclose(first.values[5], encoder.vector("5"), atol=2e-3, rtol=2e-3)
    for triple in base:
        base.remove(*triple.identity)
    assert base.keys.shape == (0, 6)
    base.set(AI)
    consistent(base, encoder)


def test_merge_replaces_and_adds() -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.from_triples([AI, KBLAM], encoder)
    other = KnowledgeBase.from_triples([Triple("KBLaM", "description", "new"), CAPITAL, AI], encoder)
    encoder.asked.clear()
    assert base.merge(other) == Change(added=1, replaced=1, unchanged=1)
    assert [triple.value for triple in base] == [AI.value, "new", "Ulaanbaatar"]
    assert base.version == 1 and other.version == 0 and encoder.asked == []
    consistent(base, encoder)
    assert base.merge(other) == Change(unchanged=3)
    assert base.merge(base) == Change(unchanged=3)
    assert base.version == 1


def test_vectors_of_two_encoders_are_not_mixed() -> None:
    base = KnowledgeBase.from_triples([AI], CountingEncoder("one"))
    for other in (CountingEncoder("two"), CountingEncoder("one", width=7)):
        with pytest.raises(
            EncoderError, match=r"vectors of one \(6 numbers\) and of .* cannot be in one knowledge base"
        ):
            base.merge(KnowledgeBase.from_triples([CAPITAL], other))
    with pytest.raises(EncoderError, match="an unnamed encoder"):
        base.merge(KnowledgeBase.from_embeddings(np.ones((1, 6)), np.ones((1, 6)), [CAPITAL]))
    assert base.triples == [AI] and base.version == 0


steps = st.one_of(
    st.tuples(st.just("set"), st.lists(st.tuples(entities, st.sampled_from("vwxyz")), max_size=5)),
    st.tuples(st.just("merge"), st.lists(st.tuples(entities, st.sampled_from("vwxyz")), max_size=5)),
    st.tuples(st.just("remove"), st.lists(st.tuples(entities, st.just("")), min_size=1, max_size=1)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=8))
def test_any_changes_leave_what_a_dictionary_would(changes: list[tuple[str, list[tuple[str, str]]]]) -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.empty(encoder)
    expected: dict[str, str] = {}
    for kind, rows in changes:
        if kind == "remove" and rows[0][0] in expected:
            del expected[rows[0][0]]
            base.remove(rows[0][0], "p")
        elif kind != "remove":
            triples = [Triple(entity, "p", value) for entity, value in rows]
            expected.update(rows)
            base.set_many(triples) if kind == "set" else base.merge(KnowledgeBase.from_triples(triples, encoder))
    assert {triple.entity: triple.value for triple in base} == expected
    consistent(base, encoder)


def test_readers_never_see_half_a_change() -> None:
    encoder = CountingEncoder(width=2)
    # A value's text is the version that set it, and so is its vector: a mixture of two versions would show.
    encoder.vector = lambda text: np.full(2, float(text) if text.isdigit() else 0, np.float32)  # type: ignore[method-assign]
    base = KnowledgeBase.from_triples([Triple(f"e{row}", "p", "0") for row in range(20)], encoder)
    finished = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not finished.is_set():
            snapshot = base.snapshot()
            held = {triple.value for triple in snapshot.triples} | {str(int(n)) for n in snapshot.values[:, 0]}
            rows = len(snapshot.triples), len(snapshot.keys), len(snapshot.values)
            if held != {str(snapshot.version)} or rows != (20 + snapshot.version,) * 3:
                wrong.append(f"version {snapshot.version} has {rows} rows and holds {held}")
            found = base.get("e40", "p")
            if found is not None and found.entity != "e40":
                wrong.append(f"e40 is {found}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for reader in readers:
            reader.start()
        for version in range(1, 61):
            base.set_many([Triple(f"e{row}", "p", str(version)) for row in range(20 + version)])
    finally:
        finished.set()
        sys.setswitchinterval(interval)
        for reader in readers:
            reader.join()
    assert base.version == 60 and wrong == []


def test_writers_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.empty(encoder)
    swap = KnowledgeBase._swap

    def slow_swap(*arguments: Any) -> None:
        time.sleep(0.0005)
        swap(*arguments)

    monkeypatch.setattr(KnowledgeBase, "_swap", slow_swap)

    def write(name: str) -> None:
        for row in range(25):
            base.set(Triple(f"{name}{row}", "p", "v"))
            base.set(Triple("shared", "p", f"{name}{row}"))

    writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(base) == 101 and base.version == 200
    consistent(base, encoder)


def test_a_fact_is_found_only_once_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    base = KnowledgeBase.from_triples([AI], CountingEncoder())
    swap = KnowledgeBase._swap
    seen: list[bool] = []

    def observed_swap(*arguments: Any) -> None:
        seen.append(CAPITAL in base)
        swap(*arguments)
        seen.append(CAPITAL in base)

    monkeypatch.setattr(KnowledgeBase, "_swap", observed_swap)
    base.set(CAPITAL)
    base.remove(*CAPITAL.identity)
    assert seen == [False, True, True, False]
