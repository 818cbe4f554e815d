from __future__ import annotations

import contextvars
import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import (
    ARCHITECTURES,
    EAGER_ONLY,
    IDS,
    KEYS,
    MASK,
    QUESTIONS,
    TOKENS,
    VALUES,
    VOCABULARY,
    attend,
    close,
    implementations,
    reference_attention,
    rows_of,
    tiny_adapter,
    tiny_model,
)
from torch import Tensor

from kblam.errors import ModelError, UnsupportedModelError
from kblam.models.active import ActiveKnowledge, Recorder
from kblam.models.adapter import Adapter
from kblam.models.inject import inject

CASES = [(name, implementation) for name in ARCHITECTURES for implementation in implementations(name)]
EVERY = [*ARCHITECTURES, "GptOss"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("name", "implementation"), [*CASES, ("GptOss", "eager")])
@torch.no_grad()
def test_without_knowledge_the_logits_are_the_plain_models(name: str, implementation: str, dtype: torch.dtype) -> None:
    model = tiny_model(name, implementation).to(dtype)
    plain = model(IDS, attention_mask=MASK).logits
    unpadded = model(IDS).logits
    adapter = tiny_adapter(tiny_model(name, implementation))
    injection = inject(model, adapter)
    assert torch.equal(model(IDS, attention_mask=MASK).logits, plain)
    assert torch.equal(model(IDS).logits, unpadded)
    with injection.attend(ActiveKnowledge(adapter.latents(KEYS, VALUES), QUESTIONS)):
        attended = model(IDS, attention_mask=MASK).logits
        assert attended.dtype == dtype
        assert not torch.equal(attended, plain)
    assert torch.equal(model(IDS, attention_mask=MASK).logits, plain)
    with injection.attend(ActiveKnowledge(adapter.latents(KEYS[:0], VALUES[:0]), QUESTIONS)):
        assert torch.equal(model(IDS, attention_mask=MASK).logits, plain), "an empty knowledge base is no knowledge"


@torch.no_grad()
def test_remove_restores_the_model() -> None:
    for name, implementation in (("Llama", "sdpa"), ("Gemma2", "eager")):
        model = tiny_model(name, implementation)
        plain = model(IDS, attention_mask=MASK).logits
        injection = inject(model, tiny_adapter(model))
        assert model.config._attn_implementation != implementation
        with pytest.raises(ModelError, match=r"remove\(\)"):
            inject(model, injection.adapter)
        injection.remove()
        injection.remove()
        assert model.config._attn_implementation == implementation
        assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
        assert torch.equal(model(IDS, attention_mask=MASK).logits, plain)
        inject(model, injection.adapter).remove()


def test_saving_the_base_writes_what_it_would_without_us(tmp_path: Path) -> None:
    model = tiny_model("Qwen3")
    model.save_pretrained(tmp_path / "plain")
    injection = inject(model, tiny_adapter(model))
    with injection.attend(ActiveKnowledge(injection.adapter.latents(KEYS, VALUES), QUESTIONS)):
        model.save_pretrained(tmp_path / "ours")
    files = sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "ours").iterdir())
    for file in files:
        assert (tmp_path / "plain" / file).read_bytes() == (tmp_path / "ours" / file).read_bytes()
    assert "kblam" not in json.dumps(model.config.to_dict(), default=str)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert again.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(("name", "implementation"), [*CASES, ("GptOss", "eager")])
@torch.no_grad()
def test_with_knowledge_the_logits_are_the_references(name: str, implementation: str) -> None:
    model = tiny_model(name, implementation)
    adapter = tiny_adapter(model, length_scale=5.0)
    ours = attend(model, adapter)
    with reference_attention(model, adapter, KEYS, VALUES, QUESTIONS, MASK):
        wanted = model(IDS, attention_mask=MASK).logits
    close(ours[TOKENS], wanted[TOKENS])
    assert (ours - model(IDS, attention_mask=MASK).logits).abs().max() > 0.1


