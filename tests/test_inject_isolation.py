"""Knowledge stays in its thread, its block and its model."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import torch
from tiny_models import IDS, KEYS, MASK, QUESTIONS, TOKENS, VALUES, close, rows_of, tiny_adapter, tiny_model
from torch import Tensor

from kblam.models.active import ActiveKnowledge
from kblam.models.inject import inject


@torch.no_grad()
def test_two_threads_with_two_knowledge_bases_do_not_mix() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=4)
    injection = inject(model, adapter)
    bases = [rows_of(9, seed=21), rows_of(9, seed=22), None]
    barrier = threading.Barrier(len(bases))

    def answer(base: tuple[Tensor, Tensor] | None) -> Tensor:
        with torch.no_grad():
            if base is None:
                return model(IDS, attention_mask=MASK).logits
            with injection.attend(ActiveKnowledge(adapter.latents(*base), QUESTIONS)):
                return model(IDS, attention_mask=MASK).logits

    def repeatedly(base: tuple[Tensor, Tensor] | None) -> list[Tensor]:
        barrier.wait()
        return [answer(base) for _ in range(15)]

    alone = [answer(base) for base in bases]
    assert (alone[0] - alone[1])[TOKENS].abs().max() > 0.1
    with ThreadPoolExecutor(len(bases)) as pool:
        for wanted, results in zip(alone, pool.map(repeatedly, bases), strict=True):
            for result in results:
                close(result[TOKENS], wanted[TOKENS])


@torch.no_grad()
def test_blocks_nest_and_a_copied_context_carries_them() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, question_prior=False)
    injection = inject(model, adapter)
    first, second = (ActiveKnowledge(adapter.latents(*rows_of(5, seed=seed))) for seed in (1, 2))

    def logits() -> Tensor:
        result: Tensor = model(IDS, attention_mask=MASK).logits
        return result

    with injection.attend(first):
        outer = logits()
        with injection.attend(second):
            assert not torch.equal(logits(), outer)
        assert torch.equal(logits(), outer)
        with ThreadPoolExecutor(1) as pool:
            assert not torch.equal(pool.submit(torch.no_grad()(logits)).result(), outer)
            context = contextvars.copy_context()
            assert torch.equal(pool.submit(context.run, torch.no_grad()(logits)).result(), outer)


@torch.no_grad()
def test_two_models_keep_their_own_knowledge() -> None:
    model, other = tiny_model("Llama"), tiny_model("Qwen2")
    plain = other(IDS, attention_mask=MASK).logits
    injection = inject(model, tiny_adapter(model))
    other_injection = inject(other, tiny_adapter(other))
    with injection.attend(ActiveKnowledge(injection.adapter.latents(KEYS, VALUES), QUESTIONS)):
        assert torch.equal(other(IDS, attention_mask=MASK).logits, plain)
    other_injection.remove()
