"""Attention to knowledge rows whose keys and values are never built.

The key layer norm has no parameters, so for each row its mean and deviation are two numbers, the same for every layer
and head:

    query . key_m  = [(W_K^T query) . e_m + query . b_K - mean_m * sum(query)] / deviation_m
    sum_m p_m v_m  = W_V (sum_m p_m f_m) + b_V (sum_m p_m)

Shapes: B batch, T query tokens, M knowledge rows, H heads, d width of a head's key, v width of a head's value,
D embedding width, N outputs of all knowledge layers together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from kblam.attention.merge import cap, context_attention, merge, needs_gradient, normalise

__all__ = [
    "Latents",
    "Projections",
    "knowledge_attention",
    "latent_attention",
    "latent_scores",
    "materialised_attention",
    "mean_head_scores",
    "row_statistics",
]

_LARGEST = 1 << 26
"""Elements of one intermediate tensor (scores or keys) above which rows are taken in blocks: 256 MiB in float32."""


_Form = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Latents:
    """What attention reads of each row, the same for all layers: one set for the batch, or one per batch element."""

    keys: Tensor
    """Key embeddings, (M, D) or (B, M, D)."""
    values: Tensor
    """Value embeddings, same shape."""
    mean: Tensor
    """Mean of the row's key outputs over all layers, (M,) or (B, M)."""
    inverse_deviation: Tensor
    """1 / sqrt(variance + eps) of the same outputs, same shape as mean."""

    def __len__(self) -> int:
        return self.keys.shape[-2]

    def block(self, start: int, stop: int) -> Latents:
        """The rows from start up to stop."""
        rows = slice(start, stop)
        return Latents(
            self.keys[..., rows, :], self.values[..., rows, :], self.mean[..., rows], self.inverse_deviation[..., rows]
        )

    @cached_property
    def key_norms(self) -> Tensor:
        """Euclidean norms of the key embeddings, shape of mean."""
        norms: Tensor = torch.linalg.vector_norm(self.keys, dim=-1)
        return norms

    @cached_property
    def value_norms(self) -> Tensor:
        """Euclidean norms of the value embeddings, shape of mean."""
        norms: Tensor = torch.linalg.vector_norm(self.values, dim=-1)
        return norms


@dataclass(frozen=True, eq=False)
class Projections:
    """One layer's linear maps from embeddings to the keys (before the layer norm) and values of its heads."""

    key_weight: Tensor
    """(H, d, D)."""
    key_bias: Tensor
    """(H, d)."""
    value_weight: Tensor
    """(H, v, D)."""
    value_bias: Tensor
    """(H, v)."""


