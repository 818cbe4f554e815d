"""Embeddings of a dataset: made once, and the ones that the original leaves beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import WIDTH, WordsEncoder

from kblam.errors import KnowledgeError
from kblam.knowledge import Triple
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.synthesis.dataset import Entry
from kblam.synthesis.questions import Question
from kblam.training.embedding import cached_pair, embed_lessons, embed_texts
from kblam.training.lessons import Lessons
from kblam.training.reading import with_questions

ENCODER = WordsEncoder()


def test_a_question_whose_fact_is_nowhere_is_named(tmp_path: Path) -> None:
    lost = Question("Where?", "x", (("Zembla", "place"),), "plain")
    with pytest.raises(KnowledgeError, match=r"'Where\?' needs a fact"):
        embed_lessons([Entry(Triple("Zembla", "size", "5"), (lost,))], ENCODER, tmp_path)


def test_texts_are_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_texts(["a b", "c"], ENCODER, tmp_path)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr(WordsEncoder, "encode", lambda *_: pytest.fail("it was embedded again"))
    assert torch.equal(embed_texts(["a b", "c"], ENCODER, tmp_path), first)
    monkeypatch.undo()
    file.write_bytes(file.read_bytes()[:-3])
    assert torch.equal(embed_texts(["a b", "c"], ENCODER, tmp_path), first)


def test_cached_vectors_are_those_of_the_facts(tmp_path: Path) -> None:
    facts = [Triple("Zembla", name, "x") for name in ("a", "b", "c")]
    rows = [{"name": fact.entity, "description_type": fact.property, "description": fact.value} for fact in facts]
    (tmp_path / "synthetic.json").write_text(json.dumps(rows), encoding="utf-8")
    numbers = np.arange(6, dtype=np.float32).reshape(3, 2)
    for half in ("key", "value"):
        np.save(tmp_path / f"synthetic_all-MiniLM-L6-v2_embd_{half}.npy", np.resize(numbers, (3, 384)))
    entries = [Entry(facts[2], ()), Entry(facts[0], ())]
    pair = cached_pair(tmp_path / "synthetic.json", entries, "all-MiniLM-L6-v2")
    assert pair is not None
    np.testing.assert_array_equal(pair[0].float(), np.resize(numbers, (3, 384))[[2, 0]])
    assert cached_pair(tmp_path / "synthetic.json", entries, "text-embedding-ada-002") is None
    with pytest.raises(KnowledgeError, match="no vectors for some facts"):
        cached_pair(tmp_path / "synthetic.json", [Entry(Triple("a", "b", "c"), ())], "all-MiniLM-L6-v2")


def test_questions_that_nobody_asks_are_not_embedded(lessons: Lessons, tmp_path: Path) -> None:
    config = AdapterConfig("words", WIDTH, "tiny", (0,), heads=1, head_dim=4, value_head_dim=4, hidden_size=8)
    some = with_questions(Adapter(config), lessons, ENCODER, tmp_path, [3, 5]).asked
    assert some is not None and lessons.asked is not None
    assert some.abs().sum(1).nonzero()[:, 0].tolist() == [3, 5]
    assert torch.equal(some[[3, 5]], lessons.asked[[3, 5]])
