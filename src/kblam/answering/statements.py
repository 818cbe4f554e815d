"""What facts say without the names of the things that have them, read by the encoder that reads questions.

Shapes: n questions or facts, P properties, D embedding width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kblam.answering.kept import Kept
from kblam.knowledge import Triple
from kblam.naming.lookup import folded

__all__ = ["Statements", "fact_text", "path", "statement", "statement_of"]

LONGEST_VALUE = 160
"""Characters of a value that are read to tell what kind of value it is."""
LONGEST_WHOLE = 400
"""Characters of a value that are read where it is read whole: a few sentences of a description."""
MOST_PROPERTIES = 256
"""So many of the commonest properties are weighed against a row's own."""
SILENT = 0.5
"""The lead of a property that has no others beside it: about where it speaks neither for nor against an answer."""


def statement(name: str, value: str = "") -> str:
    """What a fact says without the name of the thing: the property, and the beginning of its value if given."""
    return f"the {name} of it is {value[:LONGEST_VALUE]}" if value else f"the {name} of it"


def statement_of(triple: Triple) -> str:
    """The same of a fact."""
    return statement(triple.property, triple.value)


def fact_text(triple: Triple) -> str:
    """What a fact says, with the name."""
    return f"the {triple.property} of {triple.entity} is {triple.value[:LONGEST_WHOLE]}"


def path(first: Triple, second: Triple) -> Triple:
    """Two facts as one. Where the value of the first is the thing of the second, it reads as `the extension of the lead of Kestrel,
    Tom Baker, is 2207`; where both are of one thing, as `the deadline of Kestrel, the lead of which is Tom Baker, is May`."""
    if folded(first.entity) in map(folded, (second.entity, *second.aliases)):
        thing = f"{first.entity}, the {first.property} of which is {first.value[:LONGEST_VALUE]},"
    else:
        thing = f"the {first.property} of {first.entity}, {second.entity},"
    return Triple(thing, second.property, second.value)


class Statements:
    """Embeddings of statements, made when first needed and kept."""

    def __init__(self, encode: Callable[[Sequence[str]], Tensor]) -> None:
        self._vectors: Kept[str, Tensor] = Kept(lambda texts: torch.nn.functional.normalize(encode(texts), dim=-1))

    def embed(self, texts: Sequence[str]) -> Tensor:
        """(n, D) of length one."""
        return torch.stack(self._vectors.get(texts))

    def lead(self, directions: Tensor, own: Sequence[str], counts: Counter[str]) -> Tensor:
        """How much better each question fits its row's own property than the best other one there is, (n,).

        directions: the questions without names, (n, D). A question about something that the knowledge says of other
        things, but not of this one, fits another property better.
        """
        names = [name for name, _ in counts.most_common(MOST_PROPERTIES)]
        if not names:
            return directions.new_full((len(own),), SILENT)
        others = directions @ self.embed([statement(name) for name in names]).to(directions).T
        mine = (directions * self.embed([statement(name) for name in own]).to(directions)).sum(-1)
        places = {name: at for at, name in enumerate(names)}
        for row, name in enumerate(own):
            if name in places:
                others[row, places[name]] = -torch.inf
        best = others.max(-1).values
        return torch.where(best == -torch.inf, SILENT, mine - best)
