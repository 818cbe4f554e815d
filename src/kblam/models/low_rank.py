"""Low-rank query heads: the base model's own query projection, kept where it is, and a small update beside it.

A knowledge layer's query is `(scale W_q + up @ down) h`, with W_q the frozen projection of the base, in place of a
whole trained matrix of H * d by hidden size (Hu et al., 2021, arXiv 2106.09685).

Shapes: B batch, T tokens, L knowledge layers, H heads, d width of a head's query, r rank.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kblam.models.anatomy import AttentionSite, own_query

__all__ = ["LowRankQuery"]


class LowRankQuery(nn.Module):
    """The trained part of the query heads of all knowledge layers."""

    down: nn.Parameter
    """(L, r, hidden)."""
    up: nn.Parameter
    """(L, H * d, r); zero at first."""
    scale: nn.Parameter
    """(L,): share of the base's own projection."""

    def __init__(self, layers: int, rank: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(layers, rank, hidden) * hidden**-0.5)
        self.up = nn.Parameter(torch.zeros(layers, outputs, rank))
        self.scale = nn.Parameter(torch.ones(layers))

    def forward(self, slot: int, site: AttentionSite, hidden_states: Tensor) -> Tensor:
        """The query of the slot-th knowledge layer, which is at `site`: (B, T, hidden) to (B, T, H * d)."""
        own = own_query(site, hidden_states).to(self.up.dtype)
        return self.scale[slot] * own + hidden_states.to(self.up.dtype) @ self.down[slot].T @ self.up[slot].T
