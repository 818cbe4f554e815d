"""Tiny random models of many architectures, and a second way to compute knowledge attention for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from kblam.attention.reference import knowledge_keys, rectangular_attention
from kblam.models.active import ActiveKnowledge
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape
from kblam.models.inject import inject
from kblam.models.slots import REACH

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


def reference_query(module: Any, weight: Tensor, bias: Tensor | None, hidden_states: Tensor, heads: int) -> Tensor:
    query = torch.nn.functional.linear(hidden_states, weight, bias)
    per_row = type(module).__name__ == "Olmo2Attention"
    if per_row:
        query = module.q_norm(query)
    query = query.view(*query.shape[:2], heads, -1).transpose(1, 2)
    return module.q_norm(query) if hasattr(module, "q_norm") and not per_row else query


def reference_similarity(question: Tensor, embeddings: Tensor, turn: Tensor) -> Tensor:
    """(B, D), (M, D) and (D, D) to (B, M): the cosine, if the turn is the identity."""
    lengths = question.norm(dim=1)[:, None] * embeddings.norm(dim=1)[None, :]
    return torch.einsum("bd,ed,me->bm", question, turn, embeddings) / lengths


def reference_slots(
    model: Any, adapter: Adapter, index: int, rows: list[list[int]], shares: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Keys (H, n, d), values (H, n, v) and biases (n,) of all tokens of some rows' values, one by one."""
    maps, heads, table = adapter.value_slots, adapter.config.heads, model.get_input_embeddings().weight
    assert maps is not None

    def unit(vector: Tensor) -> Tensor:
        return vector / (vector.square().mean() + 1e-12).sqrt()

    keys, values, biases = [], [], []
    for row, tokens in enumerate(rows):
        for place, token in enumerate(tokens):
            before = [place - back for back in range(1, REACH + 1)]
            parts = [unit(table[tokens[at]] if at >= 0 else maps.opening) for at in before]
            keys.append((maps.key_weight[index] @ torch.cat(parts)).view(heads, -1))
            values.append((maps.value_weight[index] @ unit(table[token])).view(heads, -1))
            biases.append(maps.sharpness[index] * shares[row].log())
    return torch.stack(keys, 1), torch.stack(values, 1), torch.stack(biases)


