"""What a model looked at, for those who ask.

Shapes: B batch, T tokens of one forward pass, M knowledge rows, m rows attended to (M or k), H heads.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["AttentionRecord", "Recorder", "Retrieval", "with_null"]


@dataclass(frozen=True, eq=False)
class Retrieval:
    """What the retrieval layer saw at the end of each prompt: scores averaged over heads, priors included."""

    scores: Tensor
    """(B, M)."""
    null: Tensor | None
    """Score of the null row, (B,); None without a null row."""
    indices: Tensor | None
    """The rows attended to, best first, (B, k); None when all are."""

    def weights(self) -> Tensor:
        """Softmax over the rows and, last, the null row: (B, M + 1), or (B, M) without a null row."""
        return with_null(self.scores, self.null).softmax(-1)


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """One knowledge layer's attention in one forward pass; t is T, or 1 for the last position of each prompt."""

    scores: Tensor
    """Scores of the rows attended to, (B, H, t, m)."""
    null: Tensor | None
    """Scores of the null row, (B, H, t)."""
    log_sum_exp: Tensor
    """Of all scores, context included, (B, H, t)."""
    indices: Tensor | None
    """Which rows these are, (B, m); None when they are all M in order."""

    def weights(self) -> Tensor:
        """Attention weights of the rows and, last, the null row, (B, H, t, m + 1 or m); the context holds the rest."""
        return (with_null(self.scores, self.null) - self.log_sum_exp[..., None]).exp()


@dataclass(eq=False)
class Recorder:
    """Collects what the model looked at; give one to `Injection.attend`. Records carry gradients when the pass does."""

    layers: Collection[int] = ()
    """Knowledge layers whose attention is recorded, one record per forward pass."""
    every_position: bool = False
    """Record all T positions instead of the last one only."""
    retrieval: Retrieval | None = None
    """Filled at the end of the prompt when the adapter has a retrieval layer."""
    attention: dict[int, list[AttentionRecord]] = field(default_factory=dict)
    """Filled with the records by layer."""


def with_null(scores: Tensor, null: Tensor | None) -> Tensor:
    """Scores (..., m) and, last, the null row's (...), if there is one."""
    return scores if null is None else torch.cat([scores, null[..., None]], -1)