@pytest.mark.parametrize("rows", [1, 13])
@pytest.mark.parametrize(
    "options",
    [
        {"null_row": False, "question_prior": False},
        {"null_row": True, "question_prior": False, "length_scale": 100.0},
        {"null_row": False, "question_prior": True, "layers": (0, 2)},
        {"key_blocks": 5, "layers": (0, 1, 2)},
    ],
)
@torch.no_grad()
def test_each_part_of_the_score_is_the_references(options: dict[str, Any], rows: int) -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, **options)
    prior = torch.randn(3, rows)
    prior[1, 0] = -torch.inf if rows > 1 else 0.0
    ours = attend(model, adapter, keys=KEYS[:rows], values=VALUES[:rows], prior=prior)
    with reference_attention(model, adapter, KEYS[:rows], VALUES[:rows], QUESTIONS, MASK, prior=prior):
        wanted = model(IDS, attention_mask=MASK).logits
    close(ours[TOKENS], wanted[TOKENS])


@torch.no_grad()
def test_padding_sees_no_knowledge_and_no_null_row() -> None:
    # The eager mask lets padding see every token, so knowledge below the last layer would reach it through them.
    model = tiny_model("Llama", "eager")
    plain = model(IDS, attention_mask=MASK).logits
    ours = attend(model, tiny_adapter(model, layers=(2,)))
    close(ours[~TOKENS], plain[~TOKENS])
    assert (ours - plain)[TOKENS].abs().max() > 0.1


@torch.no_grad()
def test_bfloat16_base_is_near_the_reference() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model)
    exact = attend(model, adapter)
    ours = attend(model.bfloat16(), adapter)
    assert (ours.float() - exact)[TOKENS].abs().mean() < 0.05 * exact.std()


def test_gradients_are_the_references() -> None:
    model = tiny_model("Llama").requires_grad_(False)
    adapter = tiny_adapter(model, layers=(0, 1, 2), length_scale=4.0).requires_grad_()
    ours = torch.autograd.grad(attend(model, adapter)[TOKENS].square().mean(), list(adapter.parameters()))
    with reference_attention(model, adapter, KEYS, VALUES, QUESTIONS, MASK):
        loss = model(IDS, attention_mask=MASK).logits[TOKENS].square().mean()
    wanted = torch.autograd.grad(loss, list(adapter.parameters()))
    for (name, _), left, right in zip(adapter.named_parameters(), ours, wanted, strict=True):
        assert right.abs().max() > 0, name
        torch.testing.assert_close(left, right, atol=2e-5, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")


def checkpoint_layers(model: Any, reentrant: bool) -> None:
    # The name before transformers 5.23, which warns of its end.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": reentrant})
    model.train()


@pytest.mark.parametrize("retrieval_layer", [None, 1])
def test_gradient_checkpointing_changes_nothing(retrieval_layer: int | None) -> None:
    model = tiny_model("Llama").requires_grad_(False)
    adapter = tiny_adapter(model, retrieval_layer=retrieval_layer, top_k=4).requires_grad_()

    def gradients() -> tuple[Tensor, ...]:
        injection, recorder = inject(model, adapter), Recorder(layers=(2,))
        embedded = model.get_input_embeddings()(IDS).requires_grad_()
        try:
            with injection.attend(ActiveKnowledge(adapter.latents(KEYS, VALUES), QUESTIONS), recorder):
                logits = model(inputs_embeds=embedded, attention_mask=MASK, use_cache=False).logits
            loss = logits[TOKENS].square().mean()
            if recorder.retrieval is not None:
                loss = loss - recorder.retrieval.weights()[:, 3].log().mean()
            loss.backward()  # outside the block: a recomputed layer must still know its knowledge
        finally:
            injection.remove()
        assert len(recorder.attention[2]) == 1
        result = tuple(parameter.grad.clone() for parameter in adapter.parameters() if parameter.grad is not None)
        adapter.zero_grad()
        return result

    plain = gradients()
    checkpoint_layers(model, reentrant=False)
    checkpointed = gradients()
    assert len(plain) == len(checkpointed) == len(list(adapter.parameters()))
    for left, right in zip(checkpointed, plain, strict=True):
        torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-4)
    checkpoint_layers(model, reentrant=True)
    with pytest.raises(UnsupportedModelError, match="use_reentrant"):
        gradients()


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


