"""What a store says and keeps when its files are damaged."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import check_vectors, vector
from stored_facts import FACTS, NEW, one_sentence, opened

from kblam.errors import KnowledgeError
from kblam.knowledge import Triple
from kblam.knowledge.store import columns
from kblam.knowledge.store.database import FILE


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
