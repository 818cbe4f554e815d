"""Products of a few queries with very many rows: each row is read once, in blocks that stay in the processor's cache.

Rows keep the precision they are stored in (float16, bfloat16, 8-bit codes) and are never copied as a whole; sums are
float32.

Shapes: n queries, M rows, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from kblam.attention.merge import needs_gradient, wide_type

__all__ = ["ROWS_AT_ONCE", "Quantised", "block_size", "blocks", "coarse_products", "norms", "products", "quantise"]

ROWS_AT_ONCE = 2048
"""Rows of one block: at MiniLM's width in float32 they take 3 MiB, which the last two levels of cache hold."""

ROWS_ON_GPU = 1 << 15


@dataclass(frozen=True, eq=False)
class Quantised:
    """Rows as 8-bit codes: row m is about scale[m] * codes[m]."""

    codes: Tensor
    """int8, (M, D)."""
    scale: Tensor
    """float32, (M,)."""

    def block(self, start: int, stop: int) -> Quantised:
        """The rows from start up to stop."""
        return Quantised(self.codes[start:stop], self.scale[start:stop])


def block_size(device: torch.device) -> int:
    """Rows of one block: on a GPU many more, for there the number of kernels counts and not the cache."""
    return ROWS_AT_ONCE if device.type == "cpu" else ROWS_ON_GPU


def blocks(count: int, size: int) -> Iterator[slice]:
    """The slices that cover `count` rows, in order."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def products(queries: Tensor, rows: Tensor) -> Tensor:
    """Inner products of each query with each row: (n, D) by (M, D) gives (n, M).

    float32, or float64 for float64 queries. Rows of another precision are converted block by block.
    """
    wide = wide_type(queries.dtype)
    queries = queries.to(wide)
    if rows.dtype == wide or needs_gradient(queries, rows):
        return queries @ rows.to(wide).T
    result = queries.new_empty(len(queries), len(rows))
    for block in blocks(len(rows), block_size(rows.device)):
        result[:, block] = queries @ rows[block].to(wide).T
    return result


def norms(rows: Tensor) -> Tensor:
    """Euclidean norms in float32 (float64 for float64 rows): (..., M, D) to (..., M)."""
    wide = wide_type(rows.dtype)
    if rows.dim() != 2 or rows.dtype == wide:
        return torch.linalg.vector_norm(rows.to(wide), dim=-1)  # type: ignore[no-any-return]
    parts = [
        torch.linalg.vector_norm(rows[block].to(wide), dim=-1) for block in blocks(len(rows), block_size(rows.device))
    ]
    return torch.cat(parts) if parts else rows.new_empty(0, dtype=wide)


def quantise(rows: Tensor) -> Quantised:
    """Round every row to 255 steps of its own: half the memory of float16 and half its traffic."""
    codes = torch.empty(rows.shape, dtype=torch.int8, device=rows.device)
    scale = torch.empty(len(rows), device=rows.device)
    for block in blocks(len(rows), block_size(rows.device)):
        part = rows[block].float()
        scale[block] = (part.abs().amax(-1) / 127).clamp(min=1e-12)
        codes[block] = (part / scale[block, None]).round_()
    return Quantised(codes, scale)


def coarse_products(queries: Tensor, rows: Quantised) -> Tensor:
    """What `products` gives, to about a hundredth of the queries' and rows' lengths: (n, D) by (M, D) gives (n, M).

    On a processor the queries are rounded as well and the products are whole numbers; each query goes alone, because
    the kernel is several times slower for two at once.
    """
    queries = queries.float()
    if queries.device.type != "cpu":
        parts = blocks(len(rows.codes), block_size(queries.device))
        return torch.cat([queries @ rows.codes[block].float().T for block in parts], 1) * rows.scale
    step = (queries.abs().amax(-1, keepdim=True) / 127).clamp(min=1e-12)
    codes = (queries / step).round_().to(torch.int8)
    whole = [torch._int_mm(codes[row, None], rows.codes.T) for row in range(len(codes))]
    return torch.cat(whole).float() * step * rows.scale
