"""Readers that follow a knowledge base, and coarse scans, against readers made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from counting_encoder import CountingEncoder
from hypothesis import given, settings
from hypothesis import strategies as st

from kblam import KnowledgeBase, Triple
from kblam.answering import reader as reader_module
from kblam.answering import vectors
from kblam.answering.evidence import evidence
from kblam.answering.reader import Reader, follow
from kblam.answering.vectors import Scan, read_rows, reread_rows
from kblam.attention.latent import LatentParts, Latents
from kblam.knowledge import rows
from kblam.knowledge.snapshot import Snapshot
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.naming.names import Names

WIDTH = 6
FIELDS = ("keys", "values", "mean", "inverse_deviation", "key_norms", "value_norms")
SCANS: tuple[Scan, ...] = ("exact", "int8")
QUESTIONS = ["What is the p of e3?", "e1 and the q of e12?", "nothing", "the p of It"]


def adapter() -> Adapter:
    torch.manual_seed(1)
    config = AdapterConfig("counting", WIDTH, "none", (0,), heads=2, head_dim=3, value_head_dim=3, hidden_size=4)
    made = Adapter(config).requires_grad_(False)
    for parameter in made.parameters():
        parameter.normal_()
    return made


def base(count: int = 14) -> KnowledgeBase:
    facts = [Triple(f"e{row}", "p" if row % 2 else "q", str(row % 5), aliases=("It",)) for row in range(count)]
    return KnowledgeBase.from_triples(facts, CountingEncoder(width=WIDTH))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PIECE", 4)
    monkeypatch.setattr(vectors, "PIECE", 4)


def same(left: Latents, right: Latents) -> None:
    for field in FIELDS:
        torch.testing.assert_close(getattr(left, field), getattr(right, field), atol=1e-6, rtol=1e-6)


def test_rows_stay_in_the_snapshots_memory() -> None:
    snapshot = base().snapshot()
    latents = read_rows(adapter(), snapshot)
    assert latents.keys.dtype == latents.values.dtype == torch.float16
    assert latents.keys.data_ptr() == snapshot.keys.ctypes.data
    assert latents.values.data_ptr() == snapshot.values.ctypes.data


def test_memory_mapped_rows_are_read_in_place(tmp_path: Path) -> None:
    snapshot = base().snapshot()
    for name in ("keys", "values"):
        np.save(tmp_path / f"{name}.npy", getattr(snapshot, name))
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("keys", "values")]
    latents = read_rows(adapter(), Snapshot(snapshot.triples, *mapped))
    assert latents.keys.data_ptr() == mapped[0].ctypes.data
    same(latents, read_rows(adapter(), snapshot))


def test_other_precisions_are_kept_and_float64_becomes_float32() -> None:
    snapshot = base().snapshot()
    for given_type, kept in ((np.float32, torch.float32), (np.float64, torch.float32)):
        arrays = [array.astype(given_type) for array in (snapshot.keys, snapshot.values)]
        assert read_rows(adapter(), Snapshot(snapshot.triples, *arrays)).keys.dtype == kept


changes = st.lists(
    st.tuples(st.integers(0, 18), st.sampled_from("01234new"), st.sampled_from(("set", "remove", "many"))), max_size=8
)


@settings(max_examples=60, deadline=None)
@given(changes, st.sampled_from(SCANS), st.integers(0, 14))
def test_a_reader_that_follows_is_one_made_anew(steps: list[tuple[int, str, str]], scan: Scan, count: int) -> None:
    knowledge, reads = base(count), adapter()
    reader = Reader(reads, knowledge.snapshot(), knowledge.encoder, scan)
    for number, (row, value, kind) in enumerate(steps):
        fact = Triple(f"e{row}", "p" if row % 2 else "q", value)
        if kind == "many":
            knowledge.set_many([fact, *(Triple(f"e{other}", "p", value) for other in range(20, 22 + row % 5))])
        elif kind == "set":
            knowledge.set(fact)
        elif fact in knowledge:
            knowledge.remove(*fact.identity)
        if number % 2:
            continue  # so that some steps bring several changes
        followed = follow(reader, knowledge)
        assert followed is not None
        reader = followed
    reader = follow(reader, knowledge) or reader
    anew = Reader(reads, knowledge.snapshot(), knowledge.encoder, scan)
    assert reader.snapshot is anew.snapshot and len(reader.latents) == len(anew.latents) == len(knowledge)
    if len(knowledge):
        same(reader.latents, anew.latents)
        reading, wanted = reader.read(QUESTIONS), anew.read(QUESTIONS)
        torch.testing.assert_close(reading.named, wanted.named)
        torch.testing.assert_close(reader.scores(reading), anew.scores(wanted), atol=1e-4, rtol=1e-4)
    for question in QUESTIONS:
        assert reader.names.mentions(question) == anew.names.mentions(question)


def test_following_leaves_the_earlier_reader_as_it_was() -> None:
    knowledge = base()
    reader = Reader(adapter(), knowledge.snapshot(), knowledge.encoder)
    before = reader.latents.values.clone()
    knowledge.set(Triple("e7", "p", "other"))
    knowledge.set(Triple("It", "p", "other"))
    following = follow(reader, knowledge)
    assert following is not None and isinstance(following.latents, LatentParts)
    assert torch.equal(reader.latents.values, before) and len(reader.latents) == 14
    assert reader.names.mentions("the p of e7")[0].rows == (7,)
    assert following.latents.parts[0].keys.data_ptr() == reader.latents.keys.data_ptr(), "untouched pieces are shared"
    assert follow(following, knowledge) is following


def test_changes_that_are_not_known_need_a_new_reader() -> None:
    knowledge = base()
    reader = Reader(
        adapter(), Snapshot((), *knowledge.snapshot().keys[None, :0].repeat(2, 0), version=77), knowledge.encoder
    )
    assert follow(reader, knowledge) is None


def test_names_are_put_together_again_after_many_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kblam.naming.lookup.MOST_CHANGES", 2)
    facts = [Triple(f"e{row}", "p", "v") for row in range(5)]
    names = Names(facts)
    for row in range(5):
        facts = [*facts[:row], Triple(f"new{row}", "p", "v"), *facts[row + 1 :]]
        names = names.changed(facts, [row])
    assert [names.mentions(f"{kind}{row}") != [] for kind in ("e", "new") for row in range(5)] == [False] * 5 + [
        True
    ] * 5


def test_evidence_reads_the_rows_it_is_about_only() -> None:
    knowledge, reads = base(), adapter()
    reader = Reader(reads, knowledge.snapshot(), knowledge.encoder)
    reading = reader.read(QUESTIONS)
    found = evidence(reader, reading, [3, 1, 0, 5])
    prior = reads.prior_scores(reading.embedding, reader.latents)
    torch.testing.assert_close(found[:, 0], prior[torch.arange(4), torch.tensor([3, 1, 0, 5])], atol=1e-4, rtol=1e-4)


def test_coarse_scores_are_exact_for_the_best_rows() -> None:
    knowledge, reads = base(), adapter()
    exact, coarse = (Reader(reads, knowledge.snapshot(), knowledge.encoder, scan) for scan in SCANS)
    reading = exact.read(QUESTIONS)
    torch.testing.assert_close(coarse.scores(reading), exact.scores(reading), atol=1e-4, rtol=1e-4)
    rough = reads.prior_scores(reading.embedding, coarse.latents)
    assert not torch.allclose(rough, reads.prior_scores(reading.embedding, exact.latents), atol=1e-5)


def test_rereading_nothing_gives_the_same_rows() -> None:
    snapshot, reads = base().snapshot(), adapter()
    latents = read_rows(reads, snapshot)
    assert reread_rows(reads, latents, snapshot, []) is latents


def test_questions_are_said_with_stored_names() -> None:
    facts = [Triple("Rumel Orchestra", "fee", "18 euros", aliases=("D. Spark",)), Triple("Other", "fee", "2 euros")]
    reader = Reader(
        adapter(),
        KnowledgeBase.from_triples(facts, CountingEncoder(width=WIDTH)).snapshot(),
        CountingEncoder(width=WIDTH),
    )
    reading = reader.read(
        ["the fee of D. Spark?", "the fee of Rumel Orchetsra?", "the fee of rumel orchestra?", "the fee?"]
    )
    assert reader.said_plainly(reading, [0, 0, 0, 0]) == [
        "the fee of Rumel Orchestra?",
        "the fee of Rumel Orchestra?",
        "the fee of rumel orchestra?",
        "the fee?",
    ]
    assert reader.said_plainly(reading, [1, 1, 1, 1]) == list(reading.texts)


def test_rows_of_a_large_entity_beyond_those_read_fit_as_badly_as_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MOST_STATED", 3)
    facts = [Triple("Otus", f"p{row}", str(row)) for row in range(7)]
    encoder = CountingEncoder(width=WIDTH)
    reader = Reader(adapter(), KnowledgeBase.from_triples(facts, encoder).snapshot(), encoder)
    reading = reader.read(["the height of Otus"])
    rows, bonus = reading.bonuses[0]
    prior = reader.adapter.prior_scores(reading.embedding, reader.latents)[0]
    assert sorted(rows[:3].tolist()) == sorted(prior.topk(3).indices.tolist())
    assert (bonus[3:] == bonus[:3].min()).all()


@pytest.mark.parametrize("english", [True, False])
def test_what_is_meant_is_put_into_english_for_an_encoder_that_reads_english(english: bool) -> None:
    config = AdapterConfig(
        "counting", WIDTH, "none", (0,), heads=2, head_dim=3, value_head_dim=3, hidden_size=4, english_encoder=english
    )
    encoder = CountingEncoder(width=WIDTH)
    knowledge = KnowledgeBase.from_triples([Triple("蒙古", "首都", "乌兰巴托")], encoder)
    reader = Reader(Adapter(config).requires_grad_(False), knowledge.snapshot(), encoder)
    read: list[str] = []
    encode = encoder.encode
    encoder.encode = lambda texts, *more: read.extend(texts) or encode(texts, *more)  # type: ignore[method-assign, func-returns-value]
    reader.read(["蒙古的首都是哪里？"])
    assert "蒙古的首都是哪里？" in read
    assert any("capital" in text for text in read) == english
    assert any(text.startswith("the 首都 of it") for text in read) != english