@contextmanager
def reference_attention(
    model: Any,
    adapter: Adapter,
    keys: Tensor,
    values: Tensor,
    question: Tensor | None,
    mask: Tensor,
    chosen: Tensor | None = None,
    prior: Tensor | None = None,
    slots: list[list[list[int]]] | None = None,
    shares: Tensor | None = None,
) -> Iterator[None]:
    """Make a model attend to knowledge by the reference: all keys and values built, one softmax, an eager mask.

    Shapes: question (B, D), mask (B, T), chosen (B, k) rows or None for all, prior (B, M), shares (B, k) of the chosen
    rows, which then weigh them. slots: the token ids of the values of the first chosen rows, B lists of R lists.
    """
    config, batch = adapter.config, mask.shape[0]
    if chosen is None:
        chosen = torch.arange(len(keys)).expand(batch, -1)
    all_keys = knowledge_keys(keys, adapter.key_weight, adapter.key_bias, config.key_norm_eps)
    all_values = values @ adapter.value_weight.T + adapter.value_bias
    entered: dict[int, Tensor] = {}

    def similarity(embeddings: Tensor, turn: Tensor | None) -> Tensor:
        assert question is not None and turn is not None
        return reference_similarity(question, embeddings, turn)

    def attention(module: Any, query: Tensor, key: Tensor, value: Tensor, context_mask: Tensor, **options: Any) -> Any:
        layer = module.layer_idx
        knowledge_query, rows, bias = query, query.new_zeros(batch, config.heads, 0, query.shape[-1]), None
        row_values = rows
        if layer in config.knowledge_layers:
            slot = config.knowledge_layers.index(layer)
            query_bias = None if adapter.query_bias is None else adapter.query_bias[slot]
            knowledge_query = reference_query(
                module, adapter.query_weight[slot], query_bias, entered[layer], config.heads
            )
            rows, row_values = (
                tensor.view(len(keys), -1, config.heads, width)[:, slot][chosen].transpose(1, 2)
                for tensor, width in ((all_keys, config.head_dim), (all_values, config.value_head_dim))
            )
            bias = torch.zeros(batch, len(keys)) if prior is None else prior
            if shares is None and adapter.beta_key is not None and adapter.beta_value is not None:
                bias = bias + adapter.beta_key[slot] * similarity(keys, adapter.question_key)
                bias = bias + adapter.beta_value[slot] * similarity(values, adapter.question_value)
            if config.length_scale is not None:
                bias = bias + torch.tensor(config.length_scale / chosen.shape[1]).log()
            bias = bias.gather(1, chosen) if shares is None else shares.log()
            if adapter.null_key is not None and adapter.null_offset is not None:
                null = adapter.null_key[slot].expand(batch, 1, -1, -1).transpose(1, 2)
                rows = torch.cat([rows, null], 2)
                row_values = torch.cat([row_values, torch.zeros_like(row_values[:, :, :1])], 2)
                bias = torch.cat([bias, adapter.null_offset[slot].expand(batch, 1)], 1)
            if slots is not None and layer in config.slot_layers:
                assert shares is not None
                index = config.slot_layers.index(layer)
                slot_query = reference_query(
                    module, adapter.value_slots.query_weight[index], None, entered[layer], config.heads
                )
                pairs = [
                    reference_slots(model, adapter, index, row, share) for row, share in zip(slots, shares, strict=True)
                ]
                slot_keys, slot_values, slot_bias = (torch.stack(parts) for parts in zip(*pairs, strict=True))
                # One query for both kinds of keys: each kind is zero where the query is the other's.
                knowledge_query = torch.cat([knowledge_query, slot_query], -1)
                rows, slot_keys = (
                    torch.nn.functional.pad(rows, (0, config.head_dim)),
                    torch.nn.functional.pad(slot_keys, (config.head_dim, 0)),
                )
                rows, row_values = torch.cat([rows, slot_keys], 2), torch.cat([row_values, slot_values], 2)
                bias = torch.cat([bias, slot_bias], 1)
            bias = bias[:, None, None, :]
        if getattr(module, "sinks", None) is not None:
            # A sink scores the same for every query and has a zero value: a row with a zero key and a bias per head.
            rows, row_values = (torch.nn.functional.pad(tensor, (0, 0, 0, 1)) for tensor in (rows, row_values))
            sink = module.sinks[None, :, None, None].expand(batch, -1, -1, -1)
            bias = sink if bias is None else torch.cat([bias.expand(-1, config.heads, -1, -1), sink], -1)
        output, weights = rectangular_attention(
            query,
            key,
            value,
            knowledge_query,
            rows,
            row_values,
            scaling=module.scaling,
            knowledge_bias=bias,
            context_mask=context_mask,
            visible=mask[:, -query.shape[2] :].bool(),
            soft_cap=options.get("softcap"),
        )
        return output.transpose(1, 2).to(query.dtype), weights

    def note(module: Any, args: Any, kwargs: Any) -> None:
        entered[module.layer_idx] = args[0] if args else kwargs["hidden_states"]

    transformers.AttentionInterface.register("reference", attention)
    AttentionMaskInterface.register("reference", ALL_MASK_ATTENTION_FUNCTIONS["eager"])
    modules = [module for module in model.modules() if hasattr(module, "layer_idx") and hasattr(module, "config")]
    modules = [module for module in modules if type(module).__name__.endswith("Attention")]
    handles = [module.register_forward_pre_hook(note, with_kwargs=True) for module in modules]
    before = model.config._attn_implementation
    model.config._attn_implementation = "reference"
    try:
        yield
    finally:
        model.config._attn_implementation = before
        for handle in handles:
            handle.remove()


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
