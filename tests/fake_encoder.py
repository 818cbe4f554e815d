"""An encoder that needs no model: a text's vector is made of its hash. Imports nothing heavy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kblam.knowledge import Snapshot

WIDTH = 8


class FakeEncoder:
    """Remembers what it was asked."""

    def __init__(self, name: str = "fake") -> None:
        self.name, self.width = name, WIDTH
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([vector(text) for text in texts], dtype=np.float32).reshape(-1, WIDTH)


def vector(text: str) -> NDArray[np.float32]:
    digest = hashlib.blake2b(text.encode(), digest_size=WIDTH).digest()
    return (np.frombuffer(digest, np.uint8).astype(np.float32) - 128) / 64


def check_vectors(snapshot: Snapshot) -> None:
    """Every row holds the vectors of its own texts."""
    count = len(snapshot.triples)
    assert snapshot.keys.shape == snapshot.values.shape == (count, WIDTH)
    texts: list[tuple[NDArray[Any], list[str]]] = [
        (snapshot.keys, [triple.key_text for triple in snapshot.triples]),
        (snapshot.values, [triple.value_text for triple in snapshot.triples]),
    ]
    for array, said in texts:
        expected = np.array([vector(text) for text in said], dtype=array.dtype).reshape(count, WIDTH)
        np.testing.assert_array_equal(array, expected)
