"""Making and reading a knowledge base."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from counting_encoder import AI, CAPITAL, KBLAM, CountingEncoder, consistent

from kblam.errors import EncoderError, KnowledgeError
from kblam.knowledge.base import KnowledgeBase
from kblam.knowledge.triples import Triple


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