def bloom() -> Any:
    config = transformers.BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4)
    return transformers.BloomForCausalLM(config).eval()


def test_models_that_cannot_be_served_are_refused_with_the_reason() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model)
    with pytest.raises(UnsupportedModelError, match=r"BloomForCausalLM.*registry"):
        inject(bloom(), adapter)
    with pytest.raises(UnsupportedModelError, match=r"BloomForCausalLM.*registry"):
        Adapter.for_model(bloom(), adapter.config)
    tiny = {"vocab_size": 61, "d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 4}
    with pytest.raises(UnsupportedModelError, match="encoder-decoder"):
        inject(transformers.T5ForConditionalGeneration(transformers.T5Config(**tiny)), adapter)
    model.config._attn_implementation = "flex_attention"
    with pytest.raises(UnsupportedModelError, match=r"'flex_attention'.*attn_implementation='sdpa'"):
        inject(model, adapter)
    for name, words in (("Gemma2", "soft-capped scores"), ("GptOss", "attention sinks")):
        assert name in EAGER_ONLY
        model = tiny_model(name)
        adapter = tiny_adapter(model)
        model.config._attn_implementation = "sdpa"
        with pytest.raises(UnsupportedModelError, match=rf"{words}.*attn_implementation='eager'"):
            inject(model, adapter)
        assert model.config._attn_implementation == "sdpa"


def test_unknown_query_norms_are_refused() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model)
    model.model.layers[1].self_attn.q_layernorm = torch.nn.LayerNorm(10)
    with pytest.raises(UnsupportedModelError, match="q_layernorm"):
        inject(model, adapter)
    del model.model.layers[1].self_attn.q_layernorm
    model.model.layers[2].self_attn.q_norm = torch.nn.LayerNorm(3)
    with pytest.raises(UnsupportedModelError, match=r"q_norm of shape \(3,\)"):
        inject(model, adapter)


def test_an_adapter_of_another_model_is_refused() -> None:
    model, other = tiny_model("Llama"), tiny_model("Qwen3")
    with pytest.raises(ModelError, match=r"head_dim 16.*has 10"):
        inject(model, tiny_adapter(other))
    with pytest.raises(UnsupportedModelError, match=r"layers \[7\]"):
        inject(model, Adapter(dataclasses.replace(tiny_adapter(model).config, knowledge_layers=(1, 7))))
    assert model.config._attn_implementation == "sdpa"
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_knowledge_that_would_be_dropped_or_wrong_is_refused_when_called() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model)
    with pytest.raises(ModelError, match=r"question prior.*`question`.*tiny"):
        attend(model, adapter, question=None)
    with pytest.raises(ModelError, match=r"2 questions.*batch of 3"):
        attend(model, adapter, question=QUESTIONS[:2])
    assert model.config._attn_implementation == "sdpa"
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.1
    with pytest.raises(UnsupportedModelError, match="attention_dropout"):
        attend(model.train(), adapter)
    model.eval()

    injection = inject(model, adapter)
    layer = model.model.layers[1]
    whole = layer.self_attn.forward
    layer.forward = lambda hidden_states, **kwargs: layer.self_attn(
        hidden_states=hidden_states, position_embeddings=kwargs["position_embeddings"], attention_mask=None
    )[0]
    latents = adapter.latents(KEYS, VALUES)
    with injection.attend(ActiveKnowledge(latents, QUESTIONS)), pytest.raises(UnsupportedModelError, match="keyword"):
        model(IDS, attention_mask=MASK)
    assert whole is not None
