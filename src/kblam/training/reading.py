"""How an adapter learns to read questions, as stages of a run: the question prior by maps or by the encoder itself, the
weight of the question without its names, and when to refuse."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from kblam.answering.reader import Reader
from kblam.errors import InputError
from kblam.knowledge import DEFAULT_ENCODER, Encoder, KnowledgeBase
from kblam.knowledge.encoders import LocalEncoder
from kblam.knowledge.sentence_model import Updates, load_sentence_model
from kblam.models.adapter import Adapter
from kblam.models.shipped import shipped_adapter
from kblam.training.cross_encoder import CrossPlan, train_cross_encoder
from kblam.training.embedding import embed_texts
from kblam.training.lessons import Lessons
from kblam.training.pair_lessons import NamelessLessons
from kblam.training.prior import train_prior
from kblam.training.question_encoder import LowRankPlan, train_question_encoder

__all__ = ["calibrate_names", "learn_to_read", "learn_to_read_together", "with_questions"]

MASKED_SHARES = (0.5, 1.0, 2.0, 4.0)
CROSS_SHARES = (0.0, 0.5, 1.0, 2.0, 4.0)
FACT_SHARES = (0.5, 1.0, 2.0)
MAP_STEPS = 400
"""Steps of the maps on top of a trained question encoder."""
READING = ("question_", "name_bonus", "refusal_")
"""What the names of the tensors begin with, beside the scales, that read questions."""


def learn_to_read(
    adapter: Adapter,
    lessons: Lessons,
    encoder: Encoder,
    cache: Path,
    how: str,
    steps: int,
    seed: int,
    report: Callable[[float], None] = lambda done: None,
) -> None:
    """Give an adapter its question prior, in one of these ways.

    shipped: what the shipped adapter learnt, which depends on the sentence encoder alone and not on the base model.
    encoder: `steps` steps of low-rank updates of the encoder that reads the questions, and maps on top. maps: `steps`
    steps of maps of the questions' embeddings. kept: leave it as it is. cache: a folder for the questions' vectors.
    report: called with the share that is done.
    Raises InputError for an encoder that cannot be read with or trained in this way.
    """
    if how == "shipped":
        _read_as_shipped(adapter, encoder)
    elif how == "maps":
        adapter.question_updates = {}
        practice = lessons.practice(lambda texts: _read(adapter, texts, encoder, cache))
        train_prior(adapter, practice, seed, steps, report=lambda step, _: report(step / steps))
    elif how == "encoder":
        plan = LowRankPlan(steps=steps, seed=seed, english=adapter.config.english_encoder)
        _train_encoder(adapter, lessons, encoder, cache, plan, report)


def learn_to_read_together(
    adapter: Adapter,
    lessons: Lessons,
    how: str,
    steps: int,
    seed: int,
    report: Callable[[float], None] = lambda done: None,
) -> None:
    """Give an adapter its cross-encoders: the shipped ones, whatever encoder and base it has, a new one of the default encoder
    trained for `steps` steps, which reads without names, or none."""
    if how == "shipped":
        _read_together_as_shipped(adapter, shipped_adapter())
        return
    adapter.take_fact_encoder(None, None)
    if how == "new":
        plan, model = CrossPlan(steps=steps, seed=seed), load_sentence_model(DEFAULT_ENCODER)
        pairs = NamelessLessons.about(lessons.practice(), english=True)
        weights = train_cross_encoder(model, pairs, plan, lambda step, _: report(step / steps))
        adapter.take_cross_encoder(DEFAULT_ENCODER, weights)
    else:
        adapter.take_cross_encoder(None, None)


def _read_as_shipped(adapter: Adapter, encoder: Encoder) -> None:
    shipped = shipped_adapter()
    if shipped.config.encoder != encoder.name:
        raise InputError(
            f"the shipped adapter reads questions by {shipped.config.encoder}, not by {encoder.name}: "
            "use --prior encoder or --prior maps"
        )
    adapter.question_updates, adapter.meaning_updates = shipped.question_updates, {}
    adapter.config = replace(adapter.config, meaning_encoder=None)
    _read_together_as_shipped(adapter, shipped)
    theirs = shipped.state_dict()
    with torch.no_grad():
        for name, tensor in adapter.state_dict().items():
            if name.startswith("beta_"):  # the same for every layer, however many there are
                tensor.fill_(theirs[name][0])
            elif name.startswith(READING):
                tensor.copy_(theirs[name])


def _read_together_as_shipped(adapter: Adapter, shipped: Adapter) -> None:
    adapter.take_cross_encoder(shipped.config.cross_encoder, shipped.cross_weights)
    adapter.take_fact_encoder(shipped.config.fact_encoder, shipped.fact_weights)


def _train_encoder(
    adapter: Adapter,
    lessons: Lessons,
    encoder: Encoder,
    cache: Path,
    plan: LowRankPlan,
    report: Callable[[float], None],
) -> None:
    if not isinstance(encoder, LocalEncoder):
        raise InputError(f"{encoder.name} does not run here, so it cannot be trained: use --prior maps")
    whole, model = plan.steps + MAP_STEPS, load_sentence_model(encoder.name)
    adapter.question_updates, _ = train_question_encoder(
        model, lessons.practice(), plan, lambda step, _: report(step / whole)
    )
    practice = lessons.practice(lambda texts: _read(adapter, texts, encoder, cache))
    train_prior(adapter, practice, plan.seed, MAP_STEPS, report=lambda step, _: report((plan.steps + step) / whole))


def with_questions(
    adapter: Adapter, lessons: Lessons, encoder: Encoder, cache: Path, wanted: Sequence[int] | None = None
) -> Lessons:
    """The lessons with their questions embedded by what the adapter reads questions with.

    wanted: the questions that will be asked, when not all are; the others get zeros. cache: a folder for the vectors.
    """
    wanted = range(len(lessons.questions)) if wanted is None else wanted
    asked = torch.zeros(len(lessons.questions), encoder.width, dtype=torch.float16)
    asked[list(wanted)] = _read(adapter, [lessons.questions[index].text for index in wanted], encoder, cache)
    return replace(lessons, asked=asked)


def _read(adapter: Adapter, questions: Sequence[str], encoder: Encoder, cache: Path) -> Tensor:
    if adapter.question_updates:
        cache = cache / _digest(adapter.question_updates)
    return embed_texts(questions, adapter.question_encoder(encoder), cache)


def _digest(updates: Updates) -> str:
    digest = hashlib.sha256()
    for name, update in sorted(updates.items()):
        digest.update(name.encode())
        for matrix in update:
            digest.update(matrix.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def calibrate_names(adapter: Adapter, lessons: Lessons, encoder: Encoder, rows: int, count: int, seed: int) -> float:
    """Choose how much the question without its names counts, by vectors and by the cross-encoder, and then the whole question,
    as finds most facts among `rows`.

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

    bonus = adapter.name_bonus
    bonus[4] = 0.0

    def found(first: int, shares: tuple[float, ...]) -> float:
        bonus[first : first + len(shares)] = bonus.new_tensor(shares)
        return _top_1(reader, [item.text for item in asked], right)

    nameless = MASKED_SHARES, CROSS_SHARES if adapter.cross_weights is not None else (0.0,)
    whole = (FACT_SHARES if adapter.fact_weights is not None else (0.0,),)
    share = 0.0
    for first, choices in ((2, nameless), (4, whole)):
        tried = {shares: found(first, shares) for shares in product(*choices)}
        best = max(tried, key=lambda shares: tried[shares])
        bonus[first : first + len(best)] = bonus.new_tensor(best)
        share = tried[best]
    return share


def _top_1(reader: Reader, texts: Sequence[str], right: Tensor) -> float:
    best = reader.scores(reader.read(texts)).argmax(-1).cpu()
    return float((best == right).float().mean())
