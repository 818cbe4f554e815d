"""Which rows the layers of a model look at: the rank of the right row in each, beside other retrievers.

Shapes: n questions, M rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kblam.answering.model import KBLaM
from kblam.evaluation.rivals import rivals
from kblam.evaluation.suite import AT_ONCE
from kblam.experiments.world import World
from kblam.knowledge import KnowledgeBase
from kblam.models.active import Recorder
from kblam.synthesis.making import HELD_OUT
from kblam.synthesis.questions import Question

__all__ = ["CHOICE", "KINDS", "TOP", "found_by_layers", "layer_name", "ranks", "retrieved"]

TOP = 5
KINDS = ("plain", "paraphrased")
CHOICE = "choice"
"""What answers rest on: the retrieval layer's mean score over heads, with what the question's names add."""


def layer_name(layer: int) -> str:
    """How a layer is called in results."""
    return f"layer {layer}"


def retrieved(world: World, size: int, seed: int) -> list[dict[str, Any]]:
    """For each question the rank of its fact by every layer, by the choice, by the encoder alone and by BM25.

    A rank is 0 for the best row; None when it is not among the best five.
    """

    def measure() -> list[dict[str, Any]]:
        return ranks(
            world, world.knowledge(size, seed), world.questions(size, seed, KINDS), f"{size:,} facts, seed {seed}"
        )

    conditions = world.about | {"size": size, "seed": seed}
    found: list[dict[str, Any]] = world.pieces.piece(f"retrieval {size} {seed}", conditions, measure)
    return found


def ranks(world: World, base: KnowledgeBase, questions: Sequence[Question], what: str) -> list[dict[str, Any]]:
    """The ranks of each question's fact."""
    model, texts = world.model, [question.text for question in questions]
    model.attach(base)
    best: dict[str, list[Sequence[int]]] = {}
    for at in world.track(range(0, len(texts), AT_ONCE), f"Looking, {what}"):
        part = texts[at : at + AT_ONCE]
        best.setdefault(CHOICE, []).extend(model.nearest(part, TOP))
        for name, rows in found_by_layers(model, part).items():
            best.setdefault(name, []).extend(rows.tolist())
    for name, found in rivals(base, texts, TOP).items():
        best[name] = found.rows.tolist()
    places = {fact.identity: row for row, fact in enumerate(base.triples)}
    return [
        {
            "question": question.text, "kind": question.kind, "unseen": question.facts[0][1] in HELD_OUT,
            "rank": {name: _rank(rows[at], places[question.facts[0]]) for name, rows in best.items()},
        }
        for at, question in enumerate(questions)
    ]  # fmt: skip


def _rank(rows: Sequence[int], right: int) -> int | None:
    return list(rows).index(right) if right in rows else None


@torch.no_grad()
def found_by_layers(model: KBLaM, questions: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """The best five rows of each knowledge layer at a prompt's last token, (n, 5); nothing without an adapter.

    All rows are open to every layer, and its weights are averaged over its heads, as in the paper's evaluation.
    """
    if model.adapter is None:
        return {}
    recorder = Recorder(layers=model.adapter.config.knowledge_layers)
    rows = model.observe(questions, recorder)
    found = {}
    for layer, records in recorder.attention.items():
        weights = records[0].weights()[..., :rows].mean((1, 2))
        found[layer_name(layer)] = weights.topk(min(TOP, rows)).indices.cpu().numpy()
    return found
