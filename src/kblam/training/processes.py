"""One process or several that train together: who we are, and sums over all of us."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kblam.errors import InputError
from kblam.extras import pip_install

__all__ = ["Processes", "open_processes"]


@dataclass(frozen=True)
class Processes:
    """The processes of this run; by itself, one."""

    rank: int = 0
    count: int = 1
    accelerator: Any = None
    """What connects several of them."""

    def sum(self, numbers: dict[str, Tensor]) -> dict[str, float]:
        """Each number, summed over the processes."""
        if self.accelerator is None:
            return {name: float(number) for name, number in numbers.items()}
        stacked = torch.stack([number.detach().double() for number in numbers.values()])
        total = self.accelerator.reduce(stacked, reduction="sum")
        return dict(zip(numbers, total.tolist(), strict=True))

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its sum over the processes."""
        if self.accelerator is None:
            return
        for parameter in parameters:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = self.accelerator.reduce(gradient, reduction="sum")

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the first one's tensors."""
        if self.accelerator is not None:
            from accelerate.utils import broadcast

            for tensor in tensors:
                tensor.data.copy_(broadcast(tensor.data))

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()


def open_processes() -> Processes:
    """The processes that torchrun started, or this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes()
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise InputError(f"several processes need accelerate: run {pip_install('training')}") from error
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    return Processes(accelerator.process_index, accelerator.num_processes, accelerator)
