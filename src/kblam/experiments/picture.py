"""What a question's tokens look at, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from kblam.answering.model import KBLaM
from kblam.answering.prompts import chat_prompt
from kblam.experiments.ablations import ABLATIONS, ALONE, WHOLE, changed
from kblam.experiments.claims import CLAIMS
from kblam.experiments.retrieval import layer_name
from kblam.experiments.sections import Picture, Section
from kblam.experiments.world import World
from kblam.knowledge import Triple
from kblam.models.active import Recorder

__all__ = ["FACTS", "SHOWN", "attention_picture", "brightest", "look"]

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
PLAIN, PARAPHRASED = "What is the capital of Zembla?", "Who looks after Thule Station?"
SHOWN = {
    "plain": (PLAIN, WHOLE),
    "paraphrased": (PARAPHRASED, WHOLE),
    "plain-alone": (PLAIN, ALONE),
    "paraphrased-alone": (PARAPHRASED, ALONE),
}
"""What is drawn to which file: a question, and the adapter or a part of it."""


def attention_picture(world: World) -> Section:
    """Heat maps of a plain and of a paraphrased question, with the adapter as it is and by the decoder's own queries."""
    if world.model.adapter is None:
        return Section(
            "Where the attention is", "", notes=["The model has no adapter, so no layer attends to knowledge."]
        )
    pictures = []
    for file, (question, part) in SHOWN.items():
        conditions = world.about | {"asked": question, "ablation": part}
        found = world.pieces.piece(f"attention {file}", conditions, partial(_measured, world, question, part))
        pictures.append(replace(brightest(f"{question} ({part})", FACTS, **found), file=f"attention-{file}"))
    return Section(
        "Where the attention is",
        CLAIMS["attention"].paper,
        tuple(_told(picture) for picture in pictures),
        pictures=pictures,
        notes=[
            f"{len(FACTS)} facts; each cell is the share of a token's attention in a layer that goes to a fact, mean of heads; the "
            "rest of a row stays in the question itself. The prior and the names belong to a question and not to its tokens, so with "
            "them all rows of a picture are much alike; without them one sees what the decoder's own queries find."
        ],
    )


def _told(picture: Picture) -> str:
    """Which fact the last token looks at most in the layer that chooses, and how much of its attention to facts that is."""
    layer, rows = next(iter(picture.layers.items()))
    share = max(rows[-1]) / max(sum(rows[-1]), 1e-9)
    return f"{picture.title}, {layer}, last token: {share:.2f} of its attention to facts is on {picture.facts[rows[-1].index(max(rows[-1]))]}"


def _measured(world: World, question: str, part: str) -> dict[str, Any]:
    assert world.model.adapter is not None
    with changed(world.model.adapter, ABLATIONS[part]):
        world.model.attach(world.encode(list(FACTS), "Encoding"))
        tokens, layers = look(world.model, question)
    return {"tokens": tokens, "layers": layers}


@torch.no_grad()
def look(model: KBLaM, question: str) -> tuple[list[str], dict[str, list[list[float]]]]:
    """The tokens of a question's prompt, and for each layer by its name their attention to all facts attached, then to none.

    The mean over heads; all facts are open to every layer. Needs a model with an adapter.
    """
    assert model.adapter is not None
    recorder = Recorder(layers=model.adapter.config.knowledge_layers, every_position=True)
    model.observe([question], recorder)
    tokenizer: Any = model.tokenizer
    bare = tokenizer.chat_template is not None
    ids = tokenizer(chat_prompt(tokenizer, question), add_special_tokens=not bare)["input_ids"]
    layers = {
        layer_name(layer): [[round(float(share), 5) for share in row] for row in records[0].weights()[0].mean(0)]
        for layer, records in recorder.attention.items()
    }
    return [tokenizer.decode([token]) for token in ids], layers


def brightest(
    title: str, facts: Sequence[Triple], tokens: Sequence[str], layers: dict[str, list[list[float]]], most: int = 10
) -> Picture:
    """The picture of what `look` saw, with the facts that the last token looks at most in the first layer, in their order."""
    seen = next(iter(layers.values()))[-1]
    chosen = sorted(sorted(range(len(facts)), key=lambda row: -seen[row])[:most])
    names = [f"{facts[row].entity} · {facts[row].property}" for row in chosen]
    if len(seen) > len(facts):
        chosen.append(len(facts))
        names.append("none of these")
    shown = {name: [[row[column] for column in chosen] for row in rows] for name, rows in layers.items()}
    return Picture(title, title, shown, tuple(tokens), tuple(names))
