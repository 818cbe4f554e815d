"""Questions as the knowledge sees them.

Shapes: n questions, M knowledge rows, D embedding width, E width of what compares meanings (D if one encoder does both).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kblam.naming.mention import Mention

__all__ = ["Reading", "masked", "renamed"]


@dataclass(frozen=True, eq=False)
class Reading:
    """Questions as the knowledge sees them."""

    texts: tuple[str, ...]
    embedding: Tensor
    """(n, D)."""
    masked: Tensor
    """(n, E) of length one: `nameless`, embedded."""
    nameless: tuple[str, ...]
    """The questions with `it` in place of the names in them."""
    plain: tuple[str, ...]
    """The questions with the stored name of a thing in place of another name for it, or of a misspelt one, and without `the name of`."""
    mentions: tuple[tuple[Mention, ...], ...]
    """The names in each question."""
    said: tuple[tuple[Mention, ...], ...]
    """The values in each question that asks, or may ask, for the thing that has them."""
    via: tuple[Mapping[int, int], ...]
    """For each question the rows that are best read in two steps, and the row of the first: `the extension of the lead of Kestrel` is
    read as a row about Tom Baker, by way of the one which says that he leads it."""
    bonuses: tuple[tuple[Tensor, Tensor], ...]
    """For each question the rows that may answer it, best first, (r,), and what that adds to their scores, (r,): those whose entity it
    names, or that it resembles if it names none, and those beside them (see `beside`)."""
    count: int
    """M."""

    def mention_of(self, question: int, row: int) -> Mention | None:
        """Where a question names the thing of a row."""
        return next((mention for mention in self.mentions[question] if row in mention.rows), None)

    def says_value(self, question: int, row: int) -> bool:
        """Whether a question says the value of a row, or an item of it."""
        return any(row in value.rows for value in self.said[question])

    @property
    def named(self) -> Tensor:
        """What the bonuses add to the scores, (n, M)."""
        named = torch.zeros(len(self.texts), self.count, device=self.embedding.device)
        for scores, (rows, bonus) in zip(named, self.bonuses, strict=True):
            scores[rows] = bonus
        return named


def masked(question: str, mentions: Sequence[Mention]) -> str:
    """The question with `it` in place of the names in it."""
    for mention in reversed(mentions):
        question = f"{question[: mention.start]}it{question[mention.end :]}"
    return question


def renamed(question: str, mention: Mention, name: str) -> str:
    """The question with a name in place of what is mentioned, unless it is the same."""
    if question[mention.start : mention.end].casefold() == name.casefold():
        return question
    return f"{question[: mention.start]}{name}{question[mention.end :]}"
