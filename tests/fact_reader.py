"""A reader whose fact encoder is a function of the test's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from kblam import KnowledgeBase, Triple
from kblam.answering.pairs import Pairs
from kblam.answering.reader import Reader
from kblam.answering.statements import fact_text
from kblam.knowledge import load_encoder
from kblam.knowledge.encoders import DEFAULT_ENCODER
from kblam.models.adapter import Adapter
from kblam.models.shipped import shipped_adapter


def reader_of(
    facts: Sequence[Triple], logit: Callable[[str, str], float], adapter: Adapter | None = None
) -> tuple[Reader, list[tuple[str, str]]]:
    """A reader of these facts whose fact encoder gives these logits, and the pairs of question and fact that it reads."""
    read: list[tuple[str, str]] = []

    def logits(asked: Sequence[str], stated: Sequence[str]) -> torch.Tensor:
        read.extend(zip(asked, stated, strict=True))
        return torch.tensor([logit(*pair) for pair in zip(asked, stated, strict=True)])

    encoder = load_encoder(DEFAULT_ENCODER)
    reader = Reader(adapter or shipped_adapter(), KnowledgeBase.from_triples(facts, encoder).snapshot(), encoder)
    reader.fact_pairs = Pairs(logits, fact_text)
    return reader, read
