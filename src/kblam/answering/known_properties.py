"""The properties of a knowledge base by themselves, without the things that have them.

Shapes: n questions, P properties, D embedding width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["KnownProperties"]

MOST_PROPERTIES = 256
"""So many of the commonest properties are weighed against a row's own."""
SILENT = 0.5
"""The lead of a property that has no others beside it: about where it speaks neither for nor against an answer."""


class KnownProperties:
    """Embeddings of `the PROPERTY of it`, made when first needed and kept."""

    def __init__(self, encode: Callable[[Sequence[str]], Tensor]) -> None:
        self._encode = encode
        self._vectors: dict[str, Tensor] = {}

    def embed(self, names: Sequence[str]) -> Tensor:
        """(n, D)."""
        fresh = list(dict.fromkeys(name for name in names if name not in self._vectors))
        if fresh:
            self._vectors.update(zip(fresh, self._encode([f"the {name} of it" for name in fresh]), strict=True))
        return torch.stack([self._vectors[name] for name in names])

    def lead(self, directions: Tensor, own: Sequence[str], counts: Counter[str]) -> Tensor:
        """How much better each question fits its row's own property than the best other one there is, (n,).

        directions: what the masked questions compare keys with, (n, D). A question about something that the knowledge
        says of other things, but not of this one, fits another property better.
        """
        names = [name for name, _ in counts.most_common(MOST_PROPERTIES)]
        if not names:
            return directions.new_full((len(own),), SILENT)
        unit = torch.nn.functional.normalize
        others = directions @ unit(self.embed(names).to(directions), dim=-1).T
        mine = (directions * unit(self.embed(own).to(directions), dim=-1)).sum(-1)
        places = {name: at for at, name in enumerate(names)}
        for row, name in enumerate(own):
            if name in places:
                others[row, places[name]] = -torch.inf
        best = others.max(-1).values
        return torch.where(best == -torch.inf, SILENT, mine - best)
