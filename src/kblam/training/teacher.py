"""A larger encoder from which a smaller one learns how well questions and statements fit.

Distillation (Hinton et al., 2015, arXiv 1503.02531): beside which statement is right, how nearly the others are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kblam.knowledge import Encoder
from kblam.synthesis.questions import OPENINGS

__all__ = ["Teacher"]

_OPENINGS = tuple(opening for opening in OPENINGS if opening)


class Teacher:
    """Reads each text once, without the polite words in front of it."""

    def __init__(self, encoder: Encoder, scale: float = 16.0, share: float = 0.5) -> None:
        """scale: by which its cosines are multiplied, as when it was trained. share: of the loss, that it decides."""
        self.encoder, self.scale, self.share = encoder, scale, share
        self._read: dict[str, Tensor] = {}

    def loss(self, scores: Tensor, right: Tensor, asked: Sequence[str], stated: Sequence[str]) -> Tensor:
        """Cross-entropy of a pupil's scores (n, s) with the right statements (n,), and with what the teacher expects."""
        expected = torch.softmax(self.scale * self._vectors(asked) @ self._vectors(stated).T, dim=-1)
        truth = nn.functional.cross_entropy(scores, right)
        return (1 - self.share) * truth + self.share * nn.functional.cross_entropy(scores, expected.to(scores))

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        plain = [_without_opening(text) for text in texts]
        fresh = [text for text in dict.fromkeys(plain) if text not in self._read]
        if fresh:
            self._read.update(zip(fresh, torch.from_numpy(self.encoder.encode(fresh)), strict=True))
        return torch.stack([self._read[text] for text in plain])


def _without_opening(text: str) -> str:
    opening = next((opening for opening in _OPENINGS if text.startswith(opening)), "")
    return text[len(opening) :]
