"""Questions and what facts say, both without the names of things, read together by a cross-encoder.

Shapes: n pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kblam.answering.gloss import in_english

__all__ = ["Pairs"]

MOST_KEPT = 8192
"""Pairs whose logits are kept."""


class Pairs:
    """Logits of pairs, made when first needed and kept: choosing a row and being sure of it ask for the same ones."""

    def __init__(self, logits: Callable[[Sequence[str], Sequence[str]], Tensor]) -> None:
        self._make = logits
        self._logits: dict[tuple[str, str], float] = {}

    def logits(self, questions: Sequence[str], statements: Sequence[str]) -> Tensor:
        """(n,): how well each statement answers the question at its place, Chinese and Japanese ones in English; 0 is as well
        as none would."""
        kept = self._logits  # never changed in place: other threads read it too
        pairs = list(zip(questions, statements, strict=True))
        fresh = [pair for pair in dict.fromkeys(pairs) if pair not in kept]
        made: dict[tuple[str, str], float] = {}
        if fresh:
            sides = ([in_english(text) for text in side] for side in zip(*fresh, strict=True))
            made = dict(zip(fresh, self._make(*sides).tolist(), strict=True))
            self._logits = {**kept, **made} if len(kept) + len(made) <= MOST_KEPT else made
        return torch.tensor([made[pair] if pair in made else kept[pair] for pair in pairs])
