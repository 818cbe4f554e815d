"""How likely it is that the best row answers a question: a logistic regression for each way in which a question calls a thing.

Shapes: n questions, W ways, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = [
    "BESIDE",
    "CROSS_EVIDENCE",
    "EVIDENCE",
    "FACT_EVIDENCE",
    "NAMED",
    "WAYS",
    "chances",
    "for_all_ways",
    "grown",
    "uncalibrated",
    "way_called",
    "weighed_again",
]

NAMED = "entity named"
BESIDE = "words like other names beside its own"
EVIDENCE = (
    "score", NAMED, "property named", "another property named", "property of other things named",
    "lead over the entity's other rows", "masked cosine", "masked lead over the entity's other rows",
    "masked lead over the knowledge's other properties",
)  # fmt: skip
"""What speaks for the best row: its prior score; what the question names; and how well the question fits what the row says
when the entity is masked on both sides, so that only property and value count."""
CROSS_EVIDENCE = ("cross-encoder's logit", "lead of that over the entity's other rows")
"""Beside it, for an adapter with a cross-encoder."""
FACT_EVIDENCE = (
    "fact's logit", "fact's logit where no name is known", "lead of that over other rows",
    "words like other names", "numbers like other names", BESIDE,
)  # fmt: skip
"""Likewise with one that reads whole facts."""
WAYS = (
    "by no name", "by a part of its name, or a misspelt one", "by name", "of a description, by no name", "of a description, by name",
    "by what it has", "by what another thing has",
)  # fmt: skip
"""What speaks for a row counts differently where it must show which thing is meant as well; where the row is a description, which
answers much that its property does not say; and where the question says the value and asks what has it, or means the thing by
another one."""
BY_VALUE, BY_PATH = 5, 6
"""The last of them."""
_OLDER_WAYS = {3: (0, 1, 2, 0, 2, 0, 0), 5: (0, 1, 2, 3, 4, 0, 0)}
"""Which of the ways, when there were so many, the present ones were."""
_UNCALIBRATED = 0.5
"""Weight of the row's score as long as nothing is known of the rest."""
_DOUBT = -6.0


def uncalibrated(features: int) -> tuple[Tensor, Tensor]:
    """Weights (W, F) and biases (W,) before anything was fitted."""
    weight = torch.zeros(len(WAYS), features)
    weight[:, 0] = _UNCALIBRATED
    return weight, torch.full((len(WAYS),), _DOUBT)


def way_called(named: Tensor, described: Tensor, said: Tensor, through: Tensor) -> Tensor:
    """Which of `WAYS` each question calls the thing of its row, (n,), from how well it names it (n,), whether the row is a
    description (n,), whether it says its value (n,), and whether it means it by another thing (n,)."""
    way = torch.where(described, 3 + (named > 0).long(), (named > 0).long() + (named >= 1).long())
    way = torch.where(said & (named < 1), BY_VALUE, way)
    return torch.where(through, BY_PATH, way)


def chances(evidence: Tensor, way: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The probability that each row answers, (n,), from what speaks for it (n, F), how its thing is called (n,), weights (W, F)
    and biases (W,)."""
    return torch.sigmoid((evidence * weight[way]).sum(-1) + bias[way])


def weighed_again(weight: Tensor, known: Sequence[str], now: Sequence[str]) -> Tensor:
    """The weights (W, F) of what was evidence before and is, 0 for the rest."""
    columns = dict(zip(known, weight.unbind(1), strict=True))
    return torch.stack([columns.get(name, weight.new_zeros(len(weight))) for name in now], dim=1)


def for_all_ways(tensor: Tensor, dims: int) -> Tensor:
    """Weights (W, F), dims 2, or biases (W,), dims 1, of an older adapter, which knew fewer ways or none."""
    if tensor.dim() < dims:
        return tensor.expand(len(WAYS), *tensor.shape)
    older = _OLDER_WAYS.get(len(tensor))
    return tensor if older is None else tensor[list(older)]


def grown(tensor: Tensor, width: int, most: int) -> Tensor:
    """A tensor of an older adapter with 0 for up to so many numbers that its last dimension, of this width now, does not have;
    as it is if it lacks more."""
    missing = width - tensor.shape[-1]
    return nn.functional.pad(tensor, (0, missing)) if 0 < missing <= most else tensor
