"""What an experiment gives to the report: a claim, tables, lines to draw, and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kblam.experiments.metrics import Mean, mean

__all__ = ["Chart", "Picture", "Section", "Table", "across", "chart_table", "curve", "of_sizes"]


@dataclass(frozen=True)
class Table:
    """Rows of text under a head."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """As Markdown."""
        rows = [self.head, tuple("---" for _ in self.head), *self.rows]
        lines = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
        return f"{self.title}\n\n{lines}\n"


@dataclass(frozen=True)
class Chart:
    """Lines against the number of facts: for each name its points (facts, value, low, high)."""

    file: str
    """The PNG's name, without its ending."""
    title: str
    axis: str
    """What the vertical axis shows, with its unit."""
    lines: dict[str, list[tuple[int, Mean]]]
    top: float | None = 1.0
    """The axis runs from 0 to here; None: as the values have it."""
    logarithmic: bool = False


@dataclass(frozen=True)
class Picture:
    """Attention as one heat map for each layer: tokens, or whole questions, down and facts across."""

    file: str
    title: str
    layers: dict[str, list[list[float]]]
    tokens: tuple[str, ...]
    facts: tuple[str, ...]
    down: str = "tokens of the question, in order"
    """What the tokens are."""
    share: str = "share of a token's attention, mean of heads"
    """What the colours are."""


@dataclass(frozen=True)
class Section:
    """One experiment's part of the report."""

    title: str
    paper: str
    """What the paper says, or what is asked here."""
    ours: tuple[str, ...] = ()
    """What was found here, in a line or two for the index."""
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def curve(
    sizes: Sequence[int], records: Callable[[int], Sequence[Any]], number: Callable[[Any], float]
) -> list[tuple[int, Mean]]:
    """The mean of a number over the records of each size that has some."""
    found = [(size, mean([number(record) for record in records(size)])) for size in sizes]
    return [(size, value) for size, value in found if value.count]


def chart_table(chart: Chart) -> Table:
    """A chart's lines as a table: names down, numbers of facts across."""
    sizes = sorted({size for points in chart.lines.values() for size, _ in points})
    rows = []
    for name, points in chart.lines.items():
        values = {size: str(value) for size, value in points}
        rows.append((name, *(values.get(size, "-") for size in sizes)))
    return Table(chart.title, (chart.axis, *(f"{size:,} facts" for size in sizes)), tuple(rows))


def across(chart: Chart, name: str, last: bool = False) -> str:
    """A line's values in order of size, `0.9 (0.8-1.0) / ...`; only that of the most facts on request."""
    points = sorted((size, str(value)) for size, value in chart.lines.get(name, []))
    return " / ".join(value for _, value in points[-1 if last else 0 :]) or "-"


def of_sizes(sizes: Sequence[int]) -> str:
    """What `across` goes across: `100 / 1,000 facts`."""
    return " / ".join(f"{size:,}" for size in sizes) + " facts"
