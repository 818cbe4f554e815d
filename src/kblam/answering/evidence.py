"""Whether a row answers a question: what speaks for it, and how likely that makes it.

Shapes: n questions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from kblam.answering.beside import twins
from kblam.answering.reader import Reader
from kblam.answering.reading import Reading, masked
from kblam.knowledge import Triple
from kblam.models.refusal import BESIDE, NAMED, chances, way_called
from kblam.naming.asking import asked_property, is_description
from kblam.naming.foreign_words import foreign_words

__all__ = ["confidence", "described", "evidence", "ways"]

LONELY = 0.3
"""Masked lead of the only row of an entity, as a cosine: about that of a right row."""
LONG = 120
"""Bytes of a value that tells more than one thing: twenty words, or forty characters of Chinese or Japanese."""
NAME = re.compile(r"\bnames?\b|名字|姓名|名称|名前|氏名", re.IGNORECASE)
"""What a question says that asks for the thing itself."""
MOST_OTHERS = 12
"""Rows over which a row may lead: those that fit best."""
DOUBTFUL = -1.0
"""Logit of a fact read whole below which a question hardly asks for it."""
CERTAIN = 0.95
"""Least confidence in a row whose entity and property the question names."""


@torch.no_grad()
def evidence(reader: Reader, reading: Reading, rows: Sequence[int]) -> Tensor:
    """The features of `Adapter.evidence` for one row per question, (n, features)."""
    adapter, names = reader.adapter, reader.names
    assert adapter.beta_key is not None
    triples = [reader.snapshot.triples[row] for row in rows]
    families = [[row, *(other for other in names.siblings(row) if other != row)] for row in rows]
    scale = adapter.beta_key[0]
    leads = reader.statements.lead(scale * reading.masked, [triple.property for triple in triples], names.properties)
    features = torch.empty(len(rows), len(adapter.evidence), device=reading.masked.device)
    stated_scores = reader.stated_scores(reading.masked, families)
    nameless = _nameless_evidence(reader, reading, families, stated_scores)
    whole = _whole_evidence(reader, reading, rows)
    for index, stated in enumerate(stated_scores):
        score, *others = reader.prior(reading.embedding[index], families[index]).unbind()
        none = score.new_zeros(())
        features[index] = torch.stack(
            [
                score,
                *score.new_tensor(_flags(reader, reading, index, rows[index])),
                score - torch.stack(others).mean() if others else none,
                stated[0] / scale,
                stated[0] - stated[1:].max() if others else scale * LONELY,
                leads[index],
                *nameless[index],
                *whole[index],
            ]
        )
    return features


@torch.no_grad()
def confidence(reader: Reader, reading: Reading, rows: Sequence[int]) -> Tensor:
    """Calibrated probability that the given row answers each question, (n,)."""
    adapter = reader.adapter
    if adapter.refusal_weight is None or adapter.refusal_bias is None:
        return torch.ones(len(rows))
    found = evidence(reader, reading, rows)
    way = ways(reader, reading, rows).to(found.device)
    chance = chances(found, way, adapter.refusal_weight, adapter.refusal_bias)
    # A question that names both the entity and the property asks for that very row, in whatever language; a name that is
    # not written quite like that, or goes on, is left to what reads the fact whole.
    named = found[:, adapter.evidence.index(NAMED)]
    if reader.fact_pairs is not None:
        named = named.floor() * (found[:, adapter.evidence.index(BESIDE)] == 0)
        named = named * ~_asks_on(reader, reading, rows, found)
    named = named * found[:, adapter.evidence.index("property named")]
    return torch.maximum(chance, CERTAIN * named).cpu()


def _asks_on(reader: Reader, reading: Reading, rows: Sequence[int], found: Tensor) -> Tensor:
    """Whether a question may ask for what the thing has that a row leads to, (n,): the birthday, but not the name, of the lead of
    Kestrel."""
    triples = reader.snapshot.triples
    leads_on = [
        bool(reader.names.rows_named(triples[row].value)) and not NAME.search(text)
        for row, text in zip(rows, reading.texts, strict=True)
    ]
    logit = found[:, reader.adapter.evidence.index("fact's logit")]
    return torch.tensor(leads_on, dtype=torch.bool, device=found.device) & (logit < DOUBTFUL)


def ways(reader: Reader, reading: Reading, rows: Sequence[int]) -> Tensor:
    """In which of `refusal.WAYS` each question calls the thing of its row, (n,)."""
    mentions = [reading.mention_of(index, row) for index, row in enumerate(rows)]
    return way_called(
        torch.tensor([0.0 if mention is None else mention.similarity for mention in mentions]),
        described(reader, rows),
        torch.tensor([reading.says_value(index, row) for index, row in enumerate(rows)], dtype=torch.bool),
        torch.tensor([row in reading.via[index] for index, row in enumerate(rows)], dtype=torch.bool),
    )


def described(reader: Reader, rows: Sequence[int]) -> Tensor:
    """Whether each row is a description of its thing, or as long as one, (n,): it answers much that its property does not say."""
    triples = [reader.snapshot.triples[row] for row in rows]
    told = [is_description(fact.property) or len(fact.value.encode()) > LONG for fact in triples]
    return torch.tensor(told, dtype=torch.bool)


def _nameless_evidence(
    reader: Reader, reading: Reading, families: Sequence[Sequence[int]], stated: Sequence[Tensor]
) -> list[Tensor]:
    """Of the first row of each family its logit with the question, both without names, and how far it leads over the others
    or over none, (2,); (0,) without a cross-encoder."""
    pairs = reader.nameless_pairs
    if pairs is None:
        return [reading.masked.new_empty(0)] * len(families)
    # The row itself is read in any case, whatever its vectors say.
    first = [torch.cat([scores[:1] + torch.inf, scores[1:]]) for scores in stated]
    facts = [[reader.snapshot.triples[row] for row in family] for family in families]
    return [
        torch.stack([own[0], own[0] - (own[1:].max() if len(own) > 1 else 0.0)])
        for own in pairs.among(reading.nameless, facts, first)
    ]


def _whole_evidence(reader: Reader, reading: Reading, rows: Sequence[int]) -> list[Tensor]:
    """Of each row its logit with the question, where the thing is named and where it is not, and how far it leads over the
    other likely rows if none is; and how many words and numbers look like other names, and how many of them stand beside its
    own; of a thing named exactly only the last, in Chinese and Japanese, (6,); (0,) without what reads facts whole."""
    pairs = reader.fact_pairs
    if pairs is None:
        return [reading.masked.new_empty(0)] * len(rows)
    weighed, none = [], reading.masked.new_zeros(())
    facts = [reader.as_read(reading, index, row) for index, row in enumerate(rows)]
    own = pairs.logits(reading.plain, facts).to(none)
    for index, (row, fact, logit) in enumerate(zip(rows, facts, own, strict=True)):
        text = reading.texts[index]
        mention = None if row in reading.via[index] else reading.mention_of(index, row)
        named = 0.0 if mention is None else mention.similarity
        if mention is not None and named == 1.0:
            strange = (0, 0, reader.names.words_beside(text, mention))
        else:
            strange = foreign_words(text, fact, reader.names, mention)
        foreign = none.new_tensor(strange)
        if named:
            weighed.append(torch.stack([logit, none, none, *foreign]))
            continue
        others = _others(reader, reading, index, row)
        asked = [reading.plain[index]] * len(others)
        lead = logit - pairs.logits(asked, others).max().to(none) if others else logit
        weighed.append(torch.stack([none, logit, lead, *foreign]))
    return weighed


def _others(reader: Reader, reading: Reading, index: int, row: int) -> list[Triple]:
    """What else may answer a question that does not name the thing of a row, and says something else; where it names another, only
    if it asks by way of that, or for what has it."""
    if reading.mentions[index] and not (reading.says_value(index, row) or row in reading.via[index]):
        return []
    same, fact = {row, *twins(reader.names, reading, index, row)}, reader.snapshot.triples[row]
    others = [other for other in reading.bonuses[index][0].tolist() if other not in same]
    read = [reader.as_read(reading, index, other) for other in others[:MOST_OTHERS]]
    return [other for other in read if not _says_the_same(other, fact)]


def _says_the_same(one: Triple, other: Triple) -> bool:
    """Of the same thing or of another."""
    return (one.property, one.value) == (other.property, other.value)


def _flags(reader: Reader, reading: Reading, index: int, row: int) -> tuple[float, float, float, float]:
    """How well a question names the row's entity; whether it names its property, another one, or one that other things have
    here."""
    question, mention = reading.texts[index], reading.mention_of(index, row)
    named = reader.names.named_property(question, row)
    asked = None if mention is None else asked_property(question, mention)
    another = asked is not None and not reader.names.is_property(asked, row)
    elsewhere = not named and reader.names.names_a_property(masked(question, reading.mentions[index]))
    return (
        0.0 if mention is None else mention.similarity,
        float(named and not another),
        float(another),
        float(elsewhere),
    )
