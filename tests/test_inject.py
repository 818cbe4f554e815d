from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from reference_model import reference_attention
from tiny_models import (
    ARCHITECTURES,
    IDS,
    KEYS,
    MASK,
    QUESTIONS,
    TOKENS,
    VALUES,
    attend,
    close,
    implementations,
    tiny_adapter,
    tiny_model,
)
from torch import Tensor

from kblam.errors import ModelError, UnsupportedModelError
from kblam.models.active import ActiveKnowledge, Recorder
from kblam.models.inject import inject

CASES = [(name, implementation) for name in ARCHITECTURES for implementation in implementations(name)]


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
