"""One version of a knowledge base, which never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kblam.errors import KnowledgeError
from kblam.knowledge.triples import Triple

__all__ = ["FloatArray", "Snapshot", "checked_vectors", "nameless_triples"]

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The facts and their vectors at one moment: row m of each array belongs to triple m; arrays are read-only."""

    triples: tuple[Triple, ...]
    """M facts."""
    keys: FloatArray
    """(M, D), embeddings of the key texts."""
    values: FloatArray
    """(M, D), embeddings of the value texts."""
    version: int = 0
    """Rises by one with each change."""
    encoder_name: str | None = None
    """What made the vectors; None: nobody said."""
    has_texts: bool = True
    """False when the vectors came without their facts: the triples then only number the rows and say nothing."""

    def __post_init__(self) -> None:
        for field in ("keys", "values"):
            view = getattr(self, field).view()
            view.flags.writeable = False
            object.__setattr__(self, field, view)

    @property
    def width(self) -> int:
        """D, how many numbers a vector has."""
        return int(self.keys.shape[1])


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
        finite = np.isfinite(array)
        if not finite.all():
            row = int(np.flatnonzero(~finite.all(axis=1))[0])
            raise KnowledgeError(
                f"{where}: {name} hold NaN or infinity, first in row {row + 1}: encode that fact again"
            )
    return key_array, value_array
