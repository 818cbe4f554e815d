"""Practice for reading questions: synthetic facts, questions about them, and their embeddings.

Shapes: M facts, n questions, D embedding width.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kblam.knowledge import Encoder, Triple
from kblam.synthesis.asking import ask_by_alias
from kblam.synthesis.making import with_aliases
from kblam.synthesis.questions import Question, ask_about

__all__ = ["Exam", "Practice", "make_exam", "make_practice"]


@dataclass(frozen=True, eq=False)
class Practice:
    """Facts and one question about each, embedded."""

    facts: tuple[Triple, ...]
    questions: tuple[Question, ...]
    keys: Tensor
    """(M, D)."""
    values: Tensor
    """(M, D)."""
    asked: Tensor
    """(M, D)."""

    def save(self, path: Path) -> None:
        """Write facts, questions and embeddings to one file that `load` reads."""
        facts = [[fact.entity, fact.property, fact.value] for fact in self.facts]
        questions = [[question.text, question.answer, question.kind] for question in self.questions]
        torch.save(
            {"facts": facts, "questions": questions, "keys": self.keys, "values": self.values, "asked": self.asked},
            path,
        )

    @classmethod
    def load(cls, path: Path) -> Practice:
        """Read what `save` wrote."""
        saved = torch.load(path, weights_only=True)
        facts = tuple(Triple(*fact) for fact in saved["facts"])
        questions = tuple(
            Question(text, answer, (fact.identity,), kind)
            for (text, answer, kind), fact in zip(saved["questions"], facts, strict=True)
        )
        return cls(facts, questions, saved["keys"], saved["values"], saved["asked"])

    def by_entity(self) -> list[list[int]]:
        """The facts of each entity."""
        groups: dict[str, list[int]] = {}
        for row, fact in enumerate(self.facts):
            groups.setdefault(fact.entity, []).append(row)
        return list(groups.values())


def make_practice(
    facts: Sequence[Triple], encoder: Encoder, seed: int, paraphrase: float = 0.8, progress: bool = True
) -> Practice:
    """Ask about every fact once and embed everything."""
    draw = random.Random(seed)
    questions = tuple(ask_about(fact, draw, paraphrase=paraphrase, typo=0.02) for fact in facts)
    texts = (
        [fact.key_text for fact in facts],
        [fact.value_text for fact in facts],
        [question.text for question in questions],
    )
    keys, values, asked = (torch.from_numpy(encoder.encode(text, progress)) for text in texts)
    return Practice(tuple(facts), questions, keys, values, asked)


@dataclass(frozen=True, eq=False)
class Exam:
    """A knowledge base, and questions of which half cannot be answered from it."""

    facts: tuple[Triple, ...]
    questions: tuple[Question, ...]
    """The answerable ones first."""
    answerable: tuple[bool, ...]
    weight: float = 1.0
    """How much a question counts beside those of other exams."""


def make_exam(
    facts: Sequence[Triple], seed: int, count: int, missing_entities: float = 0.14, missing_facts: float = 0.12
) -> Exam:
    """Leave out some entities and some facts of others, and ask `count` questions about each side."""
    draw = random.Random(seed)
    facts = with_aliases(facts, 0.15, draw)
    entities = sorted({fact.entity for fact in facts})
    gone = set(draw.sample(entities, round(missing_entities * len(entities))))
    kept: list[Triple] = []
    absent: list[Triple] = []
    for fact in facts:
        (absent if fact.entity in gone or draw.random() < missing_facts else kept).append(fact)
    yes, no = draw.sample(kept, min(count, len(kept))), draw.sample(absent, min(count, len(absent)))
    questions = tuple(
        (ask_by_alias(fact, draw) if draw.random() < 0.5 else None) or ask_about(fact, draw, paraphrase=0.5, typo=0.1)
        for fact in (*yes, *no)
    )
    return Exam(tuple(kept), questions, (True,) * len(yes) + (False,) * len(no))
