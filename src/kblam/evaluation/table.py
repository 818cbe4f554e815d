"""The numbers of an evaluation as a table of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["table"]


def table(numbers: Mapping[str, Any]) -> str:
    """Kinds of questions, languages and kinds of values across, measures down; then refusal and the causal test."""
    grids = [numbers[by] for by in ("by kind", "by language", "by value")]
    measures = list(dict.fromkeys(name for groups in grids for group in groups.values() for name in group))
    head = f"{numbers['facts']:,} facts, {numbers['questions']:,} questions; 95% intervals in parentheses"
    parts = [head]
    for some in filter(None, grids):
        parts.append(
            _grid(["", *some], [[name, *(group.get(name, "-") for group in some.values())] for name in measures])
        )
    for title in ("refusal", "causal"):
        what = "cited fact taken away: " if title == "causal" else "refusal, "
        parts.append("\n".join(f"{what}{name}: {value}" for name, value in numbers[title].items()))
    return "\n\n".join(part for part in parts if part)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, in parts that fit a screen."""
    width = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    parts: list[str] = []
    columns: list[int] = []
    for column in range(1, len(head)):
        if columns and width[0] + sum(width[at] + 2 for at in (*columns, column)) > 120:
            parts.append(_lines(head, rows, [0, *columns], width))
            columns = []
        columns.append(column)
    return "\n\n".join([*parts, _lines(head, rows, [0, *columns], width)])


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int], width: Sequence[int]) -> str:
    kept = [row for row in rows if any(row[column] != "-" for column in columns[1:])]
    return "\n".join(
        "  ".join(row[column].ljust(width[column]) for column in columns).rstrip() for row in (head, *kept)
    )
