"""Shares with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Share", "balanced", "best_balanced"]

Z = 1.96


@dataclass(frozen=True)
class Share:
    """So many of so many, with the 95% Wilson interval; as text `0.953 (0.931-0.968)`."""

    right: int
    count: int

    @classmethod
    def of(cls, marks: Sequence[bool]) -> Share:
        """The share of true marks."""
        return cls(sum(map(bool, marks)), len(marks))

    @property
    def value(self) -> float:
        """Between 0 and 1; 0 of nothing."""
        return self.right / self.count if self.count else 0.0

    def interval(self) -> tuple[float, float]:
        """Lower and upper end (Wilson, 1927)."""
        if self.count == 0:
            return 0.0, 1.0
        share, count = self.value, self.count
        middle = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
        half = Z * ((share * (1 - share) + Z * Z / (4 * count)) / count) ** 0.5 / (1 + Z * Z / count)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        if self.count == 0:
            return "-"
        low, high = self.interval()
        return f"{self.value:.3f} ({low:.3f}-{high:.3f})"


@dataclass(frozen=True)
class Balanced:
    """The mean of two shares, with a 95% bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


def balanced(accepted: Sequence[bool], refused: Sequence[bool], samples: int = 2000, seed: int = 0) -> Balanced | None:
    """The balanced accuracy of refusal: answerable questions answered, others refused; None where one side is empty."""
    if not accepted or not refused:
        return None
    draw = np.random.default_rng(seed)
    sides = [np.asarray(side, dtype=float) for side in (accepted, refused)]
    drawn = sum(draw.binomial(len(side), side.mean(), samples) / len(side) for side in sides) / 2
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Balanced(float(sum(side.mean() for side in sides) / 2), float(low), float(high))


def best_balanced(scores: NDArray[np.floating], answerable: NDArray[np.bool_]) -> float:
    """Balanced accuracy at the threshold that suits these very scores best: what a rival without one is given."""
    order = np.argsort(scores)
    truth = answerable[order]
    yes, no = max(1, int(truth.sum())), max(1, int((~truth).sum()))
    # Cutting before the i-th score refuses everything below it.
    refused_right = np.concatenate([[0], np.cumsum(~truth)]) / no
    accepted_right = 1 - np.concatenate([[0], np.cumsum(truth)]) / yes
    cuts = np.concatenate([[True], scores[order][1:] != scores[order][:-1], [True]])
    return float(((refused_right + accepted_right) / 2)[cuts].max())
