"""Low-rank updates of a sentence encoder's weights, as they are trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kblam.knowledge.sentence_model import SentenceModel, Updates, multiplies_bfloat16

__all__ = ["TrainedUpdates", "averaged", "first_updates", "half_precision", "released"]

TrainedUpdates = dict[str, tuple[nn.Parameter, nn.Parameter]]
TUNED = (
    *("attention.self.query", "attention.self.value", "attention.output.dense", "intermediate.dense"),
    *("attention.attn.q", "attention.attn.v", "attention.attn.o"),
)
"""Linear layers that get updates: of a BERT layer, and of an MPNet layer, which names three of them otherwise."""


def first_updates(model: SentenceModel, rank: int, start: Updates | None = None) -> TrainedUpdates:
    """Updates that are zero at first, or go on from others, in whole precision whatever these are stored in.

    Zero, as in LoRA (Hu et al., 2021, arXiv 2106.09685): the first matrix at random, the second empty.
    """
    if start:
        return {name: (_in_full(down), _in_full(up)) for name, (down, up) in start.items()}
    names = [name for name, _ in model.network.named_modules() if name.endswith(TUNED)]
    return {name: _update(model.network.get_parameter(f"{name}.weight"), rank) for name in names}


def released(updates: Updates) -> dict[str, tuple[Tensor, Tensor]]:
    """The same without their gradients."""
    return {name: (down.detach(), up.detach()) for name, (down, up) in updates.items()}


def averaged(runs: Sequence[Updates]) -> dict[str, tuple[Tensor, Tensor]]:
    """Updates that change the weights by the mean of what several runs change, of the sum of their ranks.

    The mean of runs from one start reads better than any of them (Wortsman et al., 2022, arXiv 2203.05482).
    """
    return {
        name: (
            torch.cat([run[name][0] for run in runs]),
            torch.cat([run[name][1] for run in runs], dim=1) / len(runs),
        )
        for name in runs[0]
    }


def half_precision(device: torch.device) -> torch.autocast:
    """bfloat16 inside the encoder where the processor multiplies it: a step takes little more than half the time there,
    and its gradient points the same way (cosine 1.000)."""
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bfloat16(device))


def _in_full(matrix: Tensor) -> nn.Parameter:
    return nn.Parameter(matrix.detach().float().clone())


def _update(weight: Tensor, rank: int) -> tuple[nn.Parameter, nn.Parameter]:
    outputs, inputs = weight.shape
    return nn.Parameter(torch.randn(rank, inputs) * inputs**-0.5), nn.Parameter(torch.zeros(outputs, rank))
