"""Charts and attention pictures as PNG."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kblam.errors import InputError
from kblam.experiments.sections import Chart, Picture
from kblam.extras import pip_install
from kblam.knowledge.aside import replace_file

__all__ = ["draw_chart", "draw_picture"]

FONTS = [
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Microsoft YaHei", "Yu Gothic", "Hiragino Sans", "WenQuanYi Zen Hei",
]  # fmt: skip
MARKERS = "osD^vP*X<>"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#999999")
"""Told apart by colour-blind readers too (Okabe and Ito, 2008)."""
LOOKS = {
    "quote": 0, "tokens": 1, "in context": 2, "no knowledge": 3, "RAG, top 1": 4, "RAG, top 5": 5,
    "ours, exact": 0, "ours, exact, keys kept": 1, "ours, retrieve once": 4, "ours, retrieve once, int8": 6, "original's algorithm": 7,
}  # fmt: skip
"""Colour and marker of what is in many charts, so that it looks the same in all of them."""


def draw_chart(chart: Chart, folder: Path) -> Path:
    """Lines with their 95% intervals over a logarithmic number of facts."""
    with _style() as new_figure:
        figure = new_figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        _draw_lines(axes, chart)
        sizes = sorted({size for points in chart.lines.values() for size, _ in points})
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set(xlabel="facts in the knowledge base", ylabel=chart.axis, title=chart.title)
        if chart.logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:,.10g}")
            axes.yaxis.set_minor_formatter("{x:,.10g}" if _within_a_decade(chart) else "")
        elif chart.top is not None:
            axes.set_ylim(-0.03 * chart.top, 1.05 * chart.top)
        axes.grid(alpha=0.3)
        if chart.lines:
            axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        return _save(figure, folder / f"{chart.file}.png")


def _within_a_decade(chart: Chart) -> bool:
    values = [value.value for points in chart.lines.values() for _, value in points]
    return max(values, default=1.0) < 10 * min(values, default=1.0)


def _draw_lines(axes: Any, chart: Chart) -> None:
    for number, (name, points) in enumerate(chart.lines.items()):
        if not points:
            continue
        look = LOOKS.get(name, number)
        # Lines that lie on each other stay apart by a hair, so that each is seen.
        across = [size * 1.05 ** (number - len(chart.lines) / 2) for size, _ in points]
        values = [value.value for _, value in points]
        errors = [[value.value - value.low for _, value in points], [value.high - value.value for _, value in points]]
        axes.errorbar(
            across, values, yerr=errors, marker=MARKERS[look % len(MARKERS)], markersize=5, capsize=2.5,
            linewidth=1.4, elinewidth=0.9, label=name, color=COLOURS[look % len(COLOURS)],
        )  # fmt: skip


def draw_picture(picture: Picture, folder: Path) -> Path:
    """One heat map for each layer, side by side, of one scale."""
    count = len(picture.layers)
    width = max(5.0, 1.8 + 0.34 * len(picture.facts) * count)
    lines = max((token.count("\n") for token in picture.tokens), default=0) + 1
    height = 3.0 + 0.24 * lines * len(picture.tokens)
    with _style() as new_figure:
        figure = new_figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(1, count, sharey=True, squeeze=False)[0]
        top = max((value for rows in picture.layers.values() for row in rows for value in row), default=1.0)
        image = None
        for axes, (name, rows) in zip(grid, picture.layers.items(), strict=True):
            image = axes.imshow(rows, aspect="auto", cmap="Blues", vmin=0, vmax=top)
            axes.set_xticks(range(len(picture.facts)), picture.facts, rotation=90, fontsize=7)
            axes.set_yticks(range(len(picture.tokens)), picture.tokens, fontsize=8)
            axes.set_title(name, fontsize=10)
        grid[0].set_ylabel(picture.down)
        figure.suptitle(textwrap.fill(picture.title, int(width * 10)), fontsize=11)
        if image is not None:
            figure.colorbar(image, ax=list(grid), label=picture.share, fraction=0.03)
        return _save(figure, folder / f"{picture.file}.png")


@contextmanager
def _style() -> Iterator[Any]:
    """Fonts that hold Chinese and Japanese, where there are some; gives what makes a figure."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.font_manager import fontManager
    except ImportError as error:
        raise InputError(f"plots need matplotlib: run {pip_install('evaluation')}") from error
    there = {font.name for font in fontManager.ttflist}
    with matplotlib.rc_context({"font.family": [name for name in FONTS if name in there] or ["sans-serif"]}):
        yield Figure


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as aside:
        figure.savefig(aside, dpi=110, format="png", metadata={"Software": "kblam"})
    return path
