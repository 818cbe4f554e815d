"""Train how an adapter reads questions: the question prior, and the calibration of refusal.

Neither needs the language model: a question's embedding is matched with the rows' embeddings, so both carry over to
any base model with the
same encoder.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from kblam.answering.evidence import evidence, ways
from kblam.answering.reader import Reader
from kblam.knowledge import Encoder, KnowledgeBase
from kblam.models.adapter import Adapter
from kblam.models.refusal import WAYS, chances
from kblam.training.questions import Exam, Practice

__all__ = ["calibrate_refusal", "train_prior"]


def train_prior(
    adapter: Adapter, practice: Practice, seed: int = 0, steps: int = 600, rate: float = 3e-4, decay: float = 1.0, dropout: float = 0.4,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> None:  # fmt: skip
    """Fit the question maps by contrast: the right row against the rows of 300 entities, its own siblings among them.

    Weight decay pulls the maps towards the identity, which is plain similarity.
    """
    assert adapter.question_key is not None and adapter.question_value is not None
    assert adapter.beta_key is not None and adapter.beta_value is not None
    torch.manual_seed(seed)
    draw, groups = random.Random(seed), practice.by_entity()
    width = adapter.config.encoder_width
    maps = [nn.Parameter(torch.zeros(width, width)) for _ in range(2)]
    scales = nn.Parameter(torch.tensor([20.0, 1.0]))
    optimizer = torch.optim.AdamW(
        [{"params": maps, "lr": rate, "weight_decay": decay}, {"params": [scales], "lr": 0.01, "weight_decay": 0.0}]
    )
    unit = nn.functional.normalize
    for step in range(steps):
        rows = torch.tensor([row for group in draw.sample(groups, min(300, len(groups))) for row in group])
        right = torch.tensor(draw.sample(range(len(rows)), min(192, len(rows))))
        question = nn.functional.dropout(unit(practice.asked[rows[right]], dim=-1), dropout)
        scores = (scales[0] * question + 20 * question @ maps[0].T) @ unit(practice.keys[rows], dim=-1).T
        scores = scores + (scales[1] * question + 20 * question @ maps[1].T) @ unit(practice.values[rows], dim=-1).T
        loss = nn.functional.cross_entropy(scores, right)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        report(step + 1, loss.item())
    with torch.no_grad():
        for mapping, scale, beta, found in zip(
            (adapter.question_key, adapter.question_value),
            scales,
            (adapter.beta_key, adapter.beta_value),
            maps,
            strict=True,
        ):
            mapping.copy_(torch.eye(width) + 20 / scale * found)
            beta.fill_(scale)


def calibrate_refusal(
    adapter: Adapter, exams: Sequence[Exam], encoder: Encoder, steps: int = 600
) -> tuple[Tensor, Tensor]:
    """Fit the logistic regressions from evidence to "the best row answers the question"; returns the probabilities and
    whether there was an answer, (n,) each, for the questions of all exams.

    Each way of calling a thing has its own, held near to what they have in common.

    Both answers weigh the same, however many questions there are of each. A question whose answer is there but not the best
    row teaches neither.
    The row's score is left out: it is low for questions that call a thing by another name, whatever they ask of it.
    """
    assert adapter.refusal_weight is not None and adapter.refusal_bias is not None
    looked = [_evidence(adapter, exam, encoder) for exam in exams]
    whole, found, called = (torch.cat(parts) for parts in zip(*looked, strict=True))
    there = torch.tensor([answerable for exam in exams for answerable in exam.answerable])
    counts = torch.tensor([exam.weight for exam in exams for _ in exam.questions])
    evidence, truth, counts, way = (each[found | ~there] for each in (whole, there.float(), counts, called))
    mean, deviation = evidence.mean(0), evidence.std(0) + 1e-6
    standard = (evidence - mean) / deviation
    standard[:, adapter.evidence.index("score")] = 0.0
    standard = torch.cat([standard, torch.ones(len(standard), 1)], dim=1)
    shares = [counts[truth == side].sum().clamp(min=1e-6) for side in (0, 1)]
    counts = counts / torch.where(truth == 1, shares[1], shares[0]) * (len(counts) / 2)
    weights = torch.zeros(1 + len(WAYS), standard.shape[1], requires_grad=True)  # for all ways, and what each adds
    optimizer = torch.optim.Adam([weights], 0.05)
    for _ in range(steps):
        logits = (standard * (weights[0] + weights[1:][way])).sum(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, truth, counts) + 1e-3 * (weights**2).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        fitted = weights[0] + weights[1:]
        adapter.refusal_weight.copy_(fitted[:, :-1] / deviation)
        adapter.refusal_bias.copy_(fitted[:, -1] - (fitted[:, :-1] * mean / deviation).sum(-1))
        return chances(whole, called, adapter.refusal_weight, adapter.refusal_bias), there.float()


def _evidence(adapter: Adapter, exam: Exam, encoder: Encoder) -> tuple[Tensor, Tensor, Tensor]:
    """What speaks for each question's best row, whether that is the right one, and in which way it calls its thing, (n,) each."""
    base = KnowledgeBase.from_triples(exam.facts, encoder, progress=True)
    reader = Reader(adapter, base.snapshot(), encoder)
    reading = reader.read([question.text for question in exam.questions])
    best = reader.scores(reading).argmax(-1).tolist()
    right = [base.triples[row].identity in item.facts for row, item in zip(best, exam.questions, strict=True)]
    return evidence(reader, reading, best), torch.tensor(right), ways(reader, reading, best)
