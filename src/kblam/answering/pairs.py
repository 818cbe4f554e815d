"""Questions and rows read together by a cross-encoder: what facts say without names, or whole facts.

Shapes: n pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kblam.answering.gloss import in_english
from kblam.answering.kept import Kept
from kblam.knowledge import Triple
from kblam.knowledge.cross_encoder import CrossEncoder

__all__ = ["MOST_PAIRED", "Pairs", "pairs_of"]

MOST_PAIRED = 8
"""Rows of one question that are read together with it: those that fit best by what is known before."""


class Pairs:
    """Logits of pairs, made when first needed and kept: choosing a row and being sure of it ask for the same ones."""

    def __init__(
        self, logits: Callable[[Sequence[str], Sequence[str]], Tensor], text_of: Callable[[Triple], str]
    ) -> None:
        """text_of: what a fact says."""

        def make(pairs: list[tuple[str, str]]) -> list[float]:
            asked, stated = ([in_english(text) for text in side] for side in zip(*pairs, strict=True))
            found: list[float] = logits(asked, stated).tolist()
            return found

        self._logits: Kept[tuple[str, str], float] = Kept(make)
        self._text_of = text_of

    def logits(self, questions: Sequence[str], facts: Sequence[Triple]) -> Tensor:
        """(n,): how well each fact answers the question at its place, Chinese and Japanese ones in English; 0 is as well as
        none would."""
        texts = [self._text_of(fact) for fact in facts]
        return torch.tensor(self._logits.get(list(zip(questions, texts, strict=True))))

    def among(
        self,
        questions: Sequence[str],
        facts: Sequence[Sequence[Triple]],
        scores: Sequence[Tensor],
        more: Sequence[int] | None = None,
    ) -> list[Tensor]:
        """Logits of each question with its facts that are best by these scores, (facts,) each; the others' are those of
        the worst of them.

        more: how many of each question are read beside the usual MOST_PAIRED.
        """
        most = [MOST_PAIRED + beside for beside in more or [0] * len(scores)]
        best = [score.topk(min(count, len(score))).indices for count, score in zip(most, scores, strict=True)]
        chosen = [[some[at] for at in places.tolist()] for some, places in zip(facts, best, strict=True)]
        asked = [question for question, some in zip(questions, chosen, strict=True) for _ in some]
        together = self.logits(asked, [fact for some in chosen for fact in some]) if asked else torch.empty(0)
        found = []
        for score, places, logits in zip(
            scores, best, torch.split(together, [len(places) for places in best]), strict=True
        ):
            logits = logits.to(score)
            worst = float(logits.min()) if len(logits) else 0.0
            found.append(torch.full_like(score, worst).scatter(0, places, logits))
        return found


def pairs_of(cross: CrossEncoder | None, text_of: Callable[[Triple], str]) -> Pairs | None:
    """What a cross-encoder makes of pairs; None without one."""
    return None if cross is None else Pairs(cross.logits, text_of)
