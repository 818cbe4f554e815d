"""The original's algorithm, from its formula: keys and values of all layers built, joined to the context's, one softmax.

What makes its cost is kept: keys and values are built once per knowledge base, for all query heads of each layer; for
every token the context's keys and values are repeated for grouped heads and the knowledge values copied in front of
them; every score is computed and kept at once (arXiv 2410.10450, eager attention).

Shapes: B batch, T query tokens, S context tokens, M rows, H heads, d width of a head's key, v of its value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from kblam.attention.latent import Latents
from kblam.models.adapter import Adapter
from kblam.models.anatomy import attention_sites, decoder_of, eager_function

__all__ = ["OriginalAlgorithm", "built_bytes"]

NAME = "kblam_original_algorithm"


def built_bytes(adapter: Adapter, rows: int) -> int:
    """What the keys and values of all knowledge layers take."""
    config = adapter.config
    numbers = len(config.knowledge_layers) * config.heads * (config.head_dim + config.value_head_dim)
    return rows * numbers * adapter.key_weight.element_size()


class OriginalAlgorithm:
    """A decoder with the keys and values of all rows built for each of the adapter's layers."""

    def __init__(self, decoder: Any, adapter: Adapter, latents: Latents) -> None:
        self.decoder, self.adapter, self.rows = decoder, adapter, len(latents)
        self._entered: dict[int, Tensor] = {}
        self._sites = attention_sites(decoder, adapter.config.knowledge_layers)
        self._pairs = {layer: self._build(latents, adapter.slot(layer)) for layer in self._sites}

    def _build(self, latents: Latents, slot: int) -> tuple[Tensor, Tensor]:
        """One layer's keys (1, H, M, d) and values (1, H, M, v)."""
        maps = self.adapter.projections(slot)
        heads, dtype = self.adapter.config.heads, maps.key_weight.dtype
        shape = (1, heads, len(latents))
        key, value = (
            torch.empty(*shape, weight.shape[1], dtype=dtype, device=weight.device)
            for weight in (maps.key_weight, maps.value_weight)
        )
        for start in range(0, len(latents), 1 << 13):
            rows = slice(start, min(start + (1 << 13), len(latents)))
            made = torch.nn.functional.linear(
                latents.keys[rows].to(dtype), maps.key_weight.flatten(0, 1), maps.key_bias.flatten()
            )
            made = (made - latents.mean[rows, None]) * latents.inverse_deviation[rows, None]
            key[0, :, rows] = made.view(-1, heads, maps.key_weight.shape[1]).transpose(0, 1).to(dtype)
            made = torch.nn.functional.linear(
                latents.values[rows].to(dtype), maps.value_weight.flatten(0, 1), maps.value_bias.flatten()
            )
            value[0, :, rows] = made.view(-1, heads, maps.value_weight.shape[1]).transpose(0, 1)
        return key, value

    @contextmanager
    def attend(self) -> Iterator[None]:
        """Let the decoder's calls attend to the rows."""
        AttentionInterface.register(NAME, self._attention)
        AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
        config = decoder_of(self.decoder).config
        before = config._attn_implementation

        def note(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._entered[module.layer_idx] = args[0] if args else kwargs["hidden_states"]

        handles = [site.module.register_forward_pre_hook(note, with_kwargs=True) for site in self._sites.values()]
        config._attn_implementation = NAME
        try:
            yield
        finally:
            config._attn_implementation = before
            for handle in handles:
                handle.remove()

    def _attention(
        self, module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
    ) -> Any:
        if module.layer_idx not in self._sites:
            stock = eager_function(module)
            assert stock is not None
            return stock(module, query, key, value, mask, **options)
        site, slot = self._sites[module.layer_idx], self.adapter.slot(module.layer_idx)
        knowledge_key, knowledge_value = self._pairs[module.layer_idx]
        batch, heads, tokens, _ = query.shape
        turned = self.adapter.query(slot, self._entered[module.layer_idx]).view(batch, tokens, heads, -1)
        scores = turned.transpose(1, 2) @ knowledge_key.transpose(2, 3) * site.scaling
        if self.adapter.config.length_scale is not None:
            scores = scores + math.log(self.adapter.config.length_scale) - math.log(self.rows)
        key, value = (tensor.repeat_interleave(heads // key.shape[1], 1) for tensor in (key, value))
        context = query @ key.transpose(2, 3) * site.scaling
        context = context if mask is None else context + mask[..., : key.shape[2]]
        weights = torch.cat([scores, context], -1).softmax(-1, dtype=torch.float32).to(query.dtype)
        output = weights @ torch.cat([knowledge_value.expand(batch, -1, -1, -1), value], 2)
        return output.transpose(1, 2).contiguous(), None
