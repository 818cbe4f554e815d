"""Rows of numbers in pieces, so that a version with one row changed shares all other pieces with the version before.

Shapes: M rows, D numbers each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PIECE", "FloatArray", "Rows"]

FloatArray = NDArray[np.floating[Any]]

PIECE = 4096
"""Rows of a piece: what is copied when one of them changes (3 MiB at MiniLM's width in float16)."""


class Rows:
    """M rows that never change; `pieces` are read-only, of PIECE rows each but for the last, or one of any length."""

    def __init__(self, pieces: Sequence[FloatArray]) -> None:
        self.pieces = tuple(_read_only(piece) for piece in pieces)

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    @property
    def width(self) -> int:
        """D, how many numbers a row has."""
        return int(self.pieces[0].shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""
        return self.pieces[0].dtype

    def whole(self) -> FloatArray:
        """All rows as one array, (M, D); a copy where they are kept in several pieces."""
        return self.pieces[0] if len(self.pieces) == 1 else _read_only(np.concatenate(self.pieces))

    def row(self, number: int) -> FloatArray:
        """One row, (D,)."""
        if len(self.pieces) == 1:
            return self.pieces[0][number]  # type: ignore[no-any-return]
        return self.pieces[number // PIECE][number % PIECE]  # type: ignore[no-any-return]

    def take(self, numbers: Sequence[int]) -> FloatArray:
        """Some rows, (len(numbers), D)."""
        if len(self.pieces) == 1 or not len(numbers):
            return self.pieces[0][np.asarray(numbers, dtype=np.intp)]
        return np.stack([self.row(number) for number in numbers])

    def changed(self, replaced: Mapping[int, FloatArray], added: FloatArray, count: int | None = None) -> Rows:
        """The first `count` of these rows with some replaced by others and new ones, (n, D), behind them.

        Only pieces in which something changes are copied.
        """
        pieces = self.split(len(self) if count is None else count)
        for place in {row // PIECE for row in replaced}:
            pieces[place] = pieces[place].copy()
        for row, numbers in replaced.items():
            pieces[row // PIECE][row % PIECE] = numbers
        if len(added):
            last = pieces.pop() if pieces and len(pieces[-1]) < PIECE else self.pieces[0][:0]
            grown = np.concatenate([last, added.astype(self.dtype, copy=False)])
            pieces += [grown[start : start + PIECE] for start in range(0, len(grown), PIECE)]
        return Rows(pieces or [self.pieces[0][:0]])

    def split(self, count: int) -> list[FloatArray]:
        """The first `count` rows, PIECE to a piece, without a copy."""
        if len(self.pieces) == 1:
            whole = self.pieces[0]
            return [whole[start : min(start + PIECE, count)] for start in range(0, count, PIECE)]
        full, rest = divmod(count, PIECE)
        return [*self.pieces[:full], *([self.pieces[full][:rest]] if rest else [])]


def _read_only(array: FloatArray) -> FloatArray:
    view = array.view()
    view.flags.writeable = False
    return view
