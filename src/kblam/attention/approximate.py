"""An index of very many rows that proposes the few thousand worth scoring; their scores are then computed as ever.

A row's two embeddings, at unit length and side by side, become 4-bit codes of two numbers each (product quantisation,
Jegou et al. 2011): a quarter of the memory and traffic of 8-bit numbers. A search still looks at every row, so what it
finds does not hang on lists or graphs, which near-duplicates mislead, and the index is made in one pass.

Shapes: n questions, M knowledge rows, D embedding width, c proposed rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from kblam.attention.latent import LatentParts, Latents
from kblam.attention.scan import blocks
from kblam.errors import InputError
from kblam.extras import pip_install

__all__ = ["NUMBERS_OF_A_CODE", "PROPOSED", "RowIndex", "follow_index", "index_rows", "load_faiss"]

PROPOSED = 2000
"""Rows that a search proposes; with no more rows than this there is nothing to search for."""
NUMBERS_OF_A_CODE = 2
TRAINED_ON = 1 << 15
"""Rows that the codes are fitted to."""
MOST_CHANGED = 1 / 50
"""Share of the rows that may have changed before the index is made anew."""
_BLOCK = 1 << 15


@dataclass(frozen=True, eq=False)
class RowIndex:
    """Codes of the rows as they were when it was made, and which of them are others now."""

    codes: Any
    """faiss.IndexPQFastScan over (M, 2 D)."""
    key_scale: float
    """What a product with a key embedding as it is stored counts beside one with it at unit length, on average: its
    length over the deviation of the row's key outputs."""
    changed: Tensor
    """Rows changed or added since, ascending: each is always proposed, so an answer from it is right at once."""

    def propose(self, for_keys: Tensor, for_values: Tensor, prior: Tensor | None, rows: int) -> Tensor:
        """Rows among which the best are, without order, some of them twice: two of (n, D) give (n, c).

        prior: (n, rows), what is added to the scores of a few rows, which are proposed as well. rows: how many there
        are now.
        """
        queries = torch.cat([for_keys, for_values], 1).detach().float().cpu().contiguous().numpy()
        found = torch.from_numpy(self.codes.search(queries, min(PROPOSED, self.codes.ntotal))[1])
        # A row that is no more, or a place that the search left empty, becomes one that is proposed anyway.
        gone = (found < 0) | (found >= rows)
        found = torch.where(gone, found.masked_fill(gone, 0).amax(1, keepdim=True), found)
        parts = [found, self.changed[self.changed < rows].expand(len(found), -1)]
        if prior is not None:
            parts.append((prior != 0).any(0).nonzero()[:, 0].expand(len(found), -1))
        return torch.cat([part.to(for_keys.device) for part in parts], 1)


@torch.no_grad()
def index_rows(latents: Latents) -> Latents:
    """The same rows with an index beside them; without one where there are too few to search.

    Raises InputError without faiss.
    """
    faiss = load_faiss()
    if len(latents) <= PROPOSED:
        return latents
    width = 2 * latents.parts[0].keys.shape[-1]
    codes = faiss.IndexPQFastScan(width, width // NUMBERS_OF_A_CODE, 4, faiss.METRIC_INNER_PRODUCT)
    step = max(1, len(latents) // TRAINED_ON)
    codes.train(torch.cat([_unit_rows(part, step) for part in _pieces(latents)]).numpy())
    scale = 0.0
    for part in _pieces(latents):
        codes.add(_unit_rows(part).numpy())
        scale += float((part.key_norms * part.inverse_deviation).double().sum()) / len(latents)
    return LatentParts(latents.parts, RowIndex(codes, scale, torch.empty(0, dtype=torch.long)))


def follow_index(before: Latents, now: Latents, touched: Collection[int]) -> Latents:
    """The rows now, with the index of the rows before, from which they differ in those touched and those added."""
    if before.index is None:
        return now
    fresh = [*touched, *range(len(before), len(now))]
    changed = torch.tensor(sorted({*before.index.changed.tolist(), *fresh}), dtype=torch.long)
    gone = max(0, before.index.codes.ntotal - len(now))
    if len(changed) + gone > MOST_CHANGED * len(now):
        return index_rows(now)
    return LatentParts(now.parts, replace(before.index, changed=changed))


def _pieces(latents: Latents) -> Iterator[Latents]:
    return (part.block(rows.start, rows.stop) for part in latents.parts for rows in blocks(len(part), _BLOCK))


def _unit_rows(part: Latents, step: int = 1) -> Tensor:
    """Key and value embeddings of every so-manieth row at unit length, side by side: (M, 2 D) in float32."""
    pairs = (part.keys, part.key_norms), (part.values, part.value_norms)
    halves = [rows[::step].float() / norms[::step, None].float().clamp(min=1e-12) for rows, norms in pairs]
    return torch.cat(halves, 1).cpu()


def load_faiss() -> Any:
    """The library behind the index; raises InputError where it is not installed."""
    try:
        return import_module("faiss")
    except ImportError as error:
        raise InputError(f"scan 'ann' needs faiss: run {pip_install('ann')}") from error
