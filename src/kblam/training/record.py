"""What a run leaves to look at: log.jsonl, a picture, TensorBoard, Weights & Biases if asked, and a line on the screen."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kblam.errors import InputError

__all__ = ["Record"]

LOG = "log.jsonl"
SMOOTH = 0.05
"""Weight of the newest step in the tokens a second that the bar shows."""


class Record:
    """Writes what is measured; the first process has one that writes, the others one that does not."""

    def __init__(self, directory: Path, steps: int, done: int, writes: bool, wandb: str | None = None) -> None:
        """done: steps of an earlier run that this one goes on from; what was logged beyond them is forgotten."""
        self.directory, self.steps, self.writes = directory, steps, writes
        self._console = Console(stderr=True)
        self._speed, self._last, self._shown = 0.0, time.perf_counter(), ""
        self._board: Any = None
        self._wandb: Any = None
        if not writes:
            return
        directory.mkdir(parents=True, exist_ok=True)
        if done == 0:
            shutil.rmtree(directory / "tensorboard", ignore_errors=True)
        kept = [row for row in read_log(directory) if row["step"] <= done]
        self._log = (directory / LOG).open("w", encoding="utf-8")
        self._log.writelines(json.dumps(row) + "\n" for row in kept)
        self._board = _tensorboard(directory / "tensorboard", done)
        self._wandb = None if wandb is None else _wandb(wandb, directory)
        self._bar = Progress(
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} steps"), BarColumn(), TextColumn("{task.fields[shown]}"),
            TimeRemainingColumn(), console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("Training", total=steps, completed=done, shown="")
        self._bar.start()

    def step(self, step: int, numbers: Mapping[str, float]) -> None:
        """Note what a step measured on its own questions."""
        now = time.perf_counter()
        speed = numbers.get("tokens", 0.0) / max(1e-9, now - self._last)
        self._speed += (SMOOTH if self._speed else 1.0) * (speed - self._speed)
        self._last = now
        if not self.writes:
            return
        self._write({"step": step, **{name: round(number, 6) for name, number in numbers.items()}})
        self._boards(
            step, {f"training/{name}": number for name, number in numbers.items()} | {"tokens a second": speed}
        )
        text = f"loss {numbers['answer']:.3f} {self._shown} · {self._speed:,.0f} answer tokens/s"
        self._bar.update(self._task, completed=step, shown=text)

    def validation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Note what was measured on the validation half."""
        self._last = time.perf_counter()
        if not self.writes:
            return
        self._write({"step": step, "validation": {name: round(number, 6) for name, number in numbers.items()}})
        self._boards(step, {f"validation/{name}": number for name, number in numbers.items()})
        self._shown = f"· validation top-1 {numbers['top-1']:.3f} refusal {numbers['refusal']:.3f}"
        if not self._console.is_terminal:
            loss = f"answer loss {numbers['answer']:.3f} (with shuffled knowledge {numbers['answer, shuffled']:.3f})"
            self.say(f"step {step:,} of {self.steps:,}: {loss} {self._shown} · {self._speed:,.0f} answer tokens/s")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self.writes:
            self._bar.console.print(text, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Finish all files and draw training.png."""
        if not self.writes:
            return
        self._bar.stop()
        self._log.close()
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()
        _draw(read_log(self.directory), self.directory / "training.png")

    def _write(self, row: Mapping[str, object]) -> None:
        self._log.write(json.dumps(row) + "\n")
        self._log.flush()

    def _boards(self, step: int, numbers: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, number in numbers.items():
                self._board.add_scalar(name, number, step)
        if self._wandb is not None:
            self._wandb.log(dict(numbers), step=step)


def read_log(directory: Path) -> list[dict[str, Any]]:
    """The rows of log.jsonl, oldest first; a row that was cut short is left out."""
    rows = []
    path = directory / LOG
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _tensorboard(directory: Path, done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None  # the extra `training` brings it
    return SummaryWriter(str(directory), purge_step=done + 1)


def _wandb(project: str, directory: Path) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise InputError("--wandb needs Weights & Biases: run pip install wandb") from error
    return wandb.init(project=project, dir=str(directory))


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    """The losses of every step, and what validation measured."""
    try:
        import matplotlib
    except ImportError:
        return  # the extra `training` brings it
    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = [row for row in rows if "validation" not in row]
    measured = [{"step": row["step"], **row["validation"]} for row in rows if "validation" in row]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for name in ("answer", "retrieval"):
        left.plot([row["step"] for row in steps], [row[name] for row in steps], alpha=0.4, label=f"{name}, training")
    for name in ("answer", "answer, shuffled"):
        left.plot([row["step"] for row in measured], [row[name] for row in measured], label=f"{name}, validation")
    for name in ("top-1", "refusal", "token accuracy"):
        right.plot([row["step"] for row in measured], [row[name] for row in measured], label=f"{name}, validation")
    for axes, title in ((left, "loss"), (right, "share right")):
        axes.set(xlabel="step", title=title)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
