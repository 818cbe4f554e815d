"""What a question's tokens look at, layer by layer."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from kblam.answering.prompts import chat_prompt
from kblam.experiments.sections import Picture, Section
from kblam.experiments.world import World
from kblam.knowledge import Triple
from kblam.models.active import Recorder

__all__ = ["FACTS", "QUESTIONS", "attention_picture"]

FACTS = (
    Triple("Zembla", "capital", "Onhava"),
    Triple("Zembla", "currency", "crown"),
    Triple("Zembla", "official language", "Zemblan"),
    Triple("Thule Station", "altitude", "77 metres"),
    Triple("Thule Station", "founder", "Knud Rasmussen"),
    Triple("Thule Station", "keeper", "Ane Petersen"),
    Triple("Protocol 9", "default port", "4711"),
    Triple("Protocol 9", "author", "Mira Castell"),
    Triple("Lake Ondine", "depth", "212 metres"),
    Triple("Lake Ondine", "outflow", "River Sarn"),
)
"""Few enough to be read along an axis."""
QUESTIONS = {"plain": "What is the capital of Zembla?", "paraphrased": "Who looks after Thule Station?"}


def attention_picture(world: World) -> Section:
    """Heat maps of a plain and of a paraphrased question."""
    if world.model.adapter is None:
        return Section(
            "Where the attention is", "", notes=["The model has no adapter, so no layer attends to knowledge."]
        )
    pictures = []
    for kind, question in QUESTIONS.items():
        conditions = world.about | {"asked": question}
        found = world.pieces.piece(f"attention {kind}", conditions, partial(_look, world, question))
        facts = (*(f"{fact.entity} · {fact.property}" for fact in FACTS), "none of these")
        layers = found["layers"]
        width = min(len(row) for rows in layers.values() for row in rows)
        pictures.append(Picture(f"attention-{kind}", question, layers, tuple(found["tokens"]), facts[:width]))
    return Section(
        "Where the attention is",
        "Paper (figure 4): one column lights up, that of the fact asked for, in the layers that retrieve.",
        pictures=pictures,
        notes=[
            f"{len(FACTS)} facts; each cell is the share of a token's attention in a layer that goes to a fact, mean of heads; the "
            "rest of a row stays in the question itself."
        ],
    )


@torch.no_grad()
def _look(world: World, question: str) -> dict[str, Any]:
    model = world.model
    assert model.adapter is not None
    model.attach(world.encode(list(FACTS), "Encoding"))
    recorder = Recorder(layers=model.adapter.config.knowledge_layers, every_position=True)
    model.observe([question], recorder)
    tokenizer: Any = model.tokenizer
    bare = tokenizer.chat_template is not None
    ids = tokenizer(chat_prompt(tokenizer, question), add_special_tokens=not bare)["input_ids"]
    layers = {
        f"layer {layer}": [[round(float(share), 5) for share in row] for row in records[0].weights()[0].mean(0)]
        for layer, records in recorder.attention.items()
    }
    return {"tokens": [tokenizer.decode([token]) for token in ids], "layers": layers}
