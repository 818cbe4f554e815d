"""What each part of the method is worth: parts that can be taken out without training, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from kblam.experiments.claims import CLAIMS
from kblam.experiments.figures import ONE
from kblam.experiments.grading import ask
from kblam.experiments.metrics import mean
from kblam.experiments.retrieval import CHOICE, KINDS, ranks
from kblam.experiments.sections import Section, Table
from kblam.experiments.ways import prepare
from kblam.experiments.world import World
from kblam.knowledge import KnowledgeBase
from kblam.models.adapter import Adapter
from kblam.synthesis.questions import sentence

__all__ = ["ABLATIONS", "ALONE", "HEAD", "WHOLE", "ablations", "changed", "measured"]

Change = Callable[[Adapter], None]
WHOLE = "the whole"
ALONE = "attention alone: no prior, no names, no refusal"
ANSWERS = "keys of whole answers (`The P of E is V`), which the adapter did not learn from"


def _nothing(adapter: Adapter) -> None:
    pass


def _no_prior(adapter: Adapter) -> None:
    if adapter.beta_key is not None and adapter.beta_value is not None:
        adapter.beta_key.zero_()
        adapter.beta_value.zero_()


def _no_names(adapter: Adapter) -> None:
    if adapter.name_bonus is not None:
        adapter.name_bonus.zero_()


def _never_refuse(adapter: Adapter) -> None:
    if adapter.refusal_weight is not None and adapter.refusal_bias is not None:
        adapter.refusal_weight.zero_()
        adapter.refusal_bias.fill_(30.0)


def _no_null_row(adapter: Adapter) -> None:
    if adapter.null_offset is not None:
        adapter.null_offset.fill_(-1e9)


def _no_slots(adapter: Adapter) -> None:
    adapter.config = replace(adapter.config, slot_layers=())


def _no_check(adapter: Adapter) -> None:
    adapter.config = replace(adapter.config, check_quotes=False, check_words=False)


def _keep(rows: int) -> Change:
    def change(adapter: Adapter) -> None:
        adapter.config = replace(adapter.config, top_k=rows)

    return change


def _both(*changes: Change) -> Change:
    def change(adapter: Adapter) -> None:
        for part in changes:
            part(adapter)

    return change


ABLATIONS: dict[str, Change] = {
    WHOLE: _nothing,
    "no question prior (and no refusal, which rests on it)": _both(_no_prior, _never_refuse),
    "no names": _no_names,
    ALONE: _both(_no_prior, _no_names, _never_refuse),
    "no refusal": _never_refuse,
    "no null row": _no_null_row,
    "no value slots": _no_slots,
    "no check of quotations": _no_check,
    ANSWERS: _nothing,
    "keep 1 row": _keep(1),
    "keep 10 rows": _keep(10),
    "keep 1,000 rows": _keep(1000),
}
"""What is changed in the adapter, by name."""
HEAD = ("top-1, plain", "top-1, paraphrased", "value by quote", "value by tokens", "answered", "unanswerable refused")
"""What is measured of each."""
TOLD = (
    WHOLE,
    "no question prior (and no refusal, which rests on it)",
    "no names",
    ALONE,
    "no null row",
    "no value slots",
)
"""Those in the index."""


@contextmanager
def changed(adapter: Adapter, change: Change) -> Iterator[None]:
    """Change an adapter for the length of a block; afterwards it is what it was, bit for bit."""
    config = adapter.config
    state = {name: tensor.clone() for name, tensor in adapter.state_dict().items()}
    try:
        with torch.no_grad():
            change(adapter)
        yield
    finally:
        adapter.config = config
        with torch.no_grad():
            for name, tensor in adapter.state_dict().items():
                tensor.copy_(state[name])


def _keys_of_answers(base: KnowledgeBase) -> KnowledgeBase:
    """The same facts, each key made of what would answer, as `--key_embd_src answer` makes them in microsoft/KBLaM."""
    keys = base.encoder.encode([sentence(fact) for fact in base.triples])
    return KnowledgeBase.from_embeddings(keys, base.values, base.triples, encoder=base.encoder)


def ablations(world: World) -> Section:
    """Retrieval, values and refusal with one part taken out, on the middle size."""
    adapter = world.model.adapter
    if adapter is None:
        return Section("Ablations", "", notes=["The model has no adapter, so there is nothing to take out."])
    sizes = world.sizes()
    size = sizes[len(sizes) // 2]
    names = [name for name in ABLATIONS if name != "no value slots" or adapter.config.slot_layers]
    rows = [(name, *measured(world, name, size)) for name in names]
    ours = [
        f"{name}: top-1 paraphrased {cells[1]}, value by tokens {cells[3]}" for name, *cells in rows if name in TOLD
    ]
    return Section(
        "Ablations",
        CLAIMS["ablations"].paper,
        (f"{size:,} facts", *ours),
        [Table("One part taken out at a time, nothing trained again", (f"{size:,} facts", *HEAD), tuple(rows))],
        notes=[
            "What needs training again (layers, encoder, slots, unanswerable questions): `experiments/train_ablations.py`.",
            "Values and answers: plain and paraphrased questions together; `answered`: those of them not refused, by quote.",
        ],
    )


def measured(world: World, name: str, size: int) -> list[str]:
    """The cells of one ablation, in the order of HEAD."""
    assert world.model.adapter is not None
    return _cells([_measured(world, world.model.adapter, name, size, seed) for seed in world.setting.seeds])


def _measured(world: World, adapter: Adapter, name: str, size: int, seed: int) -> dict[str, Any]:
    def measure() -> dict[str, Any]:
        base = world.knowledge(size, seed)
        base = _keys_of_answers(base) if name == ANSWERS else base
        questions = world.questions(size, seed, ONE)[::2]
        what = f"{name}, seed {seed}"
        with changed(adapter, ABLATIONS[name]):
            found = ranks(world, base, [question for question in questions if question.kind in KINDS], what)
            said = {
                way: ask(prepare(way, world.model, base), base, questions, world.track, f"{way}, {what}")
                for way in ("quote", "tokens")
            }
        return {"ranks": [{**row, "rank": {CHOICE: row["rank"][CHOICE]}} for row in found], **said}

    conditions = world.about | {"ablation": name, "size": size, "seed": seed}
    result: dict[str, Any] = world.pieces.piece(f"ablation {name} {seed}", conditions, measure)
    return result


def _cells(found: list[dict[str, Any]]) -> list[str]:
    ranked = [row for part in found for row in part["ranks"]]
    quote, tokens = ([row for part in found for row in part[way]] for way in ("quote", "tokens"))
    numbers = [[row["rank"][CHOICE] == 0 for row in ranked if row["kind"] == kind] for kind in KINDS]
    numbers += [[row["right"] for row in rows if row["answerable"]] for rows in (quote, tokens)]
    numbers.append([not row["refused"] for row in quote if row["answerable"]])
    numbers.append([row["refused"] for row in quote if not row["answerable"]])
    return [str(mean([float(mark) for mark in marks])) for marks in numbers]
