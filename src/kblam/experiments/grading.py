"""Ask questions in one way and grade what is said: one record of plain data for each question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kblam.evaluation.suite import AT_ONCE, holds
from kblam.experiments.metrics import exact_match, rouge, token_f1
from kblam.experiments.similarity import local_similarity
from kblam.experiments.ways import IN_CONTEXT, Said, TooLongError, Way
from kblam.experiments.world import Track, World
from kblam.knowledge import KnowledgeBase, Triple
from kblam.synthesis.making import HELD_OUT
from kblam.synthesis.questions import Question, sentence

__all__ = ["Record", "answers", "ask", "values_held", "with_bertscore"]

Record = dict[str, Any]
"""One question: its kind, what was said, whether it is right, and the metrics of it."""


SPARSE = {IN_CONTEXT: 4, "no knowledge": 4}
"""Ways that answer one in so many questions: each is a prompt of thousands of tokens, or the facts make no difference."""


def values_held(text: str, facts: Sequence[Triple]) -> bool:
    """Whether the text holds the value of every fact."""
    return all(holds(text, fact.value) for fact in facts)


def answers(world: World, way: str, size: int, seed: int, kinds: Sequence[str]) -> dict[str, Any]:
    """The records of one way on one base, kept as a piece: {"records": [...]} or {"left_out": why}."""
    from kblam.experiments.ways import prepare

    def measure() -> dict[str, Any]:
        questions = world.questions(size, seed, kinds)[:: SPARSE.get(way, 1)]
        base = world.knowledge(size, seed)
        try:
            what = f"{way}, {size:,} facts, seed {seed}"
            return {"records": ask(prepare(way, world.model, base), base, questions, world.track, what)}
        except TooLongError as reason:
            return {"left_out": str(reason)}

    conditions = world.about | {"way": way, "size": size, "seed": seed, "kinds": list(kinds)}
    conditions |= {"every": SPARSE[way]} if way in SPARSE else {}
    found: dict[str, Any] = world.pieces.piece(f"answers {way} {size} {seed} {kinds[0]}", conditions, measure)
    return found


def with_bertscore(
    world: World, way: str, size: int, seed: int, kinds: Sequence[str], records: Sequence[Record]
) -> list[Record]:
    """The records with a field `bertscore` where there is an expected answer, kept as a piece."""
    name, scored = world.setting.bertscore, [record for record in records if record["answerable"]]
    assert name is not None

    def measure() -> list[float]:
        found: list[float] = []
        parts = [scored[at : at + 32] for at in range(0, len(scored), 32)]
        for part in world.track(parts, f"BERTScore, {way}, {size:,} facts, seed {seed}"):
            found += world.bertscore([row["said"] for row in part], [row["expected"] for row in part])
        return [round(number, 4) for number in found]

    conditions = world.about | {"way": way, "size": size, "seed": seed, "kinds": list(kinds), "bertscore": name}
    numbers = iter(world.pieces.piece(f"bertscore {way} {size} {seed}", conditions, measure))
    return [{**row, "bertscore": next(numbers)} if row["answerable"] else row for row in records]


def ask(way: Way, base: KnowledgeBase, questions: Sequence[Question], track: Track, what: str) -> list[Record]:
    """Ask in batches, then grade."""
    said: list[Said] = []
    for part in track([questions[at : at + AT_ONCE] for at in range(0, len(questions), AT_ONCE)], what):
        said += way([question.text for question in part])
    needed = [[fact for key in question.facts if (fact := base.get(*key)) is not None] for question in questions]
    records = [_grade(*each) for each in zip(questions, said, needed, strict=True)]
    asked = [at for at, question in enumerate(questions) if question.facts]
    similar = local_similarity()([said[at].text for at in asked], [records[at]["expected"] for at in asked])
    for at, number in zip(asked, similar, strict=True):
        records[at]["similarity"] = round(number, 4)
    return records


def _reference(question: Question, facts: Sequence[Triple]) -> str:
    return question.answer or "\n".join(sentence(fact) for fact in facts)


def _grade(question: Question, said: Said, facts: Sequence[Triple]) -> Record:
    record: Record = {
        "question": question.text, "kind": question.kind, "said": said.text, "refused": said.refused,
        "answerable": bool(question.facts), "expected": _reference(question, facts), "confidence": said.confidence,
    }  # fmt: skip
    if not question.facts:
        return record
    references = [record["expected"], "\n".join(fact.value for fact in facts)]
    first = set(said.cited[: len(facts)])
    return record | {
        "right": not said.refused and values_held(said.text, facts),
        "held": sum(holds(said.text, fact.value) for fact in facts) / max(1, len(facts)),
        "own": not said.refused and not said.corrected and values_held(said.text, facts),
        "exact": not said.refused and exact_match(said.text, references),
        "f1": round(token_f1(said.text, references), 4),
        "cited": bool(first) and first == {fact.identity for fact in facts},
        "unseen": all(fact.property in HELD_OUT for fact in facts),
        **{name: round(number, 4) for name, number in rouge(said.text, references).items()},
    }
