"""The scores by which rows are chosen: one scan of all rows with one query of the embeddings' width.

Shapes: B batch, n questions, M knowledge rows, H heads, d width of a head's key, D embedding width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kblam.attention.latent import Latents, Projections
from kblam.attention.merge import wide_type
from kblam.attention.scan import Quantised, coarse_products, products

__all__ = ["fold_heads", "mean_head_scores", "similarities", "value_similarities"]


def fold_heads(query: Tensor, projections: Projections, *, scaling: float) -> tuple[Tensor, Tensor, Tensor]:
    """One query for all heads' mean score: what meets a row's key embedding, 1, and the row's mean.

    Shapes: query (B, H, d). Returns (B, D) and two of (B, 1).
    """
    query = query.to(wide_type(query.dtype)) * (scaling / query.shape[1])
    folded = torch.einsum("bhd,hde->be", query, projections.key_weight.to(query.dtype))
    constant = torch.einsum("bhd,hd->b", query, projections.key_bias.to(query.dtype))[:, None]
    return folded, constant, query.sum((1, 2))[:, None]


def mean_head_scores(query: Tensor, latents: Latents, projections: Projections, *, scaling: float) -> Tensor:
    """The scores averaged over heads, by one scan of the rows with a single query of width D.

    Shapes: query (B, H, d). Returns (B, M), without soft-cap (an average of bent scores is no inner product); from
    the 8-bit codes where the rows have them.
    """
    folded, constant, total = fold_heads(query, projections, scaling=scaling)

    def scan(part: Latents) -> Tensor:
        if part.keys.dim() == 3:
            found = torch.einsum("be,bme->bm", folded, part.keys.to(folded.dtype))
        else:
            found = coarse_products(folded, part.coarse[0]) if part.coarse else products(folded, part.keys)
        return (found + constant - total * part.mean) * part.inverse_deviation

    return torch.cat([scan(part) for part in latents.parts], -1)


def similarities(for_keys: Tensor, for_values: Tensor, latents: Latents) -> tuple[Tensor, Tensor]:
    """Inner products with the rows' embeddings at unit length: two of (n, D) give two of (n, M).

    Rows shared by the batch, (M, D), or with n of their own, (n, M, D). From the 8-bit codes where the rows have them.
    """
    keys = [_scan(for_keys, part.keys, part.coarse and part.coarse[0], part.key_norms) for part in latents.parts]
    return torch.cat(keys, -1), value_similarities(for_values, latents)


def value_similarities(queries: Tensor, latents: Latents) -> Tensor:
    """The same for values alone: (n, D) give (n, M)."""
    values = [_scan(queries, part.values, part.coarse and part.coarse[1], part.value_norms) for part in latents.parts]
    return torch.cat(values, -1)


def _scan(queries: Tensor, rows: Tensor, coarse: Quantised | None, lengths: Tensor) -> Tensor:
    """Inner products of queries (n, D) with rows (M, D) or (n, M, D) of these lengths, brought to unit length, (n, M)."""
    if rows.dim() == 3:
        found = torch.einsum("ne,nme->nm", queries, rows.to(queries.dtype))
    else:
        found = products(queries, rows) if coarse is None else coarse_products(queries, coarse)
    return found / lengths.to(found.dtype).clamp(min=1e-12)
