"""The original's algorithm, from its formula: keys and values of all layers built, joined to the context's, one softmax.

What makes its cost is kept (read in the original's attention, written anew): the keys of all knowledge layers are one
matrix, built once, and so are the values; a layer takes its columns as a view. For every token the context's keys and
values are repeated for grouped heads, the rows' keys and values are copied in front of them, the context's query meets
all of these keys and its products with the rows are thrown away, the knowledge query meets the rows once more, and
every weight is there at once (arXiv 2410.10450, eager attention).

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
        self.keys, self.values = self._build(latents)

    def _build(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """Keys (M, L * H * d) and values (M, L * H * v) of all knowledge layers."""
        adapter, config = self.adapter, self.adapter.config
        outputs = len(self._sites) * config.heads * config.head_dim
        key_weight, key_bias = adapter.key_weight[:outputs], adapter.key_bias[:outputs]
        keys, values = (
            torch.empty(len(latents), len(weight), dtype=weight.dtype, device=weight.device)
            for weight in (key_weight, adapter.value_weight)
        )
        for start in range(0, len(latents), 1 << 13):
            part = latents.block(start, min(start + (1 << 13), len(latents)))
            made = torch.nn.functional.linear(part.keys.to(keys.dtype), key_weight, key_bias)
            keys[start : start + len(part)] = (made - part.mean[:, None]) * part.inverse_deviation[:, None]
            values[start : start + len(part)] = torch.nn.functional.linear(
                part.values.to(values.dtype), adapter.value_weight, adapter.value_bias
            )
        return keys, values

    def _of_layer(self, built: Tensor, slot: int, batch: int) -> Tensor:
        """One layer's part as (B, H, M, d), a view."""
        heads = self.adapter.config.heads
        split = built.view(self.rows, len(self._sites), heads, -1)[:, slot]
        return split.transpose(0, 1)[None].expand(batch, -1, -1, -1)

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
        batch, heads, tokens, _ = query.shape
        rows_key, rows_value = (self._of_layer(built, slot, batch) for built in (self.keys, self.values))
        key, value = (
            torch.cat([rows, tensor.repeat_interleave(heads // tensor.shape[1], 1)], 2)
            for rows, tensor in ((rows_key, key), (rows_value, value))
        )
        context = (query @ key.transpose(2, 3) * site.scaling)[..., self.rows :]
        context = context if mask is None else context + mask[..., : context.shape[3]]
        turned = self.adapter.query(slot, self._entered[module.layer_idx], site).view(batch, tokens, heads, -1)
        scores = turned.transpose(1, 2) @ rows_key.transpose(2, 3) * site.scaling
        if self.adapter.config.length_scale is not None:
            scores = scores + math.log(self.adapter.config.length_scale) - math.log(self.rows)
        weights = torch.cat([scores, context], -1).softmax(-1, dtype=torch.float32).to(query.dtype)
        return (weights @ value).transpose(1, 2).contiguous(), None
