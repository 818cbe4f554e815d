"""Decoders with random weights in the shapes of known models, random adapters for them, and random rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape

__all__ = ["SHAPES", "WIDTH", "Shape", "build_decoder", "exact_adapter", "fill", "random_rows", "retrieving_adapter"]

WIDTH = 384
"""Width of the rows' embeddings, that of all-MiniLM-L6-v2."""


@dataclass(frozen=True)
class Shape:
    """The sizes that decide a Llama decoder's speed."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    window: int = 131_072


SHAPES = {
    "llama-3.2-1b": Shape(2048, 8192, 16, 32, 8, 64, 128_256, tied=True),
    "llama-3-8b": Shape(4096, 14_336, 32, 32, 8, 128, 128_256, tied=False, window=8192),
    "tiny": Shape(64, 96, 4, 4, 2, 16, 200, tied=True, window=4096),
}


def build_decoder(shape: Shape, layers: int, dtype: torch.dtype, device: str = "cpu", seed: int = 0) -> Any:
    """A decoder of this shape with so many layers, its weights drawn once from the usual narrow normal."""
    config = LlamaConfig(
        hidden_size=shape.hidden, intermediate_size=shape.intermediate, num_hidden_layers=layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.key_heads, head_dim=shape.head_dim,
        vocab_size=shape.vocabulary, tie_word_embeddings=shape.tied, max_position_embeddings=shape.window,
    )  # fmt: skip
    with torch.device("meta"):
        decoder: Any = LlamaForCausalLM(config)
    decoder = decoder.to(dtype).to_empty(device=device)
    # The one buffer, which the empty copy has lost.
    decoder.model.rotary_emb = type(decoder.model.rotary_emb)(config).to(device)
    decoder.tie_weights()
    generator = torch.Generator(device).manual_seed(seed)
    with torch.no_grad():
        for parameter in decoder.parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                fill(parameter, 0.02, generator)
    return decoder.eval().requires_grad_(False)


def fill(tensor: Tensor, deviation: float, generator: torch.Generator) -> None:
    """Fill with numbers of this deviation; a large tensor repeats a few million, for nobody looks at them."""
    flat = tensor.view(-1)
    count = min(len(flat), 1 << 22)
    numbers = torch.randn(count, generator=generator, device=tensor.device) * deviation
    for start in range(0, len(flat), count):
        stop = min(start + count, len(flat))
        flat[start:stop] = numbers[: stop - start]


def exact_adapter(decoder: Any, every: int, dtype: torch.dtype) -> Adapter:
    """The paper's adapter in every so-manieth layer: all rows in all of them, nothing beside keys and values."""
    layers = tuple(range(0, decoder.config.num_hidden_layers, every))
    return _adapter(decoder, layers, dtype, question_prior=False, null_row=False, length_scale=100.0)


def retrieving_adapter(decoder: Any, dtype: torch.dtype) -> Adapter:
    """Our adapter, in the upper half of the layers: the first of them chooses 100 rows for all."""
    count = decoder.config.num_hidden_layers
    layers = tuple(range(count // 2, count))
    return _adapter(decoder, layers, dtype, retrieval_layer=layers[0], top_k=100)


def _adapter(decoder: Any, layers: Sequence[int], dtype: torch.dtype, **options: Any) -> Adapter:
    torch.manual_seed(1)
    shape = attention_shape(decoder, layers)
    config = AdapterConfig(
        encoder="random", encoder_width=WIDTH, base_model="random", knowledge_layers=tuple(layers), **shape | options
    )
    adapter = Adapter.for_model(decoder, config)
    return adapter.to(device=decoder.device, dtype=dtype).requires_grad_(False)


def random_rows(count: int, dtype: torch.dtype, device: str = "cpu", seed: int = 2) -> tuple[Tensor, Tensor]:
    """Unit keys and values, (count, WIDTH) each, made block by block."""
    generator = torch.Generator(device).manual_seed(seed)
    rows = []
    for _ in range(2):
        made = torch.empty(count, WIDTH, dtype=dtype, device=device)
        for start in range(0, count, 1 << 14):
            part = made[start : start + (1 << 14)]
            part.copy_(torch.nn.functional.normalize(torch.randn(part.shape, generator=generator, device=device)))
        rows.append(made)
    return rows[0], rows[1]
