"""Changing a knowledge base: versions, what differs between them, merging."""

from __future__ import annotations

import numpy as np
import pytest
from counting_encoder import AI, CAPITAL, KBLAM, CountingEncoder, consistent
from hypothesis import given, settings
from hypothesis import strategies as st

from kblam.errors import EncoderError, KnowledgeError
from kblam.knowledge import changelog
from kblam.knowledge import rows as pieces_of_rows
from kblam.knowledge.base import Change, KnowledgeBase
from kblam.knowledge.triples import Triple

entities = st.sampled_from("abcd")


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
