"""Rows proposed by an index, against the scores of all rows."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from counting_encoder import CountingEncoder
from test_reader import adapter as reading_adapter
from tiny_models import IDS, MASK, QUESTIONS, TOKENS, WIDTH, close, tiny_adapter, tiny_model
from torch import Tensor

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering import reader as reader_module
from kblam.answering.reader import Reader, follow
from kblam.attention import approximate
from kblam.attention.approximate import PROPOSED, follow_index, index_rows
from kblam.attention.latent import LatentParts, Latents
from kblam.errors import InputError
from kblam.models import active
from kblam.models.active import ActiveKnowledge, Recorder
from kblam.models.inject import inject

pytest.importorskip("faiss")
ROWS = 700


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "PROPOSED", 40)
    monkeypatch.setattr(approximate, "_BLOCK", 256)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rows(count: int = ROWS) -> tuple[Tensor, Tensor]:
    """Keys of nearly one length, as encoders give, but not of length 1."""
    keys = torch.nn.functional.normalize(normal(count, WIDTH, seed=1)) * (2 + 0.1 * normal(count, 1, seed=3))
    return keys, normal(count, WIDTH, seed=2)


def looked(model: Any, made: Any, latents: Latents, **options: Any) -> tuple[Tensor, Recorder]:
    injection, recorder = inject(model, made), Recorder()
    try:
        with injection.attend(ActiveKnowledge(latents, QUESTIONS, **options), recorder):
            return model(IDS, attention_mask=MASK).logits[TOKENS], recorder
    finally:
        injection.remove()


@torch.no_grad()
def test_the_index_proposes_the_rows_with_the_best_inner_products() -> None:
    latents = tiny_adapter(tiny_model(), retrieval_layer=1).latents(*rows())
    for stored in (latents, LatentParts([latents.block(0, 300), latents.block(300, ROWS)])):
        index = index_rows(stored).index
        assert index is not None
        for_keys, for_values = normal(50, WIDTH, seed=4), normal(50, WIDTH, seed=5)
        found = index.propose(for_keys, for_values, None, ROWS)
        assert found.shape == (50, 40)
        wanted = for_keys @ torch.nn.functional.normalize(latents.keys).T
        wanted = (wanted + for_values @ torch.nn.functional.normalize(latents.values).T).topk(4).indices
        assert (wanted[:, :, None] == found[:, None]).any(-1).float().mean() > 0.99


@pytest.mark.parametrize("length_scale", [None, 7.0])
@torch.no_grad()
def test_a_model_chooses_and_weighs_proposed_rows_as_if_it_had_scored_all(
    length_scale: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    made = tiny_adapter(model, retrieval_layer=1, top_k=4, length_scale=length_scale)
    latents = made.latents(*rows())
    prior = torch.zeros(3, ROWS)
    prior[0, 17], prior[2, 699] = 1000.0, 900.0  # named, and never near
    wanted, exact = looked(model, made, latents, prior=prior)
    indexed = index_rows(latents)
    compared: list[int] = []
    compare = active.similarities
    monkeypatch.setattr(active, "similarities", lambda *given: compared.append(len(given[2])) or compare(*given))
    logits, recorder = looked(model, made, indexed, prior=prior)
    close(logits, wanted)
    assert compared and max(compared) < 50, "all rows were compared"
    assert exact.retrieval is not None and recorder.retrieval is not None
    assert torch.equal(recorder.retrieval.indices, exact.retrieval.indices)
    found = recorder.retrieval.scores
    assert 40 <= int((found > -torch.inf).sum(1).max()) <= 42
    close(found[found > -torch.inf], exact.retrieval.scores[found > -torch.inf])


@torch.no_grad()
def test_all_rows_are_attended_to_whatever_the_index_proposes() -> None:
    model = tiny_model()
    made = tiny_adapter(model, retrieval_layer=1, top_k=ROWS)
    latents = made.latents(*rows())
    close(looked(model, made, index_rows(latents))[0], looked(model, made, latents)[0])


@torch.no_grad()
def test_rows_chosen_again_come_from_the_index_too() -> None:
    model = tiny_model()
    made = tiny_adapter(model, retrieval_layer=1, top_k=4)
    latents, said = made.latents(*rows()), []
    for form in (latents, index_rows(latents)):
        injection = inject(model, made)
        with injection.attend(ActiveKnowledge(form, QUESTIONS, every="token")):
            options = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None}
            said.append(model.generate(IDS, attention_mask=MASK, **options).tolist())
        injection.remove()
    assert said[0] == said[1]


def test_changed_rows_are_proposed_until_the_index_is_made_anew() -> None:
    made = tiny_adapter(tiny_model(), retrieval_layer=1)
    keys, values = rows(ROWS + 5)
    before = index_rows(made.latents(keys[:ROWS], values[:ROWS]))
    now = follow_index(before, made.latents(keys, values), [3])
    assert now.index is not None and before.index is not None
    assert now.index.codes is before.index.codes and len(before.index.changed) == 0
    query = normal(2, WIDTH, seed=6)
    assert {3, *range(ROWS, ROWS + 5)} <= set(now.index.propose(query, query, None, ROWS + 5)[1].tolist())
    again = follow_index(now, made.latents(keys, values), [4, 3])
    assert again.index is not None and again.index.changed.tolist() == [3, 4, *range(ROWS, ROWS + 5)]
    anew = follow_index(again, made.latents(keys, values), range(10))
    assert anew.index is not None and anew.index.codes.ntotal == ROWS + 5 and len(anew.index.changed) == 0


def test_rows_that_are_no_more_are_not_proposed() -> None:
    made = tiny_adapter(tiny_model(), retrieval_layer=1)
    before = index_rows(made.latents(*rows()))
    now = follow_index(before, made.latents(*rows(ROWS - 10)), [ROWS - 5])
    assert now.index is not None
    found = now.index.propose(normal(30, WIDTH, seed=7), normal(30, WIDTH, seed=8), None, ROWS - 10)
    assert int(found.min()) >= 0 and int(found.max()) < ROWS - 10
    few_left = follow_index(before, made.latents(*rows(100)), [])
    assert few_left.index is not None and few_left.index.codes.ntotal == 100


def test_few_rows_have_no_index() -> None:
    latents = tiny_adapter(tiny_model(), retrieval_layer=1).latents(*rows(40))
    assert index_rows(latents) is latents and latents.index is None
    assert PROPOSED >= 1000, "with fewer the recall that docs/speed.md tells of is not reached"


def facts(count: int = ROWS) -> KnowledgeBase:
    triples = [Triple(f"e{row}", "p" if row % 2 else "q", f"v{row * 7}") for row in range(count)]
    return KnowledgeBase.from_triples(triples, CountingEncoder(width=6))


def test_a_reader_follows_its_knowledge_through_changes() -> None:
    knowledge, reads = facts(), reading_adapter()
    reader = Reader(reads, knowledge.snapshot(), knowledge.encoder, "ann")
    for step in range(6):
        knowledge.set(Triple(f"e{step}", "p" if step % 2 else "q", f"new {step}"))
        knowledge.set(Triple(f"added{step}", "p", "v"))
        knowledge.remove(f"e{690 - step}", "q" if step % 2 == 0 else "p")
        followed = follow(reader, knowledge)
        assert followed is not None and followed.latents.index is not None
        reader = followed
        exact = Reader(reads, knowledge.snapshot(), knowledge.encoder)
        reading = exact.read([f"What is the p of added{step}?", f"the q of e{step}", "nothing that anybody named"])
        wanted, found = exact.scores(reading), reader.scores(reading)
        seen = found > -torch.inf
        assert bool((seen.sum(1) < 80).all())
        torch.testing.assert_close(found[seen], wanted[seen], atol=1e-4, rtol=1e-4)
        assert torch.equal(found.argmax(1), wanted.argmax(1))


def test_misspelt_names_are_looked_for_among_the_proposed_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge = KnowledgeBase.from_triples([Triple(f"Zembla{row}", "p", "v") for row in range(60)])
    given: list[int] = []
    monkeypatch.setattr(reader_module, "near_mention", lambda question, best, names: given.append(len(list(best))))
    reads = KBLaM.from_pretrained("default").adapter
    assert reads is not None
    Reader(reads, knowledge.snapshot(), knowledge.encoder, "ann").read(["Where is Zemlba7?"])
    assert given == [reader_module.RESEMBLING]


def test_a_changed_fact_is_answered_from_at_once() -> None:
    knowledge = KnowledgeBase.from_triples([Triple(f"Zembla{row}", "capital", f"Onhava{row}") for row in range(60)])
    model = KBLaM.from_pretrained("default").attach(knowledge, scan="ann")
    assert "Onhava7" in model.ask("What is the capital of Zembla7?").text
    knowledge.set(Triple("Zembla7", "capital", "Elsewhere"))
    knowledge.set(Triple("Kobaltana", "capital", "Novostabia"))
    assert "Elsewhere" in model.ask("What is the capital of Zembla7?").text
    assert "Novostabia" in model.ask("What is the capital of Kobaltana?").text
    assert "Novostabia" in model.ask("What is the capital of Kobaltana?", grounding="tokens").text


def test_without_faiss_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"pip install .*\[ann\]'"):
        KBLaM.from_pretrained("default").attach(KnowledgeBase.empty(), scan="ann")
    with pytest.raises(InputError, match="exact, int8 or ann"):
        KBLaM.from_pretrained("default").attach(KnowledgeBase.empty(), scan="other")  # type: ignore[call-overload]
