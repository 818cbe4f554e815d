"""Rectangular attention as the paper writes it (arXiv 2410.10450): float32, every tensor built, one softmax.

Shapes: B batch, T query tokens, S context tokens, M knowledge rows, H heads, G key/value heads (H is a multiple of G),
d width of a head's key, v width of a head's value, D embedding width, N outputs of all knowledge layers together.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["knowledge_keys", "rectangular_attention"]


def knowledge_keys(embeddings: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Build the keys of all layers: the projection, then one layer norm without parameters over the whole row.

    Shapes: embeddings (M, D), weight (N, D), bias (N,); returns (M, N).
    """
    return functional.layer_norm(embeddings @ weight.T + bias, (weight.shape[0],), eps=eps)


def rectangular_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    knowledge_query: Tensor,
    knowledge_key: Tensor,
    knowledge_value: Tensor,
    *,
    scaling: float,
    knowledge_bias: Tensor | None = None,
    context_mask: Tensor | None = None,
    visible: Tensor | None = None,
    soft_cap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Attend to [knowledge | context] under one softmax.

    Shapes: query and knowledge_query (B, H, T, d), key (B, G, S, d), value (B, G, S, v), knowledge_key (B or 1, H, M,
    d), knowledge_value (B or 1, H, M, v), knowledge_bias (B or 1, 1, 1, M) added to the knowledge scores,
    context_mask (B or 1, 1, T, S) added to the context scores, visible (B, T) true where a query sees knowledge
    (padding does not). Returns the output (B, H, T, v) and the weights (B, H, T, M + S).
    """
    heads_per_key = query.shape[1] // key.shape[1]
    knowledge = knowledge_query.float() @ knowledge_key.float().transpose(-1, -2) * scaling
    context = query.float() @ key.float().repeat_interleave(heads_per_key, 1).transpose(-1, -2) * scaling
    if soft_cap is not None:
        knowledge, context = (soft_cap * torch.tanh(scores / soft_cap) for scores in (knowledge, context))
    knowledge = knowledge if knowledge_bias is None else knowledge + knowledge_bias
    knowledge = knowledge if visible is None else knowledge.masked_fill(~visible[:, None, :, None], -torch.inf)
    context = context if context_mask is None else context + context_mask
    weights = torch.cat([knowledge, context], -1).softmax(-1)
    rows = knowledge.shape[-1]
    values = value.float().repeat_interleave(heads_per_key, 1)
    return weights[..., :rows] @ knowledge_value.float() + weights[..., rows:] @ values, weights
