"""One version of a knowledge base, which never changes."""

from __future__ import annotations

import numpy as np

from kblam.errors import KnowledgeError
from kblam.knowledge.rows import PIECE, Rows
from kblam.knowledge.rows import FloatArray as FloatArray
from kblam.knowledge.triples import Triple

__all__ = ["Snapshot", "checked_vectors", "nameless_triples"]


class Snapshot:
    """The facts and their vectors at one moment: row m of each array belongs to triple m; arrays are read-only."""

    def __init__(
        self,
        triples: tuple[Triple, ...],
        keys: FloatArray | Rows,
        values: FloatArray | Rows,
        version: int = 0,
        encoder_name: str | None = None,
        has_texts: bool = True,
    ) -> None:
        self.triples = triples
        """M facts."""
        self.key_rows = keys if isinstance(keys, Rows) else Rows([keys])
        """M embeddings of the key texts, in the pieces that they are kept in."""
        self.value_rows = values if isinstance(values, Rows) else Rows([values])
        """M embeddings of the value texts."""
        self.version = version
        """Rises by one with each change."""
        self.encoder_name = encoder_name
        """What made the vectors; None: nobody said."""
        self.has_texts = has_texts
        """False when the vectors came without their facts: the triples then only number the rows and say nothing."""

    @property
    def keys(self) -> FloatArray:
        """(M, D), embeddings of the key texts as one array; a copy once single rows have changed."""
        return self.key_rows.whole()

    @property
    def values(self) -> FloatArray:
        """(M, D), embeddings of the value texts as one array; a copy once single rows have changed."""
        return self.value_rows.whole()

    @property
    def width(self) -> int:
        """D, how many numbers a vector has."""
        return self.key_rows.width


def nameless_triples(count: int) -> tuple[Triple, ...]:
    """Return triples that stand for rows whose texts nobody gave."""
    return tuple(Triple(f"row {row}", "vector", "(no text)") for row in range(count))


def checked_vectors(keys: object, values: object, where: str) -> tuple[FloatArray, FloatArray]:
    """Return keys and values as arrays; raise KnowledgeError unless both are finite floats of one (M, D) shape."""
    key_array, value_array = np.asarray(keys), np.asarray(values)
    for name, array in (("keys", key_array), ("values", value_array)):
        if not np.issubdtype(array.dtype, np.floating):
            raise KnowledgeError(f"{where}: {name} hold {array.dtype} instead of floating-point numbers")
        if array.ndim != 2 or array.shape[1] == 0:
            raise KnowledgeError(
                f"{where}: {name} have the shape {array.shape} instead of (facts, numbers of a vector)"
            )
    if key_array.shape != value_array.shape:
        raise KnowledgeError(f"{where}: keys are {key_array.shape} and values {value_array.shape}: make both alike")
    for name, array in (("keys", key_array), ("values", value_array)):
        for start in range(0, len(array), PIECE):  # a mask of a million rows would be half as large as they are
            finite = np.isfinite(array[start : start + PIECE])
            if not finite.all():
                row = start + int(np.flatnonzero(~finite.all(axis=1))[0])
                raise KnowledgeError(
                    f"{where}: {name} hold NaN or infinity, first in row {row + 1}: encode that fact again"
                )
    return key_array, value_array