def row_statistics(embeddings: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean and inverse deviation of `weight @ e + bias` for each row, through the Gram matrix of the centred weight.

    Shapes: embeddings (M, D), weight (N, D), bias (N,); returns two (M,). Costs M D^2 instead of M N D.
    """
    outputs = weight.shape[0]
    column_mean, bias_mean = weight.mean(0), bias.mean()
    centred, centred_bias = weight - column_mean, bias - bias_mean
    gram, cross = centred.T @ centred / outputs, centred.T @ centred_bias / outputs
    variance = ((embeddings @ gram + 2 * cross) * embeddings).sum(-1) + centred_bias.square().mean()
    # Rounding can push the variance of a row that projects to (almost) a constant below zero.
    return embeddings @ column_mean + bias_mean, (variance.clamp(min=0) + eps).rsqrt()


def _rows(tensor: Tensor) -> Tensor:
    """A per-row number (M,) or (B, M), ready to broadcast over (B, H, T, M)."""
    return tensor[:, None, None, :] if tensor.dim() == 2 else tensor


def _times(left: Tensor, right: Tensor) -> Tensor:
    """(B, H, T, n) by (n, m), or by one (n, m) per batch element: (B, H, T, m)."""
    if right.dim() == 2:
        return left @ right
    return (left.flatten(1, 2) @ right).reshape(*left.shape[:-1], right.shape[-1])


def latent_scores(
    query: Tensor,
    latents: Latents,
    projections: Projections,
    *,
    scaling: float,
    bias: Tensor | None = None,
    soft_cap: float | None = None,
) -> Tensor:
    """The scores of all rows before the softmax.

    Shapes: query (B, H, T, d), bias broadcastable to (B, H, T, M) (a row prior is (B or 1, 1, 1, M)). Returns (B, H,
    T, M).
    """
    query = query * scaling
    folded = torch.einsum("bhtd,hde->bhte", query, projections.key_weight)
    constant = torch.einsum("bhtd,hd->bht", query, projections.key_bias)[..., None]
    total = query.sum(-1, keepdim=True)
    products = _times(folded, latents.keys.to(query.dtype).transpose(-1, -2))
    scores = (products + constant - total * _rows(latents.mean)) * _rows(latents.inverse_deviation)
    scores = cap(scores, soft_cap)
    return scores if bias is None else scores + bias


def mean_head_scores(query: Tensor, latents: Latents, projections: Projections, *, scaling: float) -> Tensor:
    """The scores averaged over heads, by one scan of the rows with a single query of width D.

    Shapes: query (B, H, d). Returns (B, M), without soft-cap (an average of bent scores is no inner product).
    """
    query = query * (scaling / query.shape[1])
    folded = torch.einsum("bhd,hde->be", query, projections.key_weight)
    constant = torch.einsum("bhd,hd->b", query, projections.key_bias)[:, None]
    total = query.sum((1, 2))[:, None]
    keys = latents.keys.to(query.dtype)
    products = folded @ keys.T if keys.dim() == 2 else torch.einsum("be,bme->bm", folded, keys)
    return (products + constant - total * latents.mean) * latents.inverse_deviation


def latent_attention(
    query: Tensor,
    latents: Latents,
    projections: Projections,
    *,
    scaling: float,
    bias: Tensor | None = None,
    visible: Tensor | None = None,
    soft_cap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Attend to all rows without building their keys and values.

    Shapes: query (B, H, T, d), bias broadcastable to (B, H, T, M), visible (B, T) true where a query sees knowledge.
    Returns the output (B, H, T, v) and the log-sum-exp (B, H, T): 0 and -inf where no row is seen, never NaN.
    """
    if len(latents) == 0:
        return _nothing(query, projections)
    scores = latent_scores(query, latents, projections, scaling=scaling, bias=bias, soft_cap=soft_cap)
    exponentials, total, log_sum_exp = normalise(scores)
    mixed = _times(exponentials, latents.values.to(query.dtype)) / total
    seen = (log_sum_exp > -torch.inf)[..., None].to(query.dtype)
    output = torch.einsum("bhte,hve->bhtv", mixed, projections.value_weight)
    return _hide(output + seen * projections.value_bias[:, None, :], log_sum_exp, visible)


def materialised_attention(
    query: Tensor,
    latents: Latents,
    projections: Projections,
    *,
    scaling: float,
    bias: Tensor | None = None,
    visible: Tensor | None = None,
    soft_cap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The same as `latent_attention` with this layer's keys and values built: cheaper when there are many queries.

    Shapes as there.
    """
    if len(latents) == 0:
        return _nothing(query, projections)
    mean, inverse = latents.mean[..., None, None], latents.inverse_deviation[..., None, None]
    key = _project(latents.keys.to(query.dtype), projections.key_weight, projections.key_bias)
    value = _project(latents.values.to(query.dtype), projections.value_weight, projections.value_bias)
    key, value = (tensor.transpose(-3, -2) for tensor in ((key - mean) * inverse, value))
    if latents.keys.dim() == 2:
        key, value = key[None], value[None]
    output, log_sum_exp = context_attention(query, key, value, bias, scaling=scaling, soft_cap=soft_cap)
    return _hide(output, log_sum_exp, visible)


def knowledge_attention(
    query: Tensor,
    latents: Latents,
    projections: Projections,
    *,
    scaling: float,
    bias: Tensor | None = None,
    visible: Tensor | None = None,
    soft_cap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Attend to all rows in whichever form needs fewer multiplications, in blocks of rows when there are many.

    Shapes as in `latent_attention`.
    """
    form, block = _plan(query, latents)
    rows = len(latents)
    if rows <= block or needs_gradient(query, latents.mean, projections.key_weight, projections.value_weight, bias):
        return form(query, latents, projections, scaling=scaling, bias=bias, visible=visible, soft_cap=soft_cap)
    parts = []
    for start in range(0, rows, block):
        stop = min(start + block, rows)
        part_bias = None if bias is None else bias[..., start:stop]
        options = {"scaling": scaling, "bias": part_bias, "visible": visible, "soft_cap": soft_cap}
        parts.append(form(query, latents.block(start, stop), projections, **options))
    return merge([output for output, _ in parts], [log_sum_exp for _, log_sum_exp in parts])


def _plan(query: Tensor, latents: Latents) -> tuple[_Form, int]:
    """The cheaper form and the rows it can take at once."""
    batch, heads, tokens, head_dim = query.shape
    rows, width = latents.keys.shape[-2:]
    sets = latents.mean.numel() // max(rows, 1)
    queries, built = batch * heads * tokens, heads * head_dim * sets
    latent_cost = queries * width * (head_dim + rows)
    built_cost = built * width * rows + queries * head_dim * rows
    if built_cost < latent_cost:
        return materialised_attention, max(1, _LARGEST // max(built, 1))
    return latent_attention, max(1, _LARGEST // max(queries, 1))


def _project(embeddings: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(..., M, D) to (..., M, H, d)."""
    flat = torch.nn.functional.linear(embeddings, weight.flatten(0, 1), bias.flatten())
    return flat.reshape(*flat.shape[:-1], *weight.shape[:2])


def _hide(output: Tensor, log_sum_exp: Tensor, visible: Tensor | None) -> tuple[Tensor, Tensor]:
    if visible is None:
        return output, log_sum_exp
    hidden = ~visible[:, None, :]
    return output.masked_fill(hidden[..., None], 0.0), log_sum_exp.masked_fill(hidden, -torch.inf)


def _nothing(query: Tensor, projections: Projections) -> tuple[Tensor, Tensor]:
    output = query.new_zeros(*query.shape[:3], projections.value_weight.shape[1])
    return output, query.new_full(query.shape[:3], -torch.inf)
