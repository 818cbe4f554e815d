"""Tiny random models of many architectures, adapters for them, and logits with knowledge."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import transformers
from torch import Tensor

from kblam.models.active import ActiveKnowledge
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape
from kblam.models.inject import inject

VOCABULARY, WIDTH = 61, 12
_COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,
}
# Head widths differ from hidden / heads, windows are shorter than the prompts, where the architecture allows it.
_OWN: dict[str, dict[str, Any]] = {
    "Llama": {"head_dim": 10},
    "Phi3": {"sliding_window": 4},
    "Qwen2": {},
    "Qwen3": {"head_dim": 16},
    "Mistral": {"head_dim": 6, "sliding_window": 4},
    "Gemma2": {"head_dim": 16, "sliding_window": 4, "attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 7},
    "Gemma3": {"head_dim": 16, "sliding_window": 4, "query_pre_attn_scalar": 7},
    "SmolLM3": {"num_hidden_layers": 4},
    "GPTNeoX": {"rotary_pct": 0.5},
    "Olmo2": {},
    "GptOss": {"head_dim": 8, "sliding_window": 4, "num_local_experts": 2, "num_experts_per_tok": 1},
}
ARCHITECTURES = [name for name in _OWN if name != "GptOss"]
EAGER_ONLY = {"Gemma2", "GptOss"}
_CONFIGS = {"Gemma3": "Gemma3TextConfig"}


def implementations(name: str) -> list[str]:
    return ["eager"] if name in EAGER_ONLY else ["sdpa", "eager"]


@cache
def tiny_weights(name: str) -> dict[str, Tensor]:
    torch.manual_seed(7)
    model = _build(name, "eager")
    for parameter in model.parameters():
        if parameter.dim() == 1:
            # Norm weights and biases start at constants, which would hide a forgotten one.
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model.state_dict()


def _build(name: str, implementation: str) -> Any:
    config = getattr(transformers, _CONFIGS.get(name, f"{name}Config"))(**_COMMON | _OWN[name])
    config._attn_implementation = implementation
    return getattr(transformers, f"{name}ForCausalLM")._from_config(config, attn_implementation=implementation)


def tiny_model(name: str = "Llama", implementation: str | None = None) -> Any:
    """A fresh model in evaluation mode; the same weights each time."""
    model = _build(name, implementation or implementations(name)[0])
    model.load_state_dict(tiny_weights(name))
    return model.eval()


def tiny_adapter(model: Any, layers: tuple[int, ...] = (1, 2), **options: Any) -> Adapter:
    """An adapter with nothing at its neutral start, so that each part shows in the result."""
    torch.manual_seed(11)
    shape = attention_shape(model, layers)
    config = AdapterConfig(
        encoder="tiny", encoder_width=WIDTH, base_model="tiny", knowledge_layers=layers, **shape | options
    )
    adapter = Adapter.for_model(model, config)
    for name, parameter in adapter.named_parameters():
        if name.rpartition(".")[2] not in ("query_weight", "key_weight", "value_weight"):
            parameter.data.normal_()
    adapter.value_weight.data.mul_(4)
    return adapter.requires_grad_(False)


def rows_of(count: int, seed: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, WIDTH, generator=generator), torch.randn(count, WIDTH, generator=generator)


def prompts(batch: int = 3, tokens: int = 9, seed: int = 5) -> tuple[Tensor, Tensor]:
    """Token ids and a mask with left padding of 0, 1, 2 ... tokens."""
    ids = torch.randint(3, VOCABULARY, (batch, tokens), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(tokens) >= torch.arange(batch)[:, None]).long()
    return ids.masked_fill(mask == 0, 0), mask


def questions(batch: int = 3, seed: int = 6) -> Tensor:
    return torch.randn(batch, WIDTH, generator=torch.Generator().manual_seed(seed))


KEYS, VALUES = rows_of(13)
IDS, MASK = prompts()
QUESTIONS = questions()
TOKENS = MASK.bool()


def attend(model: Any, adapter: Adapter, *, ids: Tensor = IDS, mask: Tensor | None = MASK, **given: Any) -> Tensor:
    """Logits with knowledge; the injection is gone afterwards."""
    keys, values, recorder = given.pop("keys", KEYS), given.pop("values", VALUES), given.pop("recorder", None)
    given.setdefault("question", QUESTIONS)
    injection = inject(model, adapter)
    try:
        with injection.attend(ActiveKnowledge(adapter.latents(keys, values), **given), recorder):
            logits: Tensor = model(ids, attention_mask=mask).logits
            return logits
    finally:
        injection.remove()


def close(left: Tensor, right: Tensor, tolerance: float = 2e-5) -> None:
    torch.testing.assert_close(left, right, atol=tolerance, rtol=1e-5)
