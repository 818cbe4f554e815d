"""Knowledge unlike training's: properties that were held out, and facts about the real world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kblam.experiments.claims import CLAIMS
from kblam.experiments.figures import MEASURES, ONE, gathered, usable
from kblam.experiments.grading import Record, ask
from kblam.experiments.metrics import mean, refusal
from kblam.experiments.retrieval import CHOICE, KINDS, ranks, retrieved
from kblam.experiments.sections import Section, Table
from kblam.experiments.ways import prepare
from kblam.experiments.world import World, fingerprint
from kblam.synthesis.dataset import read_dataset
from kblam.synthesis.questions import Question

__all__ = ["unseen_knowledge"]

OUTSIDE_WAYS = ("quote", "tokens", "no knowledge", "RAG, top 1")
OUTSIDE_QUESTIONS = 120
"""Most of each kind."""


def unseen_knowledge(world: World) -> Section:
    """Held-out properties beside trained ones, and a set from outside when its path is given."""
    tables = [_held_out(world)]
    notes = []
    if world.setting.outside is not None:
        tables.append(_outside(world, world.setting.outside))
        notes.append(
            "Of the facts in benchmarks/real_world no property was in training; of another file that is its owner's to say."
        )
    return Section(
        "Knowledge unlike training's",
        CLAIMS["unseen"].paper,
        _found(tables),
        tables,
        notes=notes,
    )


TOLD = ("top-1 by ours", "top-1 by dense", "value held by quote")
"""What is in the index of a table's rows, but for the kind of question before it."""


def _found(tables: Sequence[Table]) -> tuple[str, ...]:
    """The last column of the last table: what is farthest from training."""
    table = tables[-1]
    rows = [(words, cells[-1]) for words, *cells in table.rows if words.partition(", ")[2] in TOLD]
    return (table.title, *(f"{words}: {cell}" for words, cell in rows))


def _held_out(world: World) -> Table:
    """All sizes and seeds together, by whether training had the property."""
    found, _ = gathered(world, ("quote", "tokens"), ONE)
    size = world.sizes()[-1]
    looked = [row for seed in world.setting.seeds for row in retrieved(world, size, seed)]
    rows = []
    for kind in KINDS:
        for name in (CHOICE, "dense", "BM25"):
            of_kind = [row for row in looked if row["kind"] == kind]
            marks = [[row["rank"][name] == 0 for row in of_kind if row["unseen"] == unseen] for unseen in (False, True)]
            cells = list(map(_share, marks))
            rows.append((f"{kind}, top-1 by {'ours' if name == CHOICE else name}", *cells))
        for way in usable(world, ("quote", "tokens")):
            records = [row for row in found[way][size] if row["kind"] == kind]
            cells = [_share([row["right"] for row in records if row["unseen"] == unseen]) for unseen in (False, True)]
            rows.append((f"{kind}, value held by {way}", *cells))
    head = (f"{size:,} facts", "properties of the training set", "properties held out")
    return Table("Properties held out of training", head, tuple(rows))


def _share(marks: Sequence[bool]) -> str:
    return str(mean([float(mark) for mark in marks]))


def _outside(world: World, path: Path) -> Table:
    ways = usable(world, OUTSIDE_WAYS)

    def measure() -> dict[str, Any]:
        entries = read_dataset(path, world.setting.outside_questions)
        base = world.encode([entry.fact for entry in entries], f"Encoding {path.name}")
        questions = _chosen([question for entry in entries for question in entry.questions])
        one = [question for question in questions if question.kind in KINDS]
        return {
            "facts": len(base),
            "ranks": ranks(world, base, one, path.name),
            "answers": {
                way: ask(prepare(way, world.model, base), base, questions, world.track, f"{way}, {path.name}")
                for way in ways
            },
        }

    conditions = world.about | {"outside": fingerprint(path), "asked": fingerprint(world.setting.outside_questions)}
    found = world.pieces.piece(f"outside {path.name}", conditions, measure)
    return _outside_table(found, path.name)


def _chosen(questions: Sequence[Question]) -> list[Question]:
    kinds: dict[str, list[Question]] = {}
    for question in questions:
        kinds.setdefault(question.kind, []).append(question)
    # Neighbours in a file are about one subject; every so-manieth is about all.
    return [item for some in kinds.values() for item in some[:: -(-len(some) // OUTSIDE_QUESTIONS)]]


def _outside_table(found: dict[str, Any], name: str) -> Table:
    looked: list[dict[str, Any]] = found["ranks"]
    answers: dict[str, list[Record]] = found["answers"]
    rows = []
    for kind in KINDS:
        for how in looked[0]["rank"] if looked else ():
            marks = [row["rank"][how] == 0 for row in looked if row["kind"] == kind]
            rows.append((f"{kind}, top-1 by {'ours' if how == CHOICE else how}", _share(marks)))
    for way, records in answers.items():
        for kind in dict.fromkeys(row["kind"] for row in records if row["answerable"]):
            rows.append(
                (f"{kind}, value held by {way}", _share([row["right"] for row in records if row["kind"] == kind]))
            )
        f1 = [row["f1"] for row in records if row["kind"] in KINDS]
        rows.append((f"{MEASURES['f1'][1]} of {way}", str(mean(f1))))
        both = refusal([row["answerable"] for row in records], [row["refused"] for row in records])
        rows.append((f"refusal of {way}, precision", str(both.precision)))
        rows.append((f"refusal of {way}, recall", str(both.recall)))
    return Table(f"{name}: {found['facts']:,} facts in one knowledge base", ("", "share"), tuple(rows))
