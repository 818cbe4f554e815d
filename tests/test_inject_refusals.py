"""What cannot be served is refused with the reason."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import transformers
from tiny_models import EAGER_ONLY, IDS, KEYS, MASK, QUESTIONS, VALUES, VOCABULARY, attend, tiny_adapter, tiny_model

from kblam.errors import ModelError, UnsupportedModelError
from kblam.models.active import ActiveKnowledge
from kblam.models.adapter import Adapter
from kblam.models.inject import inject


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
