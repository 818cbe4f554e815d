"""Time and memory against the number of facts, by what `kblam benchmark` measures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kblam.experiments.claims import CLAIMS
from kblam.experiments.metrics import Mean
from kblam.experiments.sections import Chart, Section, Table
from kblam.experiments.world import World
from kblam.measuring.contenders import CONTENDERS
from kblam.measuring.speed import Row, SpeedOptions, measure_speed

__all__ = ["time_and_memory"]

SHAPE, LAYERS = "llama-3.2-1b", 2


def time_and_memory(world: World) -> Section:
    """First token, further tokens and bytes of every contender; a decoder with random weights."""
    options = SpeedOptions(shape=SHAPE, layers=LAYERS, facts=world.setting.sizes, rounds=1, most_seconds=4.0)

    def measure() -> list[dict[str, Any]]:
        names = list(CONTENDERS)
        found: list[dict[str, Any]] = []
        for name in world.track(names, "Time and memory"):
            found += [asdict(row) for row in measure_speed(options, [name])[0]]
        return found

    rows = [Row(**row) for row in world.pieces.piece("cost", {"options": asdict(options)}, measure)]
    charts = [
        Chart("time-first-token", "Time to the first token", "milliseconds", _lines(rows, "prefill", 1e3), top=None, logarithmic=True),
        Chart("time-each-token", "Time of each further token", "milliseconds", _lines(rows, "decode", 1e3), top=None, logarithmic=True),
        Chart("memory", "Memory kept for the facts", "megabytes", _lines(rows, "kept_bytes", 1e-6), top=None, logarithmic=True),
    ]  # fmt: skip
    missing = [f"{row.method}, {row.facts:,} facts: {row.left_out}" for row in rows if row.left_out]
    notes = [
        f"{LAYERS} layers of the {SHAPE} shape, random weights, {world.setting.sizes[-1]:,} facts at most; `docs/speed.md` has whole models."
    ]
    if missing:
        notes.append(f"Left out: {'; '.join(missing)}.")
    return Section(
        "Time and memory",
        CLAIMS["cost"].paper,
        _found(rows),
        [_table(rows)], charts, notes=notes,
    )  # fmt: skip


TOLD = ("ours, exact", "ours, retrieve once", "original's algorithm", "in context")
"""Those in the index."""


def _found(rows: list[Row]) -> tuple[str, ...]:
    """Of each contender in the index: its times with the most facts that it was measured with, beside the decoder alone."""
    found = []
    for name in TOLD:
        mine = [row for row in rows if row.method == name and row.prefill_ratio and row.decode_ratio]
        if mine:
            row = max(mine, key=lambda row: row.facts)
            found.append(
                f"{name}, {row.facts:,} facts: first token {row.prefill_ratio:.1f} times and each further one {row.decode_ratio:.1f} "
                f"times that of no facts, {row.kept_bytes / row.facts:,.0f} bytes a fact"
            )
    return tuple(found)


def _lines(rows: list[Row], field: str, factor: float) -> dict[str, list[tuple[int, Mean]]]:
    lines: dict[str, list[tuple[int, Mean]]] = {}
    for row in rows:
        number = getattr(row, field)
        if number and row.left_out is None:
            value = number * factor
            lines.setdefault(row.method, []).append((row.facts, Mean(value, value, value, 1)))
    return lines


def _table(rows: list[Row]) -> Table:
    cells = []
    for row in rows:
        times = ["-" if number is None else f"{number * 1e3:.1f} ms" for number in (row.prefill, row.decode)]
        ratios = ["-" if number is None else f"{number:.2f}x" for number in (row.prefill_ratio, row.decode_ratio)]
        kept = f"{row.kept_bytes / 1e6:,.1f} MB"
        cells.append((row.method, f"{row.facts:,}", times[0], ratios[0], times[1], ratios[1], kept))
    head = ("", "facts", "first token", "of none", "each token", "of none", "kept")
    return Table("Each beside the same decoder alone, in turns", head, tuple(cells))
