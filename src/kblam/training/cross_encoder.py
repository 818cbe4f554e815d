"""Teach a sentence encoder to read two texts together: low-rank updates of its weights, and a head.

A step sets a few statements beside each of some questions: the one that answers it and others, or others only. The encoder
must choose among them and "none of these", whose logit is 0. So one number serves both ends: which statement answers, and
whether any does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kblam.knowledge.cross_encoder import CrossEncoder, CrossWeights, pair_logits
from kblam.knowledge.sentence_model import SentenceModel
from kblam.training.low_rank_updates import first_updates, half_precision, released
from kblam.training.pair_lessons import Draw, Lesson

__all__ = ["CrossPlan", "train_cross_encoder"]

KEPT = 100
"""Steps after which weights are kept."""
STRANGE = 20.0
"""A statement about another thing is so far behind none, for a teacher that reads no names."""


@dataclass(frozen=True)
class CrossPlan:
    """How a cross-encoder is trained."""

    steps: int = 600
    questions: int = 32
    """Questions a step."""
    rank: int = 64
    rate: float = 1e-3
    warmup: int = 60
    falling: float = 0.7
    """Share of the steps in which the rate falls, at the end."""
    taught: float = 0.6
    """Share of the loss that a teacher decides, if there is one."""
    seed: int = 0

    def scale(self, step: int) -> float:
        """Warm-up, then the whole rate, then a straight line down."""
        return min(1.0, (step + 1) / self.warmup) * max(0.02, min(1.0, (1 - step / self.steps) / self.falling))


def train_cross_encoder(
    model: SentenceModel,
    lessons: Draw,
    plan: CrossPlan,
    report: Callable[[int, float], None],
    start: CrossWeights | None = None,
    teacher: CrossEncoder | None = None,
    keep: Callable[[CrossWeights], None] = lambda weights: None,
) -> CrossWeights:
    """Fit updates and head so that a question prefers the statement that answers it to the others, and none where it is not
    there.

    start: weights to go on from. teacher: a cross-encoder whose choice among the statements counts as well; it reads them without
    names. keep: takes what there is after every hundred steps.
    """
    torch.manual_seed(plan.seed)
    draw = random.Random(plan.seed)
    updates = first_updates(model, plan.rank, start.updates if start else None)
    head = nn.Parameter(start.head.clone() if start else torch.randn(model.width) * 0.02)
    bias = nn.Parameter(start.bias.clone() if start else torch.tensor(-1.0))
    matrices = [matrix for update in updates.values() for matrix in update]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "lr": plan.rate, "weight_decay": 0.01},
         {"params": [head, bias], "lr": 3 * plan.rate, "weight_decay": 0.0}], betas=(0.9, 0.98)
    )  # fmt: skip
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(plan.steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * plan.scale(step)
        drawn = [lessons(draw) for _ in range(plan.questions)]
        asked = [lesson.question for lesson in drawn for _ in lesson.statements]
        stated = [text for lesson in drawn for text in lesson.statements]
        logits = _logits(model, asked, stated, head, bias, model.updated(updates)).view(plan.questions, -1)
        opinion = None if teacher is None else _opinion(teacher, drawn)
        loss = _choice_loss(logits, torch.tensor([lesson.there for lesson in drawn]), opinion, plan)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(matrices, 1.0)
        optimizer.step()
        report(step + 1, loss.item())
        if (step + 1) % KEPT == 0:
            keep(CrossWeights(released(updates), head.detach(), bias.detach()))
    return CrossWeights(released(updates), head.detach(), bias.detach())


def _logits(
    model: SentenceModel,
    asked: Sequence[str],
    stated: Sequence[str],
    head: Tensor,
    bias: Tensor,
    weights: dict[str, Tensor],
    together: int = 32,
) -> Tensor:
    """(n,) with gradients, on the CPU; pairs of a length together, because a batch is as long as its longest."""
    device = model.network.device
    head, bias = head.to(device), bias.to(device)
    order = sorted(range(len(asked)), key=lambda at: len(asked[at]) + len(stated[at]))
    found = []
    with half_precision(device), sdpa_kernel(SDPBackend.MATH):
        for start in range(0, len(order), together):
            rows = order[start : start + together]
            pair = [asked[at] for at in rows], [stated[at] for at in rows]
            found.append(pair_logits(model, *pair, head, bias, weights).float())
    return torch.cat(found).cpu()[torch.tensor(order).argsort()]


def _opinion(teacher: CrossEncoder, lessons: Sequence[Lesson]) -> Tensor:
    """What a teacher makes of the statements of lessons, (n, s); nan where it has nothing to say."""
    opinion = torch.full((len(lessons), len(lessons[0].statements)), torch.nan)
    read = [(at, lesson.nameless) for at, lesson in enumerate(lessons) if lesson.nameless is not None]
    for at, _ in read:
        opinion[at] = -STRANGE
    pairs = [
        (at, place, nameless.question, text)
        for at, nameless in read
        for place, text in enumerate(nameless.statements)
        if text is not None
    ]
    if pairs:
        rows, places, asked, stated = zip(*pairs, strict=True)
        opinion[list(rows), list(places)] = teacher.logits(asked, stated)
    return opinion


def _choice_loss(logits: Tensor, there: Tensor, opinion: Tensor | None, plan: CrossPlan) -> Tensor:
    """Cross-entropy of the choice among statements (n, s), of which the first answers or none does, and "none"; opinion: a
    teacher's logits (n, s), nan where it has none."""
    scores = _with_none(logits)
    losses = nn.functional.cross_entropy(scores, there.long(), reduction="none")
    if opinion is None:
        return losses.mean()
    heard = ~opinion.isnan().any(dim=-1)
    expected = torch.softmax(_with_none(opinion[heard]), dim=-1)
    taught = nn.functional.cross_entropy(scores[heard], expected, reduction="none")
    weighed = (1 - plan.taught) * losses[heard] + plan.taught * taught
    return torch.cat([losses[~heard], weighed]).mean()


def _with_none(logits: Tensor) -> Tensor:
    """Logits (n, s) with that of none in front, (n, 1 + s)."""
    return torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)
