"""Attention to knowledge rows whose keys and values are never built.

The key layer norm has no parameters, so for each row its mean and deviation are two numbers, the same for every layer
and head:

    query . key_m  = [(W_K^T query) . e_m + query . b_K - mean_m * sum(query)] / deviation_m
    sum_m p_m v_m  = W_V (sum_m p_m f_m) + b_V (sum_m p_m)

Shapes: B batch, T query tokens, M knowledge rows, H heads, d width of a head's key, v width of a head's value,
D embedding width, N outputs of all knowledge layers together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kblam.attention.merge import cap, context_attention, merge, needs_gradient, normalise, wide_type
from kblam.attention.scan import Quantised, block_size, blocks, norms, quantise

if TYPE_CHECKING:
    from kblam.attention.approximate import RowIndex

__all__ = [
    "LatentParts",
    "Latents",
    "Projections",
    "build_pair",
    "knowledge_attention",
    "latent_attention",
    "latent_scores",
    "materialised_attention",
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
    coarse: tuple[Quantised, Quantised] | None = None
    """Keys and values in 8 bits, for the scans that choose rows."""
    built: tuple[tuple[Tensor, Tensor], ...] | None = None
    """Each knowledge layer's keys (H, M, d) and values (H, M, v), where they are kept (see `built.py`)."""

    def __len__(self) -> int:
        return self.keys.shape[-2]

    @property
    def parts(self) -> Sequence[Latents]:
        """The rows in the pieces that they are kept in."""
        return (self,)

    @property
    def index(self) -> RowIndex | None:
        """What proposes the rows worth scoring (see `approximate.py`); None where all are scored."""
        return None

    def block(self, start: int, stop: int) -> Latents:
        """The rows from start up to stop, without a copy."""
        if start == 0 and stop >= len(self):
            return self
        rows = slice(start, stop)
        part = Latents(
            self.keys[..., rows, :],
            self.values[..., rows, :],
            self.mean[..., rows],
            self.inverse_deviation[..., rows],
            None if self.coarse is None else (self.coarse[0].block(start, stop), self.coarse[1].block(start, stop)),
        )
        # What was computed once for all rows is not computed again for some of them.
        part.__dict__.update(
            {name: self.__dict__[name][..., rows] for name in ("key_norms", "value_norms") if name in self.__dict__}
        )
        return part

    def quantised(self) -> Latents:
        """The same rows with 8-bit codes beside them."""
        return self if self.coarse else replace(self, coarse=(quantise(self.keys), quantise(self.values)))

    @cached_property
    def key_norms(self) -> Tensor:
        """Euclidean norms of the key embeddings, shape of mean."""
        return norms(self.keys)

    @cached_property
    def value_norms(self) -> Tensor:
        """Euclidean norms of the value embeddings, shape of mean."""
        return norms(self.values)


