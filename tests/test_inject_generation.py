"""Knowledge in batches, in generation with and without a cache, and in beams."""

from __future__ import annotations

import pytest
import torch
from tiny_models import ARCHITECTURES, IDS, KEYS, MASK, QUESTIONS, VALUES, attend, close, tiny_adapter, tiny_model
from torch import Tensor

from kblam.models.active import ActiveKnowledge
from kblam.models.inject import inject

EVERY = [*ARCHITECTURES, "GptOss"]


@pytest.mark.parametrize("name", EVERY)
@torch.no_grad()
def test_a_left_padded_batch_is_its_single_rows(name: str) -> None:
    model = tiny_model(name)
    adapter = tiny_adapter(model)
    together = attend(model, adapter)
    for row in range(3):
        length = int(MASK[row].sum())
        alone = attend(model, adapter, ids=IDS[row : row + 1, -length:], mask=None, question=QUESTIONS[row : row + 1])
        close(together[row, -length:], alone[0], 5e-5)


@pytest.mark.parametrize("mode", ["exact", "top-k"])
@pytest.mark.parametrize("name", EVERY)
@torch.no_grad()
def test_generation_with_a_cache_is_generation_without(name: str, mode: str) -> None:
    model = tiny_model(name)
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=4 if mode == "top-k" else 99)
    injection = inject(model, adapter)
    results = []
    for use_cache in (True, False):
        with injection.attend(ActiveKnowledge(adapter.latents(KEYS, VALUES), QUESTIONS)):
            results.append(
                model.generate(
                    IDS,
                    attention_mask=MASK,
                    max_new_tokens=4,
                    do_sample=False,
                    eos_token_id=None,
                    use_cache=use_cache,
                    output_logits=True,
                    return_dict_in_generate=True,
                )
            )
    cached, whole = results
    for left, right in zip(cached.logits, whole.logits, strict=True):
        close(left, right, 1e-4)
    assert torch.equal(cached.sequences, whole.sequences)


@pytest.mark.parametrize("mask", [MASK, torch.ones_like(MASK)])
@torch.no_grad()
def test_generation_with_a_static_cache_is_generation_with_a_growing_one(mask: Tensor) -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=4)
    injection = inject(model, adapter)
    sequences = []
    for cache in (None, "static"):
        with injection.attend(ActiveKnowledge(adapter.latents(KEYS, VALUES), QUESTIONS)):
            options = {} if cache is None else {"cache_implementation": cache, "disable_compile": True}
            sequences.append(
                model.generate(
                    IDS, attention_mask=mask, max_new_tokens=5, do_sample=False, eos_token_id=None, **options
                )
            )
    assert torch.equal(*sequences)


@pytest.mark.parametrize("top_k", [4, 99])
@torch.no_grad()
def test_beams_of_a_batch_are_the_beams_of_its_rows(top_k: int) -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=top_k)
    injection, latents = inject(model, adapter), adapter.latents(KEYS, VALUES)
    prior = torch.randn(3, 13, generator=torch.Generator().manual_seed(1))
    options = {"max_new_tokens": 5, "num_beams": 3, "do_sample": False, "eos_token_id": None}
    with injection.attend(ActiveKnowledge(latents, QUESTIONS, prior=prior)):
        together = model.generate(IDS, attention_mask=MASK, **options)
    for row in range(3):
        with injection.attend(ActiveKnowledge(latents, QUESTIONS[row : row + 1], prior=prior[row : row + 1])):
            alone = model.generate(IDS[row : row + 1], attention_mask=MASK[row : row + 1], **options)
        assert torch.equal(together[row], alone[0])


@torch.no_grad()
def test_selected_rows_follow_the_beams() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, question_prior=False)
    injection, latents = inject(model, adapter), adapter.latents(KEYS, VALUES)
    chosen = torch.tensor([[0, 5], [12, 1], [7, 7]])
    options = {"max_new_tokens": 4, "num_beams": 2, "do_sample": False, "eos_token_id": None}
    with injection.attend(ActiveKnowledge(latents, selected=chosen)):
        together = model.generate(IDS, attention_mask=MASK, **options)
    for row in range(3):
        only = adapter.latents(KEYS[chosen[row]], VALUES[chosen[row]])
        with injection.attend(ActiveKnowledge(only)):
            alone = model.generate(IDS[row : row + 1], attention_mask=MASK[row : row + 1], **options)
        assert torch.equal(together[row], alone[0])
