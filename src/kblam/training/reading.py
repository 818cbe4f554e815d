"""How an adapter learns to read questions, as stages of a run: the question prior by maps or by the encoder itself, the
weight of the question without its names, and when to refuse."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from kblam.answering.evidence import Reader
from kblam.errors import InputError
from kblam.knowledge import Encoder, KnowledgeBase
from kblam.knowledge.encoders import LocalEncoder
from kblam.models.adapter import Adapter
from kblam.training.embedding import embed_texts
from kblam.training.lessons import Lessons
from kblam.training.prior import train_prior
from kblam.training.question_encoder import LowRankPlan, train_question_encoder

__all__ = ["calibrate_names", "learn_to_read", "read_again"]

MASKED_SHARES = (0.5, 1.0, 2.0, 4.0)


def learn_to_read(
    adapter: Adapter,
    lessons: Lessons,
    encoder: Encoder,
    how: str,
    steps: int,
    seed: int,
    report: Callable[[int, float], None],
) -> None:
    """Train the question prior: `maps` of questions' embeddings, or updates of the `encoder` that reads the questions.

    Raises InputError for an encoder that does not run here and so cannot be updated.
    """
    if how == "maps":
        train_prior(adapter, lessons.practice(), seed, steps, report=report)
        return
    if not isinstance(encoder, LocalEncoder):
        raise InputError(f"{encoder.name} does not run here, so it cannot be trained: use --prior maps")
    from kblam.knowledge.sentence_model import load_sentence_model

    plan = LowRankPlan(steps=steps, seed=seed)
    model = load_sentence_model(encoder.name)
    adapter.question_updates, scales = train_question_encoder(model, encoder, lessons.practice(), plan, report)
    assert adapter.beta_key is not None and adapter.beta_value is not None
    with torch.no_grad():
        adapter.beta_key.fill_(scales[0])
        adapter.beta_value.fill_(scales[1])


def read_again(adapter: Adapter, lessons: Lessons, encoder: Encoder, cache: Path) -> Lessons:
    """The lessons with their questions embedded by what the adapter reads questions with."""
    if not adapter.question_updates or lessons.asked is None:
        return lessons
    digest = hashlib.sha256()
    for name, update in sorted(adapter.question_updates.items()):
        digest.update(name.encode())
        for matrix in update:
            digest.update(matrix.detach().cpu().float().contiguous().numpy().tobytes())
    texts = [question.text for question in lessons.questions]
    asked = embed_texts(texts, adapter.question_encoder(encoder), cache / digest.hexdigest()[:16])
    return replace(lessons, asked=asked)


def calibrate_names(adapter: Adapter, lessons: Lessons, encoder: Encoder, rows: int, count: int, seed: int) -> float:
    """Choose how much the question without its names counts, as finds most facts among `rows`.

    `count` paraphrased questions are asked, because a plain one finds its fact in any case. Returns the share found.
    """
    assert adapter.name_bonus is not None
    facts = lessons.facts[:rows]
    base = KnowledgeBase.from_embeddings(
        lessons.keys[: len(facts)].numpy(), lessons.values[: len(facts)].numpy(), facts, encoder
    )
    place = {fact.identity: row for row, fact in enumerate(base.triples)}
    asked = [item for item in lessons.questions if item.kind == "paraphrased" and set(item.facts) <= place.keys()]
    asked = random.Random(seed).sample(asked, min(count, len(asked)))
    if not asked:
        return 0.0
    right = torch.tensor([place[item.facts[0]] for item in asked])
    reader = Reader(adapter, base.snapshot(), encoder)

    def found(share: float) -> float:
        adapter.name_bonus[2] = share  # type: ignore[index]
        return _top_1(reader, [item.text for item in asked], right)

    tried = {share: found(share) for share in MASKED_SHARES}
    best = max(MASKED_SHARES, key=lambda share: tried[share])
    adapter.name_bonus[2] = best
    return tried[best]


def _top_1(reader: Reader, texts: Sequence[str], right: torch.Tensor) -> float:
    best = reader.scores(reader.read(texts)).argmax(-1).cpu()
    return float((best == right).float().mean())