class LatentParts(Latents):
    """Rows in several pieces, so that a changed row leaves all pieces but its own as they were.

    `keys`, `values`, `mean` and `inverse_deviation` are copies made when asked for; attention reads `parts`.
    """

    def __init__(self, parts: Sequence[Latents], index: RowIndex | None = None) -> None:
        object.__setattr__(self, "_parts", tuple(parts))
        object.__setattr__(self, "_index", index)

    parts = property(lambda self: self._parts)
    index = property(lambda self: self._index)
    keys = property(lambda self: torch.cat([part.keys for part in self.parts]))
    values = property(lambda self: torch.cat([part.values for part in self.parts]))
    mean = property(lambda self: torch.cat([part.mean for part in self.parts]))
    inverse_deviation = property(lambda self: torch.cat([part.inverse_deviation for part in self.parts]))
    key_norms = property(lambda self: torch.cat([part.key_norms for part in self.parts]))
    value_norms = property(lambda self: torch.cat([part.value_norms for part in self.parts]))
    coarse = property(lambda self: self.parts[0].coarse)
    built = None

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def block(self, start: int, stop: int) -> Latents:
        """The rows from start up to stop, without a copy."""
        found, first = [], 0
        for part in self.parts:
            if first < stop and start < first + len(part):
                found.append(part.block(max(start - first, 0), min(stop - first, len(part))))
            first += len(part)
        found = found or [self.parts[-1].block(0, 0)]
        return found[0] if len(found) == 1 else LatentParts(found)

    def quantised(self) -> Latents:
        """The same rows with 8-bit codes beside them."""
        return LatentParts([part.quantised() for part in self.parts])


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

    Shapes: embeddings (M, D), weight (N, D), bias (N,); returns two (M,). Costs (M + N) D^2; a few rows are projected
    instead, for M N D.
    """
    outputs = weight.shape[0]
    if len(embeddings) < embeddings.shape[1]:
        projected = embeddings @ weight.T + bias
        mean = projected.mean(-1)
        return mean, ((projected - mean[:, None]).square().mean(-1) + eps).rsqrt()
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
    T, M) in float32, or float64 for float64 queries.
    """
    folded = _fold(query * scaling, projections)
    scores = torch.cat([_block_scores(folded, part, query.dtype) for part in latents.parts], -1)
    scores = cap(scores, soft_cap)
    return scores if bias is None else scores + bias


def _fold(query: Tensor, projections: Projections) -> tuple[Tensor, Tensor, Tensor]:
    """What of the scaled query meets each row: its fold with the key weight (B, H, T, D), and two numbers (B, H, T, 1)
    that meet 1 and the row's mean."""
    wide = wide_type(query.dtype)
    folded = torch.einsum("bhtd,hde->bhte", query, projections.key_weight)
    constant = torch.einsum("bhtd,hd->bht", query.to(wide), projections.key_bias.to(wide))[..., None]
    return folded, constant, query.to(wide).sum(-1, keepdim=True)


