"""Checkpoints: everything a run needs to go on as if it had never stopped, in one directory that is whole or absent.

checkpoint/
    state.json              the step, the options, the measurements so far
    adapter.json, adapter.safetensors
    optimizer.safetensors   the optimizer's moments
    best.safetensors        the adapter's weights at the best measurement so far
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kblam.errors import ModelError
from kblam.knowledge.aside import replace_directory
from kblam.models.adapter import Adapter

__all__ = ["MARK", "Progress", "load_checkpoint", "load_progress", "save_checkpoint"]

MARK = "state.json"
FORMAT = "kblam-checkpoint"
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class Progress:
    """How far a run has come."""

    options: dict[str, Any]
    """What the run was told to do."""
    step: int = 0
    """Steps done."""
    measured: list[dict[str, float]] = field(default_factory=list)
    """Measurements on the validation half, oldest first."""
    best_step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    """The adapter's weights after `best_step`; empty before the first measurement."""


def save_checkpoint(directory: Path, progress: Progress, adapter: Adapter, optimizer: torch.optim.Optimizer) -> None:
    """Write a checkpoint in place of the one before it."""
    moments: dict[str, Tensor] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name in MOMENTS:
            moments[f"{index}.{name}"] = state[name].detach().cpu().contiguous()
        moments[f"{index}.step"] = torch.as_tensor(float(state["step"]))
    about = {
        "format": FORMAT, "step": progress.step, "best_step": progress.best_step, "measured": progress.measured,
        "options": progress.options,
    }  # fmt: skip
    with replace_directory(directory, MARK) as aside:
        adapter.save(aside)
        save_file(moments, aside / "optimizer.safetensors")
        save_file(progress.best, aside / "best.safetensors")
        (aside / MARK).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_progress(directory: Path) -> Progress:
    """Read how far a run has come. Raises ModelError when there is no whole checkpoint."""
    path = directory / MARK
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        best = load_file(directory / "best.safetensors")
    except FileNotFoundError:
        raise ModelError(f"there is no checkpoint in {directory}, so nothing can be resumed: start without --resume") from None  # fmt: skip
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"the checkpoint in {directory} is damaged ({error}): start without --resume") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ModelError(f"{path} is not of a kblam checkpoint: start without --resume")
    return Progress(about["options"], about["step"], about["measured"], about["best_step"], best)


def load_checkpoint(directory: Path, adapter: Adapter, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's weights and moments into an adapter and an optimizer of the same shapes."""
    adapter.load_state_dict(Adapter.load(directory).state_dict())
    moments = load_file(directory / "optimizer.safetensors")
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in moments.items():
        index, what = name.split(".", 1)
        state.setdefault(int(index), {})[what] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
