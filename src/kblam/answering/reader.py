"""What a question says about the rows before the model reads it: its embedding, the names in it, and how well it fits what
the likeliest rows say.

Shapes: n questions, M knowledge rows, D embedding width, E width of what compares meanings (D if one encoder does both).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import zip_longest

import torch
from torch import Tensor

from kblam.answering.beside import MOST_INVERSE, Beside, best_of_each, inverse_rows, paths, values_asked
from kblam.answering.clauses import about_all, clauses
from kblam.answering.gloss import in_english
from kblam.answering.pairs import MOST_PAIRED, pairs_of
from kblam.answering.reading import Reading, masked, renamed
from kblam.answering.statements import Statements, fact_text, path, statement_of
from kblam.answering.vectors import Scan, read_rows, reread_rows
from kblam.attention.latent import Latents
from kblam.attention.retrieval import value_similarities
from kblam.attention.topk import gather, gather_rows, select
from kblam.knowledge import Encoder, KnowledgeBase, Snapshot, Triple
from kblam.models.active import RESCORED
from kblam.models.adapter import Adapter
from kblam.naming.names import Mention, Names
from kblam.naming.near_names import near_mention
from kblam.naming.partial_names import partial_mention
from kblam.naming.scattered_names import longer_mention
from kblam.naming.unspaced_parts import unspaced_part
from kblam.naming.values import Values

__all__ = ["Reader", "by_turns", "follow"]

SPACES = re.compile(r"\s{2,}")
NAME_OF = re.compile(r"\bthe names? of (?=the\b.* of )", re.IGNORECASE)
"""Asks for nothing more than what follows: the name of the lead of Kestrel."""
RESEMBLING = 32
"""Rows among whose names a misspelt one is looked for."""
UNNAMED = 2.0
"""How much more the whole fact counts where no name has chosen the rows before: then the prior says little of them."""
MOST_STATED = 64
"""Rows of one question that are read without their names."""


class Reader:
    """Reads questions against one version of a knowledge base."""

    def __init__(self, adapter: Adapter, snapshot: Snapshot, encoder: Encoder, scan: Scan = "exact") -> None:
        self.adapter = adapter
        self.snapshot = snapshot
        self.encoder = encoder
        self.question_encoder = adapter.question_encoder(encoder)
        self.meaning_encoder = adapter.meaning_encoder(encoder)
        self.names = Names(snapshot.triples)
        self.statements = Statements(self._encode_nameless)
        self.nameless_pairs = pairs_of(adapter.cross_encoder(), statement_of)
        self.fact_pairs = pairs_of(adapter.fact_encoder(), fact_text)
        self.values = Values(snapshot.triples if self._asks_values else ())
        self.latents: Latents = read_rows(adapter, snapshot, scan)

    def following(self, snapshot: Snapshot, touched: Collection[int]) -> Reader:
        """A reader of another version that may differ from this one in the touched rows, made from this one."""
        reader = copy(self)
        reader.snapshot = snapshot
        reader.names = self.names.changed(snapshot.triples, touched)
        if self._asks_values:
            reader.values = self.values.changed(snapshot.triples, touched)
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
        question = SPACES.sub(" ", question)
        mentions = self.mentions(question)
        everything = about_all(question, mentions, lambda row: self.snapshot.triples[row].property)
        return everything or clauses(question, mentions, self._tells_a_property)

    def _tells_a_property(self, words: str) -> bool:
        """True when one of the words is a word of a property that anything here has."""
        said = set(words.casefold().split())
        return any(not said.isdisjoint(name.casefold().split()) for name in self.names.properties)

    def things_in(self, question: str) -> list[str]:
        """The entities that a question names, in full or in part, in their order; one whose name several have is left out."""
        found = self.mentions(question) or self._partial(question)
        entities = [{self.snapshot.triples[row].entity for row in mention.rows} for mention in found]
        return [named.pop() for named in entities if len(named) == 1]

    @torch.no_grad()
    def read(self, questions: Sequence[str]) -> Reading:
        """Embed the questions, find the names and values in them, and read the likely rows beside them."""
        embedding = self.encode(questions, self.question_encoder)
        mentions = [tuple(self.mentions(question)) for question in questions]
        unnamed = [index for index, found in enumerate(mentions) if not found]
        resembling = dict(zip(unnamed, self._resembling(embedding[unnamed]), strict=True))
        for index, rows in resembling.items():
            mentions[index] = self._misspelt(questions[index], rows) or self._partial(questions[index])
        said = [self._values_asked(*each) for each in zip(questions, mentions, strict=True)]
        likely = self._likely(questions, embedding, mentions, resembling)
        nameless = tuple(masked(question, found) for question, found in zip(questions, mentions, strict=True))
        vectors = torch.nn.functional.normalize(self._encode_nameless(nameless), dim=-1)
        plain = tuple(
            NAME_OF.sub("", self._by_stored_names(question, found))
            for question, found in zip(questions, mentions, strict=True)
        )
        beside = [self._beside(*each) for each in zip(questions, embedding, mentions, said, likely, strict=True)]
        texts, count = tuple(questions), len(self.latents)
        reading = Reading(texts, embedding, vectors, nameless, plain, tuple(mentions), tuple(said), (), (), count)
        return self._weighed(reading, likely, beside)

    def _likely(
        self,
        questions: Sequence[str],
        embedding: Tensor,
        mentions: Sequence[tuple[Mention, ...]],
        resembling: Mapping[int, list[int]],
    ) -> list[list[int]]:
        """The rows of each question that may answer it: those about what it names; if it names nothing, and facts are read whole,
        those that it resembles, and those whose values do, by turns."""
        likely = [
            self._likeliest(question, sorted({row for each in found for row in each.rows}))
            for question, found in zip(embedding, mentions, strict=True)
        ]
        unnamed = [index for index, rows in resembling.items() if rows and not mentions[index]]
        if unnamed and self._reads_whole:
            same = self.question_encoder is self.encoder
            vectors = embedding[unnamed] if same else self.encode([questions[index] for index in unnamed])
            for index, told in zip(unnamed, self.telling(vectors), strict=True):
                likely[index] = by_turns(resembling[index], told)[:MOST_PAIRED]
        return likely

    def mentions(self, question: str) -> list[Mention]:
        """The names that a question holds, the words of some of them apart."""
        found = [longer_mention(question, mention, self.names) for mention in self.names.mentions(question)]
        apart: list[Mention] = []
        for mention in sorted(found, key=lambda each: each.start - each.end):  # of two that overlap the longer one
            if all(mention.end <= other.start or other.end <= mention.start for other in apart):
                apart.append(mention)
        return sorted(apart, key=lambda each: each.start)

    def _resembling(self, questions: Tensor) -> list[list[int]]:
        """The rows that questions (n, D) resemble most, the most first; none without texts."""
        if not len(questions) or not self.snapshot.has_texts or len(self.latents) == 0:
            return [[]] * len(questions)
        scores = self._similarity(questions)
        return [
            [row for row in rows if score[row] > -torch.inf]
            for score, rows in zip(scores, _best(scores, RESEMBLING), strict=True)
        ]

    def telling(self, questions: Tensor) -> list[list[int]]:
        """The rows whose values resemble questions (n, D) most, embedded as values are, the most first, MOST_PAIRED of each.

        Values that describe things say in other words what a question describes; the prior only knows which property it asks for.
        """
        vectors = torch.nn.functional.normalize(questions, dim=-1)
        index, count = self.latents.index, len(self.latents)
        if index is None:
            return _best(value_similarities(vectors, self.latents), MOST_PAIRED)
        rows = index.propose(torch.zeros_like(vectors), vectors, None, count)
        places = torch.tensor(_best(value_similarities(vectors, gather(self.latents, rows)), MOST_PAIRED))
        return rows.gather(1, places.to(rows.device)).tolist()

    def _misspelt(self, question: str, rows: Sequence[int]) -> tuple[Mention, ...]:
        """The misspelt name in a question that resembles these rows."""
        mention = near_mention(question, rows, self.names) if rows else None
        return () if mention is None else (mention,)

    def _partial(self, question: str) -> tuple[Mention, ...]:
        """The name of which the question says a part."""
        if not self.snapshot.has_texts:
            return ()
        mention = partial_mention(question, self.names) or unspaced_part(question, self.names)
        return () if mention is None else (mention,)

    def _by_stored_names(self, question: str, mentions: Sequence[Mention]) -> str:
        """The question with the stored name of each thing that it calls by another one, or misspelt: not by a part of it,
        which may be meant for something else."""
        for mention in reversed(mentions):
            entities = {self.snapshot.triples[row].entity for row in mention.rows}
            if not mention.partial and len(entities) == 1:
                question = renamed(question, mention, entities.pop())
        return question

    def _likeliest(self, question: Tensor, rows: list[int]) -> list[int]:
        """The rows, those that the question (D,) resembles most first if they are too many for all to be read."""
        return rows if len(rows) <= MOST_STATED else self._in_order(question, rows)

    def _in_order(self, question: Tensor, rows: list[int]) -> list[int]:
        """The rows, those that the question (D,) resembles most first."""
        if len(rows) < 2:
            return rows
        return [rows[at] for at in self.prior(question, rows).argsort(descending=True, stable=True).tolist()]

    def _values_asked(self, question: str, mentions: Sequence[Mention]) -> tuple[Mention, ...]:
        """The values whose things a question may ask for."""
        return values_asked(self.values, question, mentions) if self._asks_values else ()

    def _beside(
        self, question: str, vector: Tensor, mentions: Sequence[Mention], said: Sequence[Mention], likely: Sequence[int]
    ) -> Beside:
        """What is read beside the likely rows of a question (D,)."""
        order = partial(self._in_order, vector)
        inverse = inverse_rows(self.names, question, said, likely, order)
        named = likely if mentions and self._asks_values else []
        rows = {row for value in said for row in value.rows} if likely else set()
        having = [row for row in likely if row in rows]
        triples, leading = self.snapshot.triples, [*inverse, *having][:MOST_INVERSE]
        steps = paths(self.names, triples, question, named, leading, order)
        return Beside(inverse, frozenset(having), steps, any(not mention.partial for mention in mentions))

    def _weighed(self, reading: Reading, likely: Sequence[Sequence[int]], beside: Sequence[Beside]) -> Reading:
        """The reading with what is added to the scores of each question's likely rows, which it names if it names any, and of those
        beside them."""
        bonus, like = self.adapter.name_bonus, reading.masked
        if bonus is None:
            none = (torch.empty(0, dtype=torch.long, device=like.device), like.new_empty(0))
            return replace(reading, bonuses=(none,) * len(likely), via=({},) * len(likely))
        scores = [
            torch.cat([score, self._as_good(reading.embedding[index], rows, score, more)])
            for index, (rows, score, more) in enumerate(
                zip(likely, self._first_scores(reading, likely), beside, strict=True)
            )
        ]
        if self._reads_whole:
            assert self.fact_pairs is not None
            triples = self.snapshot.triples
            facts = [
                [*(triples[row] for row in rows), *more.facts(triples)]
                for rows, more in zip(likely, beside, strict=True)
            ]
            ranks = [
                torch.cat([score[: len(rows)], torch.full_like(score[len(rows) :], torch.inf)])
                for score, rows in zip(scores, likely, strict=True)
            ]
            logits = self.fact_pairs.among(reading.plain, facts, ranks, [len(more.rows) for more in beside])
            logits = [
                found - found.new_tensor(more.doubts(rows))
                for found, rows, more in zip(logits, likely, beside, strict=True)
            ]
            counts = [bonus[4] * (1.0 if found else UNNAMED) for found in reading.mentions]
            scores = [
                score + count * (found - found.max()) if len(found) else score
                for score, count, found in zip(scores, counts, logits, strict=True)
            ]
        best = [
            best_of_each(self.names, reading, *each)
            for each in zip(range(len(likely)), likely, beside, scores, strict=True)
        ]
        return replace(
            reading, bonuses=tuple((rows, score) for rows, score, _ in best), via=tuple(via for _, _, via in best)
        )

    def _as_good(self, question: Tensor, likely: Sequence[int], scores: Tensor, beside: Beside) -> Tensor:
        """What makes the scores of the rows beside the likely ones, all that counts for them with the question (D,) together, those of
        the best of these: only reading whole can tell."""
        if not beside.rows:
            return scores.new_empty(0)
        prior = self.prior(question, [*likely, *beside.rows])
        theirs = prior[len(likely) :]
        return (prior[: len(likely)] + scores).max() - theirs if likely else theirs.max() - theirs

    def as_read(self, reading: Reading, index: int, row: int) -> Triple:
        """What is read of a row beside a question: with the row by way of which the question means it, if there is one."""
        triples, first = self.snapshot.triples, reading.via[index].get(row)
        return triples[row] if first is None else path(triples[first], triples[row])

    def _first_scores(self, reading: Reading, likely: Sequence[Sequence[int]]) -> list[Tensor]:
        """What is added to the scores of each question's likely rows before they are read whole, (rows,): by names, and by what
        they say without them; only by their places where none is named."""
        bonus, like = self.adapter.name_bonus, reading.masked
        assert bonus is not None
        named = [rows if found else [] for rows, found in zip(likely, reading.mentions, strict=True)]
        scores = []
        for question, rows, alone in zip(reading.texts, named, self.stated_scores(like, named), strict=True):
            hits = like.new_tensor([float(self.names.named_property(question, row)) for row in rows])
            scores.append(bonus[0] + bonus[1] * hits + bonus[2] * alone)
        if self.nameless_pairs is not None:
            logits = self.nameless_pairs.among(reading.nameless, self._facts(named), scores)
            scores = [score + bonus[3] * found for score, found in zip(scores, logits, strict=True)]
        return [
            score if found else bonus[0] - torch.arange(len(rows)).to(like) / 1000
            for score, rows, found in zip(scores, likely, reading.mentions, strict=True)
        ]

    @property
    def _reads_whole(self) -> bool:
        """Whether facts are read with their names, so that a question need not name any."""
        bonus = self.adapter.name_bonus
        return self.fact_pairs is not None and bonus is not None and bool(bonus[4])

    @property
    def _asks_values(self) -> bool:
        """Whether a question may say a value and ask for its thing, or ask in two steps: only reading facts whole can tell."""
        return self._reads_whole and self.snapshot.has_texts

    def _facts(self, rows: Sequence[Sequence[int]]) -> list[list[Triple]]:
        return [[self.snapshot.triples[row] for row in some] for some in rows]

    def stated_scores(self, masked: Tensor, named: Sequence[Sequence[int]]) -> list[Tensor]:
        """How well each question without its names (n, E) fits what the rows it names say without theirs, (rows,) each.

        Beyond `MOST_STATED` rows of one question, the others fit as badly as the worst.
        """
        read = [list(rows[:MOST_STATED]) for rows in named]
        triples = [self.snapshot.triples[row] for rows in read for row in rows]
        if not triples:
            return [masked.new_empty(0) for _ in named]
        stated = self.statements.embed([statement_of(triple) for triple in triples])
        assert self.adapter.beta_key is not None
        scale, scores = self.adapter.beta_key[0], []
        for question, rows, vectors in zip(
            masked, named, torch.split(stated, [len(rows) for rows in read]), strict=True
        ):
            found = scale * (vectors @ question)
            rest = len(rows) - len(found)
            scores.append(torch.cat([found, found.min().expand(rest)]) if rest else found)
        return scores

    def prior(self, question: Tensor, rows: Sequence[int]) -> Tensor:
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
        for index, (text, row) in enumerate(zip(reading.texts, rows, strict=True)):
            mention = reading.mention_of(index, row)
            texts.append(text if mention is None else renamed(text, mention, self.snapshot.triples[row].entity))
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


def _best(scores: Tensor, count: int) -> list[list[int]]:
    """The places of the highest of each question's scores (n, M), the highest first."""
    best: list[list[int]] = scores.topk(min(count, scores.shape[1])).indices.tolist()
    return best


def by_turns(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """The first of one, the first of the other, the second of one ...; each once."""
    return list(dict.fromkeys(row for pair in zip_longest(one, other) for row in pair if row is not None))


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
