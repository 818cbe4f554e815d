"""The best rows by score, gathered everywhere with the same indices.

Shapes: B batch, M knowledge rows, k chosen rows, D embedding width.
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from kblam.attention.latent import Latents

__all__ = ["gather", "gather_rows", "select"]


def select(scores: Tensor, k: int) -> Tensor:
    """The indices of the k highest scores of each batch element, best first; all rows in their order when k >= M.

    Shapes: scores (B, M). Returns (B, min(k, M)), int64.
    """
    batch, rows = scores.shape
    if k >= rows:
        return torch.arange(rows, device=scores.device).expand(batch, rows)
    return scores.detach().topk(k, dim=-1).indices


def gather_rows(rows: Tensor, indices: Tensor) -> Tensor:
    """Take per-row numbers with the indices of `select`: (M,) or (B or 1, M) becomes (B, k)."""
    return torch.take_along_dim(rows if rows.dim() == 2 else rows[None], indices, dim=-1)


def gather(latents: Latents, indices: Tensor) -> Latents:
    """Take everything that belongs to the chosen rows with one index.

    Shapes: latents shared by the batch (M rows), indices (B, k). Returns latents of B elements with k rows each, in
    full precision only.
    """
    parts = latents.parts
    if len(parts) == 1:
        return _of_part(parts[0], indices)
    starts = list(accumulate((len(part) for part in parts[:-1]), initial=0))
    place = torch.bucketize(indices.contiguous(), torch.tensor(starts[1:], device=indices.device), right=True)
    chosen = _of_part(parts[0], torch.zeros_like(indices))  # every place is filled below
    for number in sorted(set(place.flatten().tolist())):
        mine = place == number
        found = _of_part(parts[number], indices[mine] - starts[number])
        for ours, theirs in (
            (chosen.keys, found.keys),
            (chosen.values, found.values),
            (chosen.mean, found.mean),
            (chosen.inverse_deviation, found.inverse_deviation),
        ):
            ours[mine] = theirs
    return chosen


def _of_part(part: Latents, indices: Tensor) -> Latents:
    return Latents(part.keys[indices], part.values[indices], part.mean[indices], part.inverse_deviation[indices])
