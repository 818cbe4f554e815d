"""Ask a model a dataset's questions, and grade what it finds, says and refuses, beside two retrievers."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kblam.answering.answer import Answer
from kblam.errors import InputError
from kblam.evaluation.intervals import Share, balanced, best_balanced
from kblam.evaluation.rivals import Found, rivals
from kblam.knowledge import DEFAULT_ENCODER, Encoder, KnowledgeBase, Triple
from kblam.synthesis.asking import KINDS, language_of
from kblam.synthesis.dataset import Entry
from kblam.synthesis.questions import Question, is_cjk

__all__ = ["Graded", "choose_questions", "evaluate", "holds", "value_kind"]

AT_ONCE = 16
"""Questions in one batch."""
TOP = 5
LANGUAGES = ("English", "Chinese", "Japanese")
VALUES = ("with digits", "short words", "long words", "Chinese or Japanese")
WORDY = 24
"""Characters of a value without digits that count as a few plain words."""
RETRIEVED = ("plain", "paraphrased", "misspelt", "alias")
"""Kinds about one fact, for which a best row is right or wrong."""


class Model(Protocol):
    """What is evaluated: the part of `KBLaM` that is used here."""

    def attach(self, knowledge: KnowledgeBase) -> object:
        """Answer from this knowledge."""

    def ask(self, questions: Any, grounding: Any = ...) -> Any:
        """One answer for each question."""

    def nearest(self, questions: Sequence[str], count: int) -> list[list[int]]:
        """The rows each question attends to most, best first."""


@dataclass(frozen=True)
class Graded:
    """A question and what came of it."""

    question: Question
    answer: Answer
    rows: tuple[tuple[str, str], ...]
    """The facts attended to most, best first."""
    needed: tuple[Triple, ...]

    @property
    def exact(self) -> bool:
        """The answer holds the value of every fact needed."""
        return not self.answer.refused and all(holds(self.answer.text, fact.value) for fact in self.needed)

    @property
    def cited(self) -> bool:
        """The facts needed are the first ones cited."""
        first = {item.triple.identity for item in self.answer.citations[: len(self.needed)]}
        return first >= set(self.question.facts)


def holds(text: str, value: str) -> bool:
    """True when the text contains the value, as whole words."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None or (len(value) > 3 and value in text)


def choose_questions(entries: Iterable[Entry], most: int, seed: int = 0) -> list[Question]:
    """Up to `most` questions of each kind, drawn by the seed; a question's facts must be among the entries."""
    entries = list(entries)
    there = {entry.fact.identity for entry in entries}
    kinds: dict[str, list[Question]] = {kind: [] for kind in KINDS}
    for entry in entries:
        for question in entry.questions:
            if there.issuperset(question.facts):
                kinds[question.kind].append(question)
    draw = random.Random(seed)
    return [item for found in kinds.values() for item in draw.sample(found, min(most, len(found)))]


def evaluate(
    model: Model,
    entries: Sequence[Entry],
    most: int = 500,
    causal: int = 200,
    grounding: str = "quote",
    seed: int = 0,
    encoder: str | Encoder = DEFAULT_ENCODER,
    track: Callable[[Sequence[Any], str], Iterable[Any]] = lambda parts, what: parts,
) -> dict[str, Any]:
    """Everything measured, as plain data: shares as texts with 95% intervals, by kind and by language.

    most: questions of each kind. causal: answers whose fact is taken away. track: shows progress through parts.
    Raises InputError when the entries hold no questions.
    """
    questions = choose_questions(entries, most, seed)
    if not questions:
        raise InputError("the dataset holds no questions: make one with kblam synthesize, or name a file of questions")
    base = KnowledgeBase.from_triples([entry.fact for entry in entries], encoder, progress=True)
    graded = _ask(model, base, questions, grounding, track)
    found = rivals(base, [question.text for question in questions], TOP, track)
    return {
        "facts": len(base),
        "questions": len(questions),
        "by kind": _by(graded, found, base, lambda item: item.question.kind, KINDS),
        "by language": _by(graded, found, base, lambda item: language_of(item.question.text), LANGUAGES),
        "by value": _by(graded, found, base, _value_of, VALUES),
        "refusal": _refusal(graded, found),
        "causal": _causal(model, base, graded, causal, grounding, track),
    }  # fmt: skip


