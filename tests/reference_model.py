"""A second way to compute knowledge attention in a model: everything is built, and one softmax goes over all of it.

Shapes: B batch, T tokens, M knowledge rows, k of them chosen, D embedding width, H heads, d and v a head's widths.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from kblam.attention.reference import knowledge_keys, rectangular_attention
from kblam.models.adapter import Adapter
from kblam.models.slots import REACH


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


@dataclass(frozen=True)
class _Part:
    """What one layer attends to beside its context: queries, keys and values (B, H, T or n, width), biases (B, n)."""

    query: Tensor
    keys: Tensor
    values: Tensor
    bias: Tensor

    def beside(self, keys: Tensor, values: Tensor, bias: Tensor) -> _Part:
        """With further rows at the end."""
        parts = ((self.keys, keys), (self.values, values))
        more = [torch.cat(pair, dim=2) for pair in parts]
        return _Part(self.query, *more, torch.cat([self.bias, bias], dim=1))


@dataclass(frozen=True)
class _Reference:
    """The attention of a model that knows some rows; see `reference_attention`."""

    model: Any
    adapter: Adapter
    keys: Tensor
    values: Tensor
    question: Tensor | None
    mask: Tensor
    chosen: Tensor
    prior: Tensor | None
    slots: list[list[list[int]]] | None
    shares: Tensor | None
    entered: dict[int, Tensor] = field(default_factory=dict)
    """The hidden states that entered each layer."""

    def note(self, module: Any, args: Any, kwargs: Any) -> None:
        self.entered[module.layer_idx] = args[0] if args else kwargs["hidden_states"]

    def attention(
        self, module: Any, query: Tensor, key: Tensor, value: Tensor, context_mask: Tensor, **options: Any
    ) -> Any:
        """What transformers calls in place of its own attention."""
        part = None
        if module.layer_idx in self.adapter.config.knowledge_layers:
            part = self.with_slots(module, self.with_null_row(module, self.rows(module)))
        nothing = query.new_zeros(len(query), self.adapter.config.heads, 0, query.shape[-1])
        knowledge_query, keys, values = (
            (query, nothing, nothing) if part is None else (part.query, part.keys, part.values)
        )
        bias = None if part is None else part.bias[:, None, None, :]
        if getattr(module, "sinks", None) is not None:
            # A sink scores the same for every query and has a zero value: a row with a zero key and a bias per head.
            keys, values = (torch.nn.functional.pad(tensor, (0, 0, 0, 1)) for tensor in (keys, values))
            sink = module.sinks[None, :, None, None].expand(len(query), -1, -1, -1)
            bias = sink if bias is None else torch.cat([bias.expand(-1, len(module.sinks), -1, -1), sink], -1)
        output, weights = rectangular_attention(
            query, key, value, knowledge_query, keys, values,
            scaling=module.scaling, knowledge_bias=bias, context_mask=context_mask,
            visible=self.mask[:, -query.shape[2] :].bool(), soft_cap=options.get("softcap"),
        )  # fmt: skip
        return output.transpose(1, 2).to(query.dtype), weights

    def rows(self, module: Any) -> _Part:
        """The chosen rows, weighed by the prior or by given shares."""
        config, adapter = self.adapter.config, self.adapter
        at = config.knowledge_layers.index(module.layer_idx)
        bias = None if adapter.query_bias is None else adapter.query_bias[at]
        query = reference_query(
            module, adapter.query_weight[at], bias, self.entered[module.layer_idx], config.heads
        )  # fmt: skip
        made = (
            (knowledge_keys(self.keys, adapter.key_weight, adapter.key_bias, config.key_norm_eps), config.head_dim),
            (self.values @ adapter.value_weight.T + adapter.value_bias, config.value_head_dim),
        )
        keys, values = (
            tensor.view(len(tensor), -1, config.heads, width)[:, at][self.chosen].transpose(1, 2)
            for tensor, width in made
        )
        return _Part(query, keys, values, self.row_bias(at))

    def row_bias(self, at: int) -> Tensor:
        """(B, k) of the chosen rows in one knowledge layer."""
        adapter, length = self.adapter, self.adapter.config.length_scale
        bias = torch.zeros(len(self.mask), len(self.keys)) if self.prior is None else self.prior
        if self.shares is None and adapter.beta_key is not None and adapter.beta_value is not None:
            assert self.question is not None
            assert adapter.question_key is not None and adapter.question_value is not None
            bias = bias + adapter.beta_key[at] * reference_similarity(self.question, self.keys, adapter.question_key)
            bias = bias + adapter.beta_value[at] * reference_similarity(
                self.question, self.values, adapter.question_value
            )
        if length is not None:
            bias = bias + torch.tensor(length / self.chosen.shape[1]).log()
        return bias.gather(1, self.chosen) if self.shares is None else self.shares.log()

    def with_null_row(self, module: Any, part: _Part) -> _Part:
        """A row that says nothing, if the adapter has one."""
        adapter, batch = self.adapter, len(self.mask)
        if adapter.null_key is None or adapter.null_offset is None:
            return part
        at = adapter.config.knowledge_layers.index(module.layer_idx)
        key = adapter.null_key[at].expand(batch, 1, -1, -1).transpose(1, 2)
        return part.beside(key, torch.zeros_like(part.values[:, :, :1]), adapter.null_offset[at].expand(batch, 1))

    def with_slots(self, module: Any, part: _Part) -> _Part:
        """The tokens of the first chosen rows' values, where this layer reads them."""
        config, adapter = self.adapter.config, self.adapter
        if self.slots is None or module.layer_idx not in config.slot_layers:
            return part
        assert self.shares is not None and adapter.value_slots is not None
        at = config.slot_layers.index(module.layer_idx)
        query = reference_query(
            module, adapter.value_slots.query_weight[at], None, self.entered[module.layer_idx], config.heads
        )
        each = [
            reference_slots(self.model, adapter, at, row, share)
            for row, share in zip(self.slots, self.shares, strict=True)
        ]
        keys, values, bias = (torch.stack(parts) for parts in zip(*each, strict=True))
        # One query for both kinds of keys: each kind is zero where the query is the other's.
        both = _Part(
            torch.cat([part.query, query], -1),
            torch.nn.functional.pad(part.keys, (0, config.head_dim)),
            part.values,
            part.bias,
        )
        return both.beside(torch.nn.functional.pad(keys, (config.head_dim, 0)), values, bias)


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
    if chosen is None:
        chosen = torch.arange(len(keys)).expand(len(mask), -1)
    reference = _Reference(model, adapter, keys, values, question, mask, chosen, prior, slots, shares)
    transformers.AttentionInterface.register("reference", reference.attention)
    AttentionMaskInterface.register("reference", ALL_MASK_ATTENTION_FUNCTIONS["eager"])
    modules = [module for module in model.modules() if hasattr(module, "layer_idx") and hasattr(module, "config")]
    modules = [module for module in modules if type(module).__name__.endswith("Attention")]
    handles = [module.register_forward_pre_hook(reference.note, with_kwargs=True) for module in modules]
    before = model.config._attn_implementation
    model.config._attn_implementation = "reference"
    try:
        yield
    finally:
        model.config._attn_implementation = before
        for handle in handles:
            handle.remove()
