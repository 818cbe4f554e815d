"""The original's pairs of vector files, and a directory that is read while it is replaced."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from counting_encoder import CountingEncoder

from kblam.errors import KnowledgeError
from kblam.knowledge.base import KnowledgeBase
from kblam.knowledge.triples import Triple

PAIR = [{"name": name, "description_type": "purpose", "description": text} for name, text in (("a", "x"), ("b", "y"))]


def write_pair(folder: Path, stem: str, rows: int, width: int) -> None:
    keys = np.arange(rows * width, dtype=np.float32).reshape(rows, width)
    np.save(folder / f"{stem}_embd_key.npy", keys)
    np.save(folder / f"{stem}_embd_value.npy", keys + 0.5)


@pytest.mark.parametrize("tag", ["", "_OAI"])
def test_the_originals_pair(tmp_path: Path, tag: str) -> None:
    width = 1536 if tag else 4
    write_pair(tmp_path, f"data{tag}", 2, width)
    facts = tmp_path / "data.json"
    facts.write_text("\n".join(json.dumps(row) for row in PAIR), encoding="utf-8")
    for path in (facts, tmp_path / f"data{tag}_embd_key.npy", tmp_path / f"data{tag}_embd_value.npy"):
        base = KnowledgeBase.from_file(path)
        assert base.triples == [Triple("a", "purpose", "x"), Triple("b", "purpose", "y")]
        assert base.keys.dtype == np.float32 and base.keys[1, 0] == width and base.values[0, 1] == 1.5
        assert base.encoder_name == ("text-embedding-ada-002" if tag else None)


def test_a_pair_without_its_facts_is_numbered(tmp_path: Path) -> None:
    write_pair(tmp_path, "data", 2, 4)
    base = KnowledgeBase.from_file(tmp_path / "data_embd_key.npy", encoder=CountingEncoder(width=4))
    assert len(base) == 2 and not base.has_texts and base.encoder_name == "counting"


def test_a_pair_row_that_a_later_one_contradicts_goes_with_its_vectors(tmp_path: Path) -> None:
    write_pair(tmp_path, "data", 3, 4)
    rows = [*PAIR, {**PAIR[0], "description": "z"}]
    (tmp_path / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    base = KnowledgeBase.from_file(tmp_path / "data.json")
    assert [triple.value for triple in base] == ["z", "y"]
    np.testing.assert_array_equal(base.keys[:, 0], [8, 4])


def test_pairs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(json.dumps(PAIR), encoding="utf-8")
    write_pair(tmp_path, "data", 3, 4)
    with pytest.raises(KnowledgeError, match=r"data_embd_key\.npy has 3 vectors and .*data\.json 2 facts"):
        KnowledgeBase.from_file(tmp_path / "data.json")
    (tmp_path / "data_embd_key.npy").unlink()
    with pytest.raises(KnowledgeError, match=r"data_embd_key\.npy does not exist"):
        KnowledgeBase.from_file(tmp_path / "data_embd_value.npy")
    write_pair(tmp_path, "data", 2, 4)
    write_pair(tmp_path, "data_BigOAI", 2, 3072)
    with pytest.raises(KnowledgeError, match="has vectors of several encoders beside it"):
        KnowledgeBase.from_file(tmp_path / "data.json")
    (tmp_path / "data_embd_key.npy").unlink()
    assert KnowledgeBase.from_file(tmp_path / "data.json", encoder="BigOAI").width == 3072
    # Vectors of an encoder that nobody asked for are passed over, and the facts encoded.
    assert KnowledgeBase.from_file(tmp_path / "data.json", encoder="all-MiniLM-L6-v2").width == 384


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot replace a file that is mapped")
def test_a_directory_is_memory_mapped_and_can_be_replaced_meanwhile(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float16).reshape(3, 4)
    KnowledgeBase.from_embeddings(rows, rows + 1).save(tmp_path / "facts")
    base = KnowledgeBase.from_file(tmp_path / "facts")
    piece, mapped = base.snapshot().key_rows.pieces[0], False
    while piece is not None:
        mapped, piece = mapped or isinstance(piece, np.memmap), getattr(piece, "base", None)
    assert mapped
    KnowledgeBase.from_embeddings(rows * 0, rows * 0).save(tmp_path / "facts")
    assert np.array_equal(base.keys, rows)
