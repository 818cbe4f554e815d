"""An encoder that counts what it is asked, and facts to give it. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kblam.knowledge.base import KnowledgeBase
from kblam.knowledge.triples import Triple


class CountingEncoder:
    """Gives each text a vector of its own and remembers what it was asked."""

    def __init__(self, name: str = "counting", width: int = 6) -> None:
        self.name = name
        self.width = width
        self.asked: list[str] = []

    def vector(self, text: str) -> NDArray[np.float32]:
        return np.random.default_rng(list(text.encode())).standard_normal(self.width).astype(np.float32)

    def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([self.vector(text) for text in texts], dtype=np.float32).reshape(-1, self.width)


AI = Triple("AI", "description", "人工智能是模拟人类智能的技术")
KBLAM = Triple("KBLaM", "description", "微软开发的知識増強ツール", aliases=("ケービー",), id="7")
CAPITAL = Triple("Mongolia", "capital", "Ulaanbaatar")


def consistent(base: KnowledgeBase, encoder: CountingEncoder, tolerance: float = 2e-3) -> None:
    """Check that every row holds the vectors of its own texts."""
    snapshot = base.snapshot()
    assert snapshot.keys.shape == snapshot.values.shape == (len(snapshot.triples), encoder.width)
    for row, triple in enumerate(snapshot.triples):
        np.testing.assert_allclose(snapshot.keys[row], encoder.vector(triple.key_text), atol=tolerance, rtol=tolerance)
        np.testing.assert_allclose(snapshot.values[row], encoder.vector(triple.value), atol=tolerance, rtol=tolerance)
        assert base.get(*triple.identity) is triple
