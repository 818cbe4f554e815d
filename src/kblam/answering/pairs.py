"""Questions and what facts say, both without the names of things, read together by a cross-encoder.

Shapes: n pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kblam.answering.gloss import in_english
from kblam.answering.kept import Kept

__all__ = ["Pairs"]


class Pairs:
    """Logits of pairs, made when first needed and kept: choosing a row and being sure of it ask for the same ones."""

    def __init__(self, logits: Callable[[Sequence[str], Sequence[str]], Tensor]) -> None:
        def make(pairs: list[tuple[str, str]]) -> list[float]:
            asked, stated = ([in_english(text) for text in side] for side in zip(*pairs, strict=True))
            found: list[float] = logits(asked, stated).tolist()
            return found

        self._logits: Kept[tuple[str, str], float] = Kept(make)

    def logits(self, questions: Sequence[str], statements: Sequence[str]) -> Tensor:
        """(n,): how well each statement answers the question at its place, Chinese and Japanese ones in English; 0 is as well
        as none would."""
        return torch.tensor(self._logits.get(list(zip(questions, statements, strict=True))))
