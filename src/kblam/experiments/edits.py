"""A knowledge base as an editor of a model: are edits said, said however they are asked for, and nothing else?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from kblam.evaluation.suite import AT_ONCE, holds
from kblam.experiments.claims import CLAIMS
from kblam.experiments.metrics import mean
from kblam.experiments.public import Edit, Neighbour, read_public
from kblam.experiments.sections import Section, Table
from kblam.experiments.world import World, fingerprint
from kblam.knowledge import KnowledgeBase, Triple
from kblam.synthesis.facts import make_value
from kblam.synthesis.properties import PROPERTIES
from kblam.synthesis.questions import paraphrased_question, plain_question

__all__ = ["knowledge_edits", "make_edits"]

_VALUES = {item.name: item.kind for item in PROPERTIES}
MEASURES = {
    "efficacy": "the edit's own question is answered with the new value",
    "generalisation": "so is the question in other words",
    "specificity": "questions about other facts are answered as before",
}


def knowledge_edits(world: World) -> Section:
    """Efficacy, generalisation and specificity of edits made all at once."""
    rows = []
    for grounding in ("quote", "tokens") if world.model.adapter is not None else ("quote",):
        found = [_measured(world, grounding, seed) for seed in _seeds(world)]
        marks = {name: [float(mark) for part in found for mark in part[name]] for name in MEASURES}
        rows.append((grounding, *(str(mean(marks[name])) for name in MEASURES)))
    source = "synthetic facts" if world.setting.edits is None else world.setting.edits.name
    count = found[0]["edits"]
    notes = [
        f"Facts set to new values ({source}), {count:,} at once, none of them trained. "
        + "; ".join(f"{name}: {words}" for name, words in MEASURES.items())
        + "."
    ]
    if world.setting.edits is not None:
        notes.append(
            "Neighbours of a public set: the answer does not hold the edit's new value; refusing counts as right, since "
            "what the knowledge base does not hold is not its to answer."
        )
    return Section(
        "A knowledge base as a model editor",
        CLAIMS["edits"].paper,
        tuple(
            f"{name}: " + ", ".join(f"{word} {cell}" for word, cell in zip(MEASURES, cells, strict=True))
            for name, *cells in rows
        ),
        [Table(f"{count:,} edits of {source}", ("grounding", *MEASURES), tuple(rows))],
        notes=notes,
    )


def _seeds(world: World) -> Sequence[int]:
    return world.setting.seeds if world.setting.edits is None else world.setting.seeds[:1]


def _measured(world: World, grounding: str, seed: int) -> dict[str, Any]:
    sizes = world.sizes()
    size = sizes[len(sizes) // 2]

    def measure() -> dict[str, Any]:
        if world.setting.edits is not None:
            edits = read_public(world.setting.edits).edits[: world.setting.questions * 4]
            base = world.encode([edit.fact for edit in edits], "Encoding the edits")
        else:
            base = world.knowledge(size, seed)
            edits = make_edits(base, world.setting.questions, seed)
            base.set_many([edit.fact for edit in edits])
        world.model.attach(base)
        return {"edits": len(edits), **_marks(world, edits, grounding, f"edits by {grounding}, seed {seed}")}

    conditions = world.about | {"grounding": grounding, "size": size, "seed": seed, "edits": fingerprint(world.setting.edits)}  # fmt: skip
    found: dict[str, Any] = world.pieces.piece(f"edits {grounding} {seed}", conditions, measure)
    return found


def make_edits(base: KnowledgeBase, count: int, seed: int) -> list[Edit]:
    """Edits of facts drawn by the seed; neighbours share the entity or the property with them and are not edited."""
    draw = random.Random(seed)
    facts = base.triples
    chosen = draw.sample([fact for fact in facts if fact.property in _VALUES], min(count, len(facts) // 4))
    edited = {fact.identity for fact in chosen}
    edits = []
    for fact in chosen:
        near = [other for other in facts if other.identity not in edited and _near(fact, other)]
        neighbours = [
            Neighbour(plain_question(other, draw).text, other.value) for other in draw.sample(near, min(2, len(near)))
        ]
        changed = Triple(fact.entity, fact.property, _another(fact, draw), fact.aliases)
        rephrased = paraphrased_question(fact, draw).text
        edits.append(Edit(changed, (plain_question(fact, draw).text,), (rephrased,), tuple(neighbours)))
    return edits


def _near(fact: Triple, other: Triple) -> bool:
    return other.entity == fact.entity or other.property == fact.property


def _another(fact: Triple, draw: random.Random) -> str:
    while holds(value := make_value(_VALUES[fact.property], draw), fact.value):
        pass
    return value


def _marks(world: World, edits: Sequence[Edit], grounding: str, what: str) -> dict[str, list[bool]]:
    asked = [("efficacy", question, edit.fact.value, True) for edit in edits for question in edit.questions]
    asked += [("generalisation", question, edit.fact.value, True) for edit in edits for question in edit.rephrased]
    for edit in edits:
        for near in edit.neighbours:
            wanted = edit.fact.value if near.answer is None else near.answer
            asked.append(("specificity", near.question, wanted, near.answer is not None))
    marks: dict[str, list[bool]] = {name: [] for name in MEASURES}
    for part in world.track([asked[at : at + AT_ONCE] for at in range(0, len(asked), AT_ONCE)], what):
        answers = world.model.ask([question for _, question, _, _ in part], grounding=grounding)  # type: ignore[call-overload]
        for (name, _, value, expected), answer in zip(part, answers, strict=True):
            marks[name].append((not answer.refused and holds(answer.text, value)) == expected)
    return marks