def _block_scores(folded: tuple[Tensor, Tensor, Tensor], block: Latents, dtype: torch.dtype) -> Tensor:
    query, constant, total = folded
    scores = _times(query, block.keys.to(dtype).transpose(-1, -2)).to(constant.dtype)
    return (scores + constant - total * _rows(block.mean)) * _rows(block.inverse_deviation)


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
    Returns, in float32 (float64 for float64 queries), the output (B, H, T, v) and the log-sum-exp (B, H, T): 0 and
    -inf where no row is seen, never NaN. Without gradients one pass reads each block of rows for scores and values
    while it is in the cache, with the softmax kept in float32.
    """
    if len(latents) == 0:
        return _nothing(query, projections)
    if needs_gradient(query, latents.parts[0].mean, projections.key_weight, projections.value_weight, bias):
        scores = latent_scores(query, latents, projections, scaling=scaling, bias=bias, soft_cap=soft_cap)
        exponentials, total, log_sum_exp = normalise(scores)
        mixed = _times(exponentials.to(query.dtype), latents.values.to(query.dtype)) / total
    else:
        mixed, log_sum_exp = _stream(query, latents, projections, scaling, bias, soft_cap)
    seen = (log_sum_exp > -torch.inf)[..., None].to(query.dtype)
    output = torch.einsum("bhte,hve->bhtv", mixed.to(query.dtype), projections.value_weight)
    return _hide((output + seen * projections.value_bias[:, None, :]).to(mixed.dtype), log_sum_exp, visible)


def _stream(
    query: Tensor,
    latents: Latents,
    projections: Projections,
    scaling: float,
    bias: Tensor | None,
    soft_cap: float | None,
) -> tuple[Tensor, Tensor]:
    """The mixture of value embeddings (B, H, T, D) and the log-sum-exp (B, H, T), the softmax corrected as rows come."""
    folded = _fold(query * scaling, projections)
    lowest = torch.finfo(folded[1].dtype).min
    maximum = torch.full_like(folded[1], lowest)
    total = torch.zeros_like(maximum)
    mixed = total.new_zeros(*query.shape[:3], latents.parts[0].values.shape[-1])
    for rows, block in _row_blocks(latents):
        # As in `_block_scores`, in place: with many queries these passes cost as much as the products.
        scores = _times(folded[0], block.keys.to(query.dtype).transpose(-1, -2)).to(folded[1].dtype)
        scores.add_(folded[1]).addcmul_(folded[2], _rows(block.mean), value=-1).mul_(_rows(block.inverse_deviation))
        scores = cap(scores, soft_cap)
        if bias is not None:
            scores.add_(bias[..., rows])
        higher = torch.maximum(maximum, scores.amax(-1, keepdim=True))
        exponentials = scores.sub_(higher).exp_()
        shrink = (maximum - higher).exp_()
        total.mul_(shrink).add_(exponentials.sum(-1, keepdim=True))
        mixed.mul_(shrink).add_(_times(exponentials.to(query.dtype), block.values.to(query.dtype)))
        maximum = higher
    hidden = total == 0
    total = total.masked_fill(hidden, 1.0)
    return mixed / total, (maximum + total.log()).masked_fill(hidden, -torch.inf)[..., 0]


def _row_blocks(latents: Latents) -> Iterator[tuple[slice, Latents]]:
    """Blocks of rows in one piece each, with the columns of the scores that they belong to."""
    first = 0
    for part in latents.parts:
        for rows in blocks(len(part), block_size(part.mean.device)):
            yield slice(first + rows.start, first + rows.stop), part.block(rows.start, rows.stop)
        first += len(part)


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
    key, value = build_pair(latents, projections, query.dtype)
    if key.dim() == 3:
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
    rows, mean = len(latents), latents.parts[0].mean if len(latents) else None
    if rows <= block or needs_gradient(query, mean, projections.key_weight, projections.value_weight, bias):
        return form(query, latents, projections, scaling=scaling, bias=bias, visible=visible, soft_cap=soft_cap)
    parts = []
    for start in range(0, rows, block):
        stop = min(start + block, rows)
        part_bias = None if bias is None else bias[..., start:stop]
        options = {"scaling": scaling, "bias": part_bias, "visible": visible, "soft_cap": soft_cap}
        parts.append(form(query, latents.block(start, stop), projections, **options))
    return merge([output for output, _ in parts], [log_sum_exp for _, log_sum_exp in parts])


def _plan(query: Tensor, latents: Latents) -> tuple[_Form, int]:
    """The cheaper form and the rows it can take at once.

    With n = B H T queries and N = H d key outputs of this layer, the latent form multiplies n D (d + M) times for
    scores, the materialised form N D M to build keys and n d M to use them; values cost the same again. So the keys
    are built when there are more than about D d / (D - d) tokens a batch element: 77 at MiniLM's width and heads of 64.
    """
    batch, heads, tokens, head_dim = query.shape
    rows, width = len(latents), latents.parts[0].keys.shape[-1] if len(latents) else 1
    sets = batch if len(latents) and latents.parts[0].keys.dim() == 3 else 1
    queries, built = batch * heads * tokens, heads * head_dim * sets
    latent_cost = queries * width * (head_dim + rows)
    built_cost = built * width * rows + queries * head_dim * rows
    if built_cost < latent_cost:
        return materialised_attention, max(1, _LARGEST // max(built, queries))
    return latent_attention, rows  # which takes its own blocks


def build_pair(latents: Latents, projections: Projections, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """One layer's normalised keys (..., H, M, d) and values (..., H, M, v)."""
    mean, inverse = latents.mean[..., None, None], latents.inverse_deviation[..., None, None]
    key = _project(latents.keys.to(dtype), projections.key_weight, projections.key_bias)
    value = _project(latents.values.to(dtype), projections.value_weight, projections.value_bias)
    return ((key - mean) * inverse).to(dtype).transpose(-3, -2), value.transpose(-3, -2)


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
    output = query.new_zeros(*query.shape[:3], projections.value_weight.shape[1], dtype=wide_type(query.dtype))
    return output, output.new_full(query.shape[:3], -torch.inf)
