"""Teach the sentence encoder to read questions: low-rank updates of its weights.

Keys and values stay what the plain encoder made of them, so a knowledge base needs no new vectors. What the rows of a named
entity say is read anew, with the updates, when a question names it: there both sides of the comparison have learnt.
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
from kblam.knowledge.sentence_model import SentenceModel, Updates
from kblam.synthesis.questions import ask_about
from kblam.training.low_rank_updates import first_updates, half_precision, released
from kblam.training.questions import Practice
from kblam.training.teacher import Teacher
from kblam.training.themes import Themes, by_theme

__all__ = ["LowRankPlan", "train_question_encoder"]


@dataclass(frozen=True)
class LowRankPlan:
    """How the question encoder is trained."""

    steps: int = 600
    batch: int = 32
    """Questions a step with the entity's name in them, compared with the rows' keys and values as they are stored; none
    for an encoder that made no keys."""
    masked: int = 128
    """Questions a step with `it` in place of the name, compared with statements that the encoder reads itself."""
    statements: int = 128
    """Statements that these are told apart from."""
    defined: int = 32
    """Definitions a step, where there are any."""
    theme: int = 14
    """Of these, at most so many of one kind of thing: properties easily taken for each other."""
    withheld: float = 0.5
    """Weight of the loss of questions whose own statement is not there, which must fit none of the others."""
    entities: int = 150
    """Entities whose rows a step's questions with names are told apart from."""
    rank: int = 32
    rate: float = 9e-4
    warmup: int = 20
    paraphrased: float = 0.85
    unvalued: float = 0.15
    """Share of statements that only name the property."""
    english: bool = False
    """Put questions without names, and statements, into English first, as the adapter will (`english_encoder`)."""
    seed: int = 0

    def scale(self, step: int) -> float:
        """Warm-up, then a straight line down to a twentieth."""
        return min(1.0, (step + 1) / self.warmup) * max(0.05, 1 - step / self.steps)


