"""Teach a sentence encoder to read a question and a statement together: low-rank updates of its weights, and a head.

A step asks questions without names and sets beside each a few statements about a thing: its own and others of the same
kind, or others only. The encoder must choose among them and "none of these", whose logit is 0. So one number serves both
ends: which statement answers, and whether any does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kblam.answering.gloss import in_english
from kblam.answering.statements import statement
from kblam.knowledge import Triple
from kblam.knowledge.cross_encoder import CrossEncoder, CrossWeights, pair_logits
from kblam.knowledge.sentence_model import SentenceModel
from kblam.synthesis.questions import ask_about
from kblam.training.low_rank_updates import first_updates, half_precision, released
from kblam.training.questions import Practice
from kblam.training.themes import Themes, by_theme

__all__ = ["CrossPlan", "train_cross_encoder"]


@dataclass(frozen=True)
class CrossPlan:
    """How a cross-encoder is trained."""

    steps: int = 600
    questions: int = 32
    """Questions a step."""
    statements: int = 6
    """Beside each question."""
    withheld: float = 0.35
    """Share of questions whose own statement is not among them."""
    strange: float = 0.12
    """Share of the other statements that are about another kind of thing."""
    paraphrased: float = 0.92
    unvalued: float = 0.12
    """Share of statements that only name the property."""
    rank: int = 64
    rate: float = 1e-3
    warmup: int = 60
    falling: float = 0.7
    """Share of the steps in which the rate falls, at the end."""
    taught: float = 0.6
    """Share of the loss that a teacher decides, if there is one."""
    english: bool = False
    """Put questions and statements into English first, as the adapter will (`english_encoder`)."""
    seed: int = 0

    def scale(self, step: int) -> float:
        """Warm-up, then the whole rate, then a straight line down."""
        return min(1.0, (step + 1) / self.warmup) * max(0.02, min(1.0, (1 - step / self.steps) / self.falling))


def train_cross_encoder(
    model: SentenceModel,
    practice: Practice,
    plan: CrossPlan,
    report: Callable[[int, float], None],
    start: CrossWeights | None = None,
    teacher: CrossEncoder | None = None,
) -> CrossWeights:
    """Fit updates and head so that a question prefers its own statement to the others, and none where it is not there.

    start: weights to go on from. teacher: a cross-encoder whose choice among the statements counts as well.
    """
    torch.manual_seed(plan.seed)
    draw, themes = random.Random(plan.seed), by_theme(practice)
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
        asked, stated, there = _step(practice, themes, plan, draw)
        logits = _logits(model, asked, stated, head, bias, model.updated(updates))
        loss = _choice_loss(logits.view(-1, plan.statements), there, _opinion(teacher, asked, stated, plan), plan)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(matrices, 1.0)
        optimizer.step()
        report(step + 1, loss.item())
    return CrossWeights(released(updates), head.detach(), bias.detach())


def _step(
    practice: Practice, themes: Themes, plan: CrossPlan, draw: random.Random
) -> tuple[list[str], list[str], Tensor]:
    """Questions and statements (n * plan.statements,), a question's own one first, and whether that may be seen (n,)."""
    asked: list[str] = []
    stated: list[str] = []
    for theme in draw.choices(themes, [len(theme) for theme in themes], k=plan.questions):
        facts = _beside_each_other(practice, theme, themes, plan, draw)
        question = ask_about(facts[0], draw, paraphrase=plan.paraphrased, typo=0.0).text
        asked += [question.replace(facts[0].entity, "it")] * plan.statements
        stated += [statement(fact.property, "" if draw.random() < plan.unvalued else fact.value) for fact in facts]
    if plan.english:
        asked, stated = [in_english(text) for text in asked], [in_english(text) for text in stated]
    return asked, stated, torch.rand(plan.questions) >= plan.withheld


def _beside_each_other(
    practice: Practice, theme: list[list[int]], themes: Themes, plan: CrossPlan, draw: random.Random
) -> list[Triple]:
    """A fact, and others with other properties: of the same kind of thing, while there are enough."""
    own = practice.facts[draw.choice(draw.choice(theme))]
    found = {own.property: own}
    siblings = [practice.facts[row] for group in draw.sample(theme, min(len(theme), 40)) for row in group]
    draw.shuffle(siblings)
    for sibling in siblings:
        if len(found) == plan.statements:
            break
        if draw.random() >= plan.strange:
            found.setdefault(sibling.property, sibling)
    while len(found) < plan.statements:
        stranger = practice.facts[draw.choice(draw.choice(draw.choice(themes)))]
        found.setdefault(stranger.property, stranger)
    return list(found.values())


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


def _with_none(logits: Tensor, there: Tensor) -> Tensor:
    """Logits (n, s) with that of none in front, (n, 1 + s), and without the first statement where it may not be seen."""
    own = logits[:, :1].masked_fill(~there[:, None], -30.0)
    return torch.cat([torch.zeros_like(own), own, logits[:, 1:]], dim=1)


def _choice_loss(logits: Tensor, there: Tensor, opinion: Tensor | None, plan: CrossPlan) -> Tensor:
    """Cross-entropy of the choice among statements (n, s) and none; opinion: a teacher's logits (n, s)."""
    scores = _with_none(logits, there)
    loss = nn.functional.cross_entropy(scores, there.long())
    if opinion is None:
        return loss
    expected = torch.softmax(_with_none(opinion, there), dim=-1)
    return (1 - plan.taught) * loss + plan.taught * nn.functional.cross_entropy(scores, expected)


def _opinion(
    teacher: CrossEncoder | None, asked: Sequence[str], stated: Sequence[str], plan: CrossPlan
) -> Tensor | None:
    return None if teacher is None else teacher.logits(asked, stated).view(-1, plan.statements)