def _ask(
    model: Model,
    base: KnowledgeBase,
    questions: Sequence[Question],
    grounding: str,
    track: Callable[..., Iterable[Any]],
) -> list[Graded]:
    model.attach(base)
    facts = base.triples
    by_identity = {fact.identity: fact for fact in facts}
    graded: list[Graded] = []
    for part in track([questions[at : at + AT_ONCE] for at in range(0, len(questions), AT_ONCE)], "Asking"):
        texts = [question.text for question in part]
        for question, answer, rows in zip(
            part, model.ask(texts, grounding=grounding), model.nearest(texts, TOP), strict=True
        ):
            needed = tuple(by_identity[identity] for identity in question.facts)
            graded.append(Graded(question, answer, tuple(facts[row].identity for row in rows), needed))
    return graded


def _by(
    graded: Sequence[Graded],
    found: dict[str, Found],
    base: KnowledgeBase,
    name: Callable[[Graded], str | None],
    names: Sequence[str],
) -> dict[str, dict[str, str]]:
    """The numbers of each group of questions."""
    groups: dict[str, list[int]] = {key: [] for key in names}
    for index, item in enumerate(graded):
        if (key := name(item)) is not None:
            groups[key].append(index)
    facts = [fact.identity for fact in base.triples]
    return {key: _numbers(graded, found, facts, places) for key, places in groups.items() if places}


def _value_of(item: Graded) -> str | None:
    """What kind of value a question about one fact asks for."""
    return value_kind(item.needed[0].value) if item.question.kind in RETRIEVED else None


def value_kind(value: str) -> str:
    """One of VALUES."""
    if is_cjk(value):
        return "Chinese or Japanese"
    if any(character.isdigit() for character in value):
        return "with digits"
    return "short words" if len(value) <= WORDY else "long words"


def _numbers(
    graded: Sequence[Graded], found: dict[str, Found], facts: Sequence[tuple[str, str]], places: Sequence[int]
) -> dict[str, str]:
    mine = [graded[at] for at in places]
    one = [at for at in places if graded[at].question.kind in RETRIEVED]
    right = [item for item in mine if item.needed]
    missing = [item for item in mine if not item.needed]
    numbers: dict[str, Share] = {"questions": Share(0, 0)}
    if one:
        numbers["attention top-1"] = Share.of([graded[at].rows[:1] == graded[at].question.facts for at in one])
        numbers["attention top-5"] = Share.of([graded[at].question.facts[0] in graded[at].rows for at in one])
        for name, retrieved in found.items():
            numbers[f"{name} top-1"] = Share.of(
                [facts[retrieved.rows[at, 0]] == graded[at].question.facts[0] for at in one]
            )
            numbers[f"{name} top-5"] = Share.of(
                [graded[at].question.facts[0] in [facts[row] for row in retrieved.rows[at]] for at in one]
            )
    if right:
        numbers["value exact"] = Share.of([item.exact for item in right])
        numbers["own words"] = Share.of([item.exact and not item.answer.corrected for item in right])
        numbers["cited"] = Share.of([item.cited for item in right])
        numbers["answered"] = Share.of([not item.answer.refused for item in right])
    if missing:
        numbers["refused"] = Share.of([item.answer.refused for item in missing])
    return {name: str(share) for name, share in numbers.items()} | {"questions": f"{len(mine):,}"}


def _refusal(graded: Sequence[Graded], found: dict[str, Found]) -> dict[str, str]:
    """Balanced accuracy: answerable questions answered, others refused; rivals have their best threshold."""
    accepted = [not item.answer.refused for item in graded if item.needed]
    refused = [item.answer.refused for item in graded if not item.needed]
    both = balanced(accepted, refused)
    if both is None:
        return {}
    truth = np.array([bool(item.needed) for item in graded])
    rivals = {
        f"{name} at its best threshold": f"{best_balanced(each.scores, truth):.3f}" for name, each in found.items()
    }
    return {"balanced accuracy": str(both), **rivals}


def _causal(
    model: Model,
    base: KnowledgeBase,
    graded: Sequence[Graded],
    most: int,
    grounding: str,
    track: Callable[..., Iterable[Any]],
) -> dict[str, str]:
    """Take the cited fact away and ask again: the answer must change or be refused.

    Several facts are taken away at once where no question needs two of them.
    """
    right = [item for item in graded if item.question.kind in RETRIEVED and item.exact and item.cited][:most]
    changed: list[bool] = []
    refused: list[bool] = []
    for part in track([right[at : at + AT_ONCE] for at in range(0, len(right), AT_ONCE)], "Taking facts away"):
        gone = {item.question.facts[0]: item.needed[0] for item in part}
        for identity in gone:
            base.remove(*identity)
        for item, answer in zip(
            part, model.ask([item.question.text for item in part], grounding=grounding), strict=True
        ):
            refused.append(answer.refused)
            changed.append(answer.refused or answer.text != item.answer.text)
        base.set_many(gone.values())
    return {"answer changes or is refused": str(Share.of(changed)), "refused": str(Share.of(refused))} if right else {}