def train_question_encoder(
    model: SentenceModel,
    practice: Practice,
    plan: LowRankPlan,
    report: Callable[[int, float], None],
    definitions: Sequence[tuple[str, str]] = (),
    start: Updates | None = None,
    teacher: Teacher | None = None,
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Fit updates by contrast: the right row against the rows of other entities and against its own siblings.

    definitions: questions about `it`, and the name of what they ask for; they teach what names mean. start: updates to go on
    from, in place of none. teacher: a larger encoder that says how well questions fit statements.
    Returns the updates by layer name, and the weights of key similarity, value similarity and masked similarity (3,).
    """
    torch.manual_seed(plan.seed)
    draw, themes = random.Random(plan.seed), by_theme(practice)
    updates = first_updates(model, plan.rank, start)
    scales = nn.Parameter(torch.tensor([20.0, 5.0, 18.0, 9.0]))
    parameters = [matrix for update in updates.values() for matrix in update]
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "lr": plan.rate, "weight_decay": 0.01}, {"params": [scales], "lr": 0.02, "weight_decay": 0.0}]
    )  # fmt: skip
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(plan.steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * plan.scale(step)
        weights = model.updated(updates)

        def read(texts: Sequence[str], weights: dict[str, Tensor] = weights) -> Tensor:
            return _read(model, texts, weights)

        loss = _stated_loss(read, practice, themes, scales, plan, draw, teacher)
        if plan.batch:
            loss = loss + _stored_loss(read, practice, _neighbours(themes, plan, draw), scales, plan, draw)
        if definitions:
            loss = loss + _defined_loss(read, definitions, scales, plan, draw)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        report(step + 1, loss.item())
    return released(updates), scales.detach()[:3]


Read = Callable[[Sequence[str]], Tensor]


def _stored_loss(
    read: Read, practice: Practice, rows: list[int], scales: Tensor, plan: LowRankPlan, draw: random.Random
) -> Tensor:
    """Questions with their entity's name, against the stored keys and values of all rows."""
    right = torch.tensor(draw.sample(range(len(rows)), min(plan.batch, len(rows))))
    asked = read([_ask(practice.facts[rows[at]], False, draw, plan.paraphrased) for at in right.tolist()])
    unit = nn.functional.normalize
    scores = scales[0] * asked @ unit(practice.keys[rows], dim=-1).T
    return nn.functional.cross_entropy(scores + scales[1] * asked @ unit(practice.values[rows], dim=-1).T, right)


def _stated_loss(
    read: Read,
    practice: Practice,
    themes: Themes,
    scales: Tensor,
    plan: LowRankPlan,
    draw: random.Random,
    teacher: Teacher | None = None,
) -> Tensor:
    """Questions without the name, against what rows say without it; a row for each property of a few kinds of thing."""
    rows, theme = _whole_themes(themes, practice, plan, draw)
    facts = [practice.facts[row] for row in rows]
    right = torch.tensor(draw.sample(range(len(facts)), min(plan.masked, len(facts))))
    asked = [_ask(facts[at], True, draw, plan.paraphrased) for at in right.tolist()]
    stated = [statement(fact.property, "" if draw.random() < plan.unvalued else fact.value) for fact in facts]
    if plan.english:
        asked, stated = [in_english(text) for text in asked], [in_english(text) for text in stated]
    scores = scales[2] * read(asked) @ read(stated).T
    loss = nn.functional.cross_entropy(scores, right) if teacher is None else teacher.loss(scores, right, asked, stated)
    return loss + plan.withheld * _withheld_loss(scores, right, theme, scales[3])


def _withheld_loss(scores: Tensor, right: Tensor, theme: Tensor, enough: Tensor) -> Tensor:
    """Refusal, as a loss: a question (n, s) scores more than `enough` with its own statement (n,), and less with whatever
    else is known of a thing of that kind (s,), of which half is there by chance."""
    of_its_kind = theme[None, :] == theme[right][:, None]
    own = torch.arange(scores.shape[1]) == right[:, None]
    there = of_its_kind & ~own & (torch.rand(scores.shape) < 0.5)
    others = scores.masked_fill(~there, -30.0).logsumexp(-1)
    kept = nn.functional.softplus(enough - scores[own]).mean()
    return (kept + nn.functional.softplus(others - enough).mean()) / 2


def _defined_loss(
    read: Read, definitions: Sequence[tuple[str, str]], scales: Tensor, plan: LowRankPlan, draw: random.Random
) -> Tensor:
    """What asks for something by saying what it is, against the names of such things."""
    pairs = list({name: text for text, name in draw.choices(definitions, k=plan.defined)}.items())
    asked, stated = read([text for _, text in pairs]), read([statement(name) for name, _ in pairs])
    return nn.functional.cross_entropy(scales[2] * asked @ stated.T, torch.arange(len(pairs)))


def _read(model: SentenceModel, texts: Sequence[str], weights: dict[str, Tensor], together: int = 32) -> Tensor:
    """(n, width) with gradients, on the CPU like the practice: texts of a length together, because a batch is as long as
    its longest."""
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    batches = [[texts[at] for at in order[start : start + together]] for start in range(0, len(order), together)]
    with half_precision(model.network.device), sdpa_kernel(SDPBackend.MATH):
        read = torch.cat([model.vectors(batch, weights).float() for batch in batches])
    return read.cpu()[torch.tensor(order).argsort()]


def _neighbours(themes: Themes, plan: LowRankPlan, draw: random.Random) -> list[int]:
    """The rows of some entities."""
    groups = [group for theme in themes for group in theme]
    return [row for group in draw.sample(groups, min(plan.entities, len(groups))) for row in group]


def _whole_themes(
    themes: Themes, practice: Practice, plan: LowRankPlan, draw: random.Random
) -> tuple[list[int], Tensor]:
    """A row for each property of a few kinds of thing, (s,), and the number of that kind, (s,)."""
    rows: dict[str, tuple[int, int]] = {}
    for number, theme in enumerate(draw.sample(themes, len(themes))):
        groups = draw.sample(theme, min(len(theme), 4 * plan.theme))
        found = {practice.facts[row].property: (row, number) for group in groups for row in group}
        names = draw.sample(list(found), min(plan.theme, len(found)))
        rows |= {name: found[name] for name in names if name not in rows}
        if len(rows) >= plan.statements:
            break
    chosen = list(rows.values())[: plan.statements]
    return [row for row, _ in chosen], torch.tensor([number for _, number in chosen])


def _ask(fact: Triple, masked: bool, draw: random.Random, paraphrased: float) -> str:
    text = ask_about(fact, draw, paraphrase=paraphrased, typo=0.0).text
    return text.replace(fact.entity, "it") if masked else text
