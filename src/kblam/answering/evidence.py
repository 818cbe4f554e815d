"""What a question says about the rows before the model reads it: its embedding, the names in it, and whether the best
row answers it.

Shapes: n questions, M knowledge rows, D embedding width, E width of what compares meanings (D if one encoder does both).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from kblam.answering.clauses import about_all, clauses
from kblam.answering.gloss import in_english
from kblam.answering.names import Mention, Names, asked_property
from kblam.answering.near_names import near_mention
from kblam.answering.pairs import Pairs
from kblam.answering.partial_names import partial_mention
from kblam.answering.scattered_names import longer_mention
from kblam.answering.statements import Statements, statement
from kblam.answering.vectors import Scan, read_rows, reread_rows
from kblam.attention.latent import Latents
from kblam.attention.topk import gather, gather_rows, select
from kblam.knowledge import Encoder, KnowledgeBase, Snapshot
from kblam.models.active import RESCORED
from kblam.models.adapter import Adapter

__all__ = ["Reader", "Reading", "follow"]


RESEMBLING = 32
"""Rows among whose names a misspelt one is looked for."""
MOST_STATED = 64
"""Rows of one question that are read without their names."""
MOST_PAIRED = 8
"""Rows of one question that are read together with it: those that fit best by vectors."""
LONELY = 0.3
"""Masked lead of the only row of an entity, as a cosine: about that of a right row."""
CERTAIN = 0.95
"""Least confidence in a row whose entity and property the question names."""


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
    mentions: tuple[tuple[Mention, ...], ...]
    """The names in each question."""
    bonuses: tuple[tuple[Tensor, Tensor], ...]
    """For each question the rows whose entity it names, (r,), and what that adds to their scores, (r,)."""
    count: int
    """M."""

    @property
    def named(self) -> Tensor:
        """What the names in the questions add to the scores, (n, M)."""
        named = torch.zeros(len(self.texts), self.count, device=self.embedding.device)
        for scores, (rows, bonus) in zip(named, self.bonuses, strict=True):
            scores[rows] = bonus
        return named


class Reader:
    """Reads questions against one version of a knowledge base."""

    def __init__(self, adapter: Adapter, snapshot: Snapshot, encoder: Encoder, scan: Scan = "exact") -> None:
        self.adapter = adapter
        self.snapshot = snapshot
        self.encoder = encoder
        self.question_encoder = adapter.question_encoder(encoder)
        self.meaning_encoder = adapter.meaning_encoder(encoder)
        self.names = Names(snapshot.triples)
        self._statements = Statements(self._encode_nameless)
        cross = adapter.cross_encoder()
        self._pairs = None if cross is None else Pairs(cross.logits)
        self.latents: Latents = read_rows(adapter, snapshot, scan)

    def following(self, snapshot: Snapshot, touched: Collection[int]) -> Reader:
        """A reader of another version that may differ from this one in the touched rows, made from this one."""
        reader = copy(self)
        reader.snapshot = snapshot
        reader.names = self.names.changed(snapshot.triples, touched)
        reader.latents = reread_rows(self.adapter, self.latents, snapshot, touched)
        return reader

    def encode(self, texts: Sequence[str], encoder: Encoder | None = None) -> Tensor:
        """(n, D), by the knowledge's encoder if no other is given."""
        vectors = (encoder or self.encoder).encode(list(texts))
        return torch.from_numpy(vectors).to(self.adapter.key_weight.device)

    def _encode_nameless(self, texts: Sequence[str]) -> Tensor:
        """(n, E): questions and statements without names, in the encoder's language."""
        if self.adapter.config.english_encoder:
            texts = [in_english(text) for text in texts]
        return self.encode(texts, self.meaning_encoder)

    def clauses(self, question: str) -> list[str]:
        """The questions inside a question: one for each fact that it asks for."""
        mentions = self._mentions(question)
        everything = about_all(question, mentions, lambda row: self.snapshot.triples[row].property)
        return everything or clauses(question, mentions)

    @torch.no_grad()
    def read(self, questions: Sequence[str]) -> Reading:
        """Embed the questions and find the names in them."""
        embedding = self.encode(questions, self.question_encoder)
        mentions = [tuple(self._mentions(question)) for question in questions]
        unnamed = [index for index, found in enumerate(mentions) if not found]
        for index, found in zip(unnamed, self._near(questions, embedding, unnamed), strict=True):
            mentions[index] = found or self._partial(questions[index])
        nameless = tuple(_masked(question, found) for question, found in zip(questions, mentions, strict=True))
        masked = torch.nn.functional.normalize(self._encode_nameless(nameless), dim=-1)
        named = [sorted({row for each in found for row in each.rows}) for found in mentions]
        named = [self._likely_first(question, rows) for question, rows in zip(embedding, named, strict=True)]
        bonuses = self._bonuses(questions, nameless, named, masked)
        return Reading(tuple(questions), embedding, masked, nameless, tuple(mentions), bonuses, len(self.latents))

    def _mentions(self, question: str) -> list[Mention]:
        """The names that a question holds, the words of some of them apart."""
        return [longer_mention(question, mention, self.names) for mention in self.names.mentions(question)]

    def _near(self, questions: Sequence[str], embedding: Tensor, which: Sequence[int]) -> list[tuple[Mention, ...]]:
        """The misspelt name in each of these questions, if the rows that it resembles most have such a name."""
        if not which or not self.snapshot.has_texts or len(self.latents) == 0:
            return [()] * len(which)
        scores = self._similarity(embedding[list(which)])
        found: list[tuple[Mention, ...]] = []
        for index, rows in zip(which, select(scores, RESEMBLING).tolist(), strict=True):
            mention = near_mention(questions[index], rows, self.names)
            found.append(() if mention is None else (mention,))
        return found

    def _partial(self, question: str) -> tuple[Mention, ...]:
        """The name of which the question says a part."""
        mention = partial_mention(question, self.names) if self.snapshot.has_texts else None
        return () if mention is None else (mention,)

    def _likely_first(self, question: Tensor, rows: list[int]) -> list[int]:
        """The rows, those that the question (D,) resembles most first if they are too many for all to be read."""
        if len(rows) <= MOST_STATED:
            return rows
        return [rows[at] for at in self._prior(question, rows).argsort(descending=True).tolist()]

    def _bonuses(
        self, questions: Sequence[str], nameless: Sequence[str], named: Sequence[Sequence[int]], masked: Tensor
    ) -> tuple[tuple[Tensor, Tensor], ...]:
        """For each question the rows named and what is added to their scores; masked (n, E)."""
        bonus = self.adapter.name_bonus
        if bonus is None:
            return tuple((torch.empty(0, dtype=torch.long, device=masked.device), masked.new_empty(0)) for _ in named)
        found = []
        for question, rows, alone in zip(questions, named, self._stated_scores(masked, named), strict=True):
            hits = masked.new_tensor([float(self.names.named_property(question, row)) for row in rows])
            found.append(bonus[0] + bonus[1] * hits + bonus[2] * alone)
        if self._pairs is not None:
            together = self._paired_logits(nameless, named, found)
            found = [scores + bonus[3] * logits for scores, logits in zip(found, together, strict=True)]
        return tuple(
            (torch.tensor(rows, dtype=torch.long, device=masked.device), scores)
            for rows, scores in zip(named, found, strict=True)
        )

    def _paired_logits(
        self, nameless: Sequence[str], rows: Sequence[Sequence[int]], scores: Sequence[Tensor]
    ) -> list[Tensor]:
        """The cross-encoder's logits of each question with the best of its rows by these scores, (rows,) each; the others'
        are those of the worst of them."""
        assert self._pairs is not None
        best = [score.topk(min(MOST_PAIRED, len(score))).indices for score in scores]
        triples = [
            [self.snapshot.triples[some[at]] for at in places.tolist()] for some, places in zip(rows, best, strict=True)
        ]
        asked = [question for question, some in zip(nameless, triples, strict=True) for _ in some]
        stated = [statement(triple.property, triple.value) for some in triples for triple in some]
        together = self._pairs.logits(asked, stated) if asked else torch.empty(0)
        found = []
        for score, places, logits in zip(
            scores, best, torch.split(together, [len(places) for places in best]), strict=True
        ):
            logits = logits.to(score)
            worst = logits.min() if len(logits) else 0.0
            found.append(torch.full_like(score, float(worst)).scatter(0, places, logits))
        return found

    def _stated_scores(self, masked: Tensor, named: Sequence[Sequence[int]]) -> list[Tensor]:
        """How well each question without its names (n, E) fits what the rows it names say without theirs, (rows,) each.

        Beyond `MOST_STATED` rows of one question, the others fit as badly as the worst.
        """
        read = [list(rows[:MOST_STATED]) for rows in named]
        triples = [self.snapshot.triples[row] for rows in read for row in rows]
        if not triples:
            return [masked.new_empty(0) for _ in named]
        stated = self._statements.embed([statement(triple.property, triple.value) for triple in triples])
        assert self.adapter.beta_key is not None
        scale, scores = self.adapter.beta_key[0], []
        for question, rows, vectors in zip(
            masked, named, torch.split(stated, [len(rows) for rows in read]), strict=True
        ):
            found = scale * (vectors @ question)
            rest = len(rows) - len(found)
            scores.append(torch.cat([found, found.min().expand(rest)]) if rest else found)
        return scores

    def _prior(self, question: Tensor, rows: Sequence[int]) -> Tensor:
        """Prior scores of one question (D,) with some rows, (len(rows),)."""
        chosen = gather(self.latents, torch.tensor([list(rows)], device=question.device))
        return self.adapter.prior_scores(question[None], chosen)[0]

    def _similarity(self, questions: Tensor, named: Tensor | None = None) -> Tensor:
        """Prior scores of questions (n, D) and what names add, (n, M); -inf for rows that an index does not propose."""
        adapter, index = self.adapter, self.latents.index
        if index is None:
            scores = adapter.prior_scores(questions, self.latents)
            return scores if named is None else scores + named
        best = index.propose(*adapter.weigh(*adapter.read_question(questions)), named, len(self.latents))
        scores = adapter.prior_scores(questions, gather(self.latents, best))
        scores = scores if named is None else scores + gather_rows(named, best)
        return scores.new_full((len(questions), len(self.latents)), -torch.inf).scatter(1, best, scores)

    def said_plainly(self, reading: Reading, rows: Sequence[int]) -> list[str]:
        """The questions with the stored name of each one's row in place of another name for it, or a misspelt one."""
        texts = []
        for text, mentions, row in zip(reading.texts, reading.mentions, rows, strict=True):
            entity = self.snapshot.triples[row].entity
            mention = next((found for found in mentions if row in found.rows), None)
            if mention is not None and text[mention.start : mention.end].casefold() != entity.casefold():
                text = f"{text[: mention.start]}{entity}{text[mention.end :]}"
            texts.append(text)
        return texts

    @torch.no_grad()
    def scores(self, reading: Reading) -> Tensor:
        """Scores by the question alone, (n, M): how rows are chosen where no adapter was trained."""
        scores = self._similarity(reading.embedding, reading.named)
        if self.latents.coarse is None:
            return scores
        best = select(scores, RESCORED)
        exact = self.adapter.prior_scores(reading.embedding, gather(self.latents, best))
        return scores.scatter(1, best, exact + gather_rows(reading.named, best))

    @torch.no_grad()
    def evidence(self, reading: Reading, rows: Sequence[int]) -> Tensor:
        """The features of `Adapter.evidence` for one row per question, (n, features)."""
        assert self.adapter.beta_key is not None
        triples = [self.snapshot.triples[row] for row in rows]
        families = [[row, *(other for other in self.names.siblings(row) if other != row)] for row in rows]
        scale = self.adapter.beta_key[0]
        leads = self._statements.lead(
            scale * reading.masked, [triple.property for triple in triples], self.names.properties
        )
        features = torch.empty(len(rows), len(self.adapter.evidence), device=reading.masked.device)
        stated_scores = self._stated_scores(reading.masked, families)
        together = self._paired_evidence(reading, families, stated_scores)
        for index, stated in enumerate(stated_scores):
            score, *others = self._prior(reading.embedding[index], families[index]).unbind()
            none = score.new_zeros(())
            features[index] = torch.stack(
                [
                    score,
                    *score.new_tensor(self._flags(reading.texts[index], reading.mentions[index], rows[index])),
                    score - torch.stack(others).mean() if others else none,
                    stated[0] / scale,
                    stated[0] - stated[1:].max() if others else scale * LONELY,
                    leads[index],
                    *together[index],
                ]
            )
        return features

    def _paired_evidence(
        self, reading: Reading, families: Sequence[Sequence[int]], stated: Sequence[Tensor]
    ) -> list[Tensor]:
        """Of the first row of each family its logit with the question, and how far it leads over the others or over none,
        (2,); (0,) without a cross-encoder."""
        if self._pairs is None:
            return [reading.masked.new_empty(0)] * len(families)
        # The row itself is read in any case, whatever its vectors say.
        first = [torch.cat([scores[:1] + torch.inf, scores[1:]]) for scores in stated]
        logits = self._paired_logits(reading.nameless, families, first)
        return [torch.stack([own[0], own[0] - (own[1:].max() if len(own) > 1 else 0.0)]) for own in logits]

    @torch.no_grad()
    def confidence(self, reading: Reading, rows: Sequence[int]) -> Tensor:
        """Calibrated probability that the given row answers each question, (n,)."""
        adapter = self.adapter
        if adapter.refusal_weight is None or adapter.refusal_bias is None:
            return torch.ones(len(rows))
        evidence = self.evidence(reading, rows)
        chance = torch.sigmoid(evidence @ adapter.refusal_weight + adapter.refusal_bias)
        # A question that names both the entity and the property asks for that very row, in whatever language.
        named = (
            evidence[:, adapter.evidence.index("entity named")] * evidence[:, adapter.evidence.index("property named")]
        )
        return torch.maximum(chance, CERTAIN * named).cpu()

    def _flags(self, question: str, mentions: Sequence[Mention], row: int) -> tuple[float, float, float, float]:
        """How well the question names the row's entity; whether it names its property, another one, or one that other
        things have here."""
        mention = next((found for found in mentions if row in found.rows), None)
        named = self.names.named_property(question, row)
        asked = None if mention is None else asked_property(question, mention)
        another = asked is not None and not self.names.is_property(asked, row)
        elsewhere = not named and self.names.names_a_property(_masked(question, mentions))
        return (
            0.0 if mention is None else mention.similarity,
            float(named and not another),
            float(another),
            float(elsewhere),
        )


def follow(reader: Reader, knowledge: KnowledgeBase) -> Reader | None:
    """The reader of a knowledge base's present version, from that of an earlier one; None when it must be made anew."""
    while True:
        snapshot = knowledge.snapshot()
        if snapshot is reader.snapshot:
            return reader
        touched = knowledge.changes_since(reader.snapshot.version)
        if touched is None:
            return None
        if knowledge.snapshot() is snapshot:  # else the rows touched are those of a later version
            return reader.following(snapshot, touched)


def _masked(question: str, mentions: Sequence[Mention]) -> str:
    for mention in reversed(mentions):
        question = f"{question[: mention.start]}it{question[mention.end :]}"
    return question
