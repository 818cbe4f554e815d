"""What a question says about the rows before the model reads it: its embedding, the names in it, and whether the best
row answers it.

Shapes: n questions, M knowledge rows, D embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kblam.answering.names import Mention, Names, asked_property
from kblam.attention.latent import Latents
from kblam.knowledge import Encoder, Snapshot
from kblam.models.adapter import EVIDENCE, Adapter

__all__ = ["Reader", "Reading"]


CERTAIN = 0.95
"""Least confidence in a row whose entity and property the question names."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Questions as the knowledge sees them."""

    texts: tuple[str, ...]
    embedding: Tensor
    """(n, D)."""
    masked: Tensor
    """(n, D): the questions with `it` in place of the names in them."""
    named: Tensor
    """What the names in the questions add to the scores, (n, M)."""


class Reader:
    """Reads questions against one version of a knowledge base."""

    def __init__(self, adapter: Adapter, snapshot: Snapshot, encoder: Encoder) -> None:
        self.adapter = adapter
        self.snapshot = snapshot
        self.encoder = encoder
        self.question_encoder = adapter.question_encoder(encoder)
        self.names = Names(snapshot.triples)
        self._properties: dict[str, Tensor] = {}
        """Embeddings of `the PROPERTY of it`, made when first needed."""
        device = adapter.key_weight.device
        with torch.no_grad():
            keys, values = (
                torch.from_numpy(array.astype("float32")).to(device) for array in (snapshot.keys, snapshot.values)
            )
            self.latents: Latents = adapter.latents(keys, values)

    def encode(self, texts: Sequence[str], encoder: Encoder | None = None) -> Tensor:
        """(n, D), by the knowledge's encoder if no other is given."""
        vectors = (encoder or self.encoder).encode(list(texts))
        return torch.from_numpy(vectors).to(self.adapter.key_weight.device)

    @torch.no_grad()
    def read(self, questions: Sequence[str]) -> Reading:
        """Embed the questions and find the names in them."""
        mentions = [self.names.mentions(question) for question in questions]
        masked = [_masked(question, found) for question, found in zip(questions, mentions, strict=True)]
        embeddings = self.encode([*questions, *masked], self.question_encoder)
        named = torch.zeros(len(questions), len(self.snapshot.triples), device=embeddings.device)
        bonus = self.adapter.name_bonus
        for index, (question, found) in enumerate(zip(questions, mentions, strict=True)):
            rows = sorted({row for mention in found for row in mention.rows})
            if rows and bonus is not None:
                hits = named.new_tensor([float(self.names.named_property(question, row)) for row in rows])
                alone = self._masked_scores(embeddings[len(questions) + index, None], rows)[0]
                named[index, rows] = bonus[0] + bonus[1] * hits + bonus[2] * alone
        return Reading(tuple(questions), embeddings[: len(questions)], embeddings[len(questions) :], named)

    def _masked_scores(self, masked: Tensor, rows: Sequence[int]) -> Tensor:
        """Prior scores of masked questions (n, D) with rows whose entity is masked too, (n, len(rows))."""
        return self.adapter.prior_scores(masked, self._alone(rows))

    def _alone(self, rows: Sequence[int]) -> Latents:
        names = [self.snapshot.triples[row].property for row in rows]
        fresh = list(dict.fromkeys(name for name in names if name not in self._properties))
        if fresh:
            self._properties.update(zip(fresh, self.encode([f"the {name} of it" for name in fresh]), strict=True))
        return self.adapter.latents(
            torch.stack([self._properties[name] for name in names]), self.latents.values[list(rows)]
        )

    @torch.no_grad()
    def scores(self, reading: Reading) -> Tensor:
        """Scores by the question alone, (n, M): how rows are chosen where no adapter was trained."""
        return self.adapter.prior_scores(reading.embedding, self.latents) + reading.named

    @torch.no_grad()
    def evidence(self, reading: Reading, rows: Sequence[int]) -> Tensor:
        """The features of `EVIDENCE` for one row per question, (n, len(EVIDENCE))."""
        prior = self.adapter.prior_scores(reading.embedding, self.latents)
        alone = self._alone(rows)
        masked_scores = self.adapter.prior_scores(reading.masked, alone).diagonal()
        cosines = torch.nn.functional.cosine_similarity(reading.masked, alone.keys)
        features = torch.empty(len(rows), len(EVIDENCE), device=prior.device)
        for index, (text, row) in enumerate(zip(reading.texts, rows, strict=True)):
            score = prior[index, row]
            siblings = [other for other in self.names.siblings(row) if other != row]
            lead = score - prior[index, siblings].mean() if siblings else score.new_zeros(())
            flags = score.new_tensor(self._flags(text, row))
            features[index] = torch.stack([score, *flags, lead, masked_scores[index], cosines[index]])
        return features

    @torch.no_grad()
    def confidence(self, reading: Reading, rows: Sequence[int]) -> Tensor:
        """Calibrated probability that the given row answers each question, (n,)."""
        adapter = self.adapter
        if adapter.refusal_weight is None or adapter.refusal_bias is None:
            return torch.ones(len(rows))
        evidence = self.evidence(reading, rows)
        chance = torch.sigmoid(evidence @ adapter.refusal_weight + adapter.refusal_bias)
        # A question that names both the entity and the property asks for that very row, in whatever language.
        named = evidence[:, EVIDENCE.index("entity named")] * evidence[:, EVIDENCE.index("property named")]
        return torch.maximum(chance, CERTAIN * named).cpu()

    def _flags(self, question: str, row: int) -> tuple[float, float, float]:
        """Whether the question names the row's entity, its property, another property."""
        mention = next((found for found in self.names.mentions(question) if row in found.rows), None)
        named = self.names.named_property(question, row)
        asked = None if mention is None else asked_property(question, mention)
        another = asked is not None and not self.names.is_property(asked, row)
        return float(mention is not None), float(named and not another), float(another)


def _masked(question: str, mentions: Sequence[Mention]) -> str:
    for mention in reversed(mentions):
        question = f"{question[: mention.start]}it{question[mention.end :]}"
    return question
