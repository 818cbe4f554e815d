"""Teach the sentence encoder to read questions: low-rank updates of its weights, for questions only.

Keys and values stay what the plain encoder made of them, so a knowledge base needs no new vectors.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kblam.knowledge import Encoder
from kblam.knowledge.sentence_model import SentenceModel
from kblam.synthesis.properties import PROPERTIES
from kblam.synthesis.questions import ask_about
from kblam.training.questions import Practice

__all__ = ["LowRankPlan", "train_question_encoder"]

TUNED = ("attention.self.query", "attention.self.value", "attention.output.dense", "intermediate.dense")
"""Linear layers of a BERT layer that get updates."""


@dataclass(frozen=True)
class LowRankPlan:
    """How the question encoder is trained."""

    steps: int = 600
    batch: int = 64
    """Questions a step; half of them with the entity's name, half with `it` in its place."""
    entities: int = 150
    """Entities whose rows a step's questions are told apart from."""
    themes: int = 10
    """Kinds of thing these entities are, so that most rows are properties easily taken for each other."""
    rank: int = 32
    rate: float = 8e-4
    warmup: int = 20
    paraphrased: float = 0.85
    seed: int = 0

    def scale(self, step: int) -> float:
        """Warm-up, then a straight line down to a twentieth."""
        return min(1.0, (step + 1) / self.warmup) * max(0.05, 1 - step / self.steps)


def train_question_encoder(
    model: SentenceModel, encoder: Encoder, practice: Practice, plan: LowRankPlan, report: Callable[[int, float], None]
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Fit updates by contrast: the right row against the rows of other entities and against its own siblings.

    Returns the updates by layer name, and the weights of key and value similarity (2,).
    """
    torch.manual_seed(plan.seed)
    draw, by_theme = random.Random(plan.seed), _by_theme(practice)
    names = [name for name, _ in model.network.named_modules() if name.endswith(TUNED)]
    updates = {name: _update(model.network.get_parameter(f"{name}.weight"), plan.rank) for name in names}
    scales = nn.Parameter(torch.tensor([20.0, 5.0]))
    properties = list(dict.fromkeys(fact.property for fact in practice.facts))
    alone = torch.from_numpy(encoder.encode([f"the {name} of it" for name in properties]))
    place = {name: at for at, name in enumerate(properties)}
    property_of = torch.tensor([place[fact.property] for fact in practice.facts])
    parameters = [matrix for update in updates.values() for matrix in update]
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "lr": plan.rate, "weight_decay": 0.01}, {"params": [scales], "lr": 0.02, "weight_decay": 0.0}]
    )  # fmt: skip
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(plan.steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * plan.scale(step)
        rows = torch.tensor(_neighbours(by_theme, plan, draw))
        right = torch.tensor(draw.sample(range(len(rows)), min(plan.batch, len(rows))))
        masked = torch.arange(len(right)) % 2 == 1
        texts = [
            _ask(practice, row, bool(hide), draw, plan.paraphrased)
            for row, hide in zip(rows[right].tolist(), masked, strict=True)
        ]
        with _half_precision(model.network.device):
            asked = model.vectors(texts, model.updated(updates))
        asked = asked.float()
        keys, kinds = nn.functional.normalize(practice.keys[rows], dim=-1), property_of[rows]
        key_scores = torch.where(masked[:, None], asked @ alone[kinds].T, asked @ keys.T)
        value_scores = asked @ nn.functional.normalize(practice.values[rows], dim=-1).T
        scores = scales[0] * key_scores + scales[1] * value_scores
        # Without its name a question about a property asks for all rows that have it.
        same = (kinds[right][:, None] == kinds[None, :]) & masked[:, None]
        same[torch.arange(len(right)), right] = False
        loss = nn.functional.cross_entropy(scores.masked_fill(same, -torch.inf), right)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        report(step + 1, loss.item())
    return {name: (down.detach(), up.detach()) for name, (down, up) in updates.items()}, scales.detach()


def _half_precision(device: torch.device) -> torch.autocast:
    """bfloat16 inside the encoder where the processor multiplies it: a step takes little more than half the time there,
    and its gradient points the same way (cosine 1.000)."""
    quick = device.type == "cuda" or getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.autocast(device.type, torch.bfloat16, enabled=quick)


def _by_theme(practice: Practice) -> list[list[list[int]]]:
    """The rows of each entity, by what kind of thing it is."""
    theme_of = {item.name: item.theme for item in PROPERTIES}
    themes: dict[str, list[list[int]]] = {}
    for group in practice.by_entity():
        themes.setdefault(theme_of.get(practice.facts[group[0]].property, ""), []).append(group)
    return list(themes.values())


def _neighbours(by_theme: list[list[list[int]]], plan: LowRankPlan, draw: random.Random) -> list[int]:
    """The rows of one step: entities of a few themes, and as many of any."""
    some = [group for theme in draw.sample(by_theme, min(plan.themes, len(by_theme))) for group in theme]
    every = [group for theme in by_theme for group in theme]
    half = plan.entities // 2
    groups = draw.sample(some, min(half, len(some))) + draw.sample(every, min(plan.entities - half, len(every)))
    return list(dict.fromkeys(row for group in groups for row in group))


def _update(weight: Tensor, rank: int) -> tuple[nn.Parameter, nn.Parameter]:
    """A low-rank update that is zero at first, as in LoRA (Hu et al., 2021, arXiv 2106.09685)."""
    outputs, inputs = weight.shape
    return nn.Parameter(torch.randn(rank, inputs) * inputs**-0.5), nn.Parameter(torch.zeros(outputs, rank))


def _ask(practice: Practice, row: int, masked: bool, draw: random.Random, paraphrased: float) -> str:
    fact = practice.facts[row]
    text = ask_about(fact, draw, paraphrase=paraphrased, typo=0.0).text
    return text.replace(fact.entity, "it") if masked else text
