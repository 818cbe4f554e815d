"""What was measured, as a table, as JSON and as two plots."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from kblam.knowledge.aside import replace_file
from kblam.measuring.speed import Row
from kblam.version import __version__

__all__ = ["about_machine", "draw", "save_json", "speed_table"]


def about_machine() -> dict[str, Any]:
    """What the numbers were measured with."""
    return {
        "kblam": __version__, "torch": torch.__version__, "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(), "system": platform.system(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }  # fmt: skip


def speed_table(rows: Sequence[Row]) -> str:
    """The rows as text, one line each."""
    head = ("", "facts", "first token", "of none", "each token", "of none", "bound", "a layer adds", "kept", "peak")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    aligned = [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    ]
    reasons = ["", *("" if row.left_out is None else f"  ({row.left_out})" for row in rows)]
    return "\n".join(line.rstrip() + reason for line, reason in zip(aligned, reasons, strict=True))


def _cells(row: Row) -> tuple[str, ...]:
    first = (row.method, f"{row.facts:,}")
    if row.left_out is not None:
        return (*first, "-", "", "-", "", "", "", _size(row.kept_bytes), "")
    return (
        *first, _time(row.prefill), _ratio(row.prefill_ratio), _time(row.decode), _ratio(row.decode_ratio),
        _time(row.decode_bound), _time(row.decode_extra_per_layer), _size(row.kept_bytes), _size(row.peak_bytes),
    )  # fmt: skip


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _ratio(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}x"


def _size(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.2f} GB"


def save_json(path: Path, rows: Sequence[Row], about: Mapping[str, Any]) -> None:
    """Write everything that was measured."""
    record = {**about, "rows": [asdict(row) for row in rows]}
    with replace_file(path) as aside:
        aside.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def draw(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Draw time and memory against the number of facts, both axes logarithmic; nothing without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    plots: dict[str, tuple[str, Callable[[Row], float | None]]] = {
        "time.png": ("seconds from question to first token", lambda row: row.prefill),
        "memory.png": ("bytes kept for the facts", lambda row: row.kept_bytes or None),
    }
    paths = []
    for name, (label, number) in plots.items():
        figure: Any = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for method in dict.fromkeys(row.method for row in rows):
            points = [(row.facts, number(row)) for row in rows if row.method == method and row.left_out is None]
            seen = [(facts, value) for facts, value in points if value is not None]
            if seen:
                axes.plot(*zip(*seen, strict=True), marker="o", label=method)
        axes.set(xscale="log", yscale="log", xlabel="facts", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        path = folder / name
        with replace_file(path) as aside:
            figure.savefig(aside, dpi=120, format="png")
        paths.append(path)
    return paths
