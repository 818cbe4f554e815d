"""Datasets: facts with questions about them, one JSON object a line (`docs/data.md`), which is also a file of facts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kblam.answering.prompts import REFUSAL
from kblam.errors import KnowledgeError
from kblam.knowledge import Triple
from kblam.knowledge.aside import replace_file
from kblam.knowledge.files import json_row, read_rows
from kblam.synthesis.asking import KINDS
from kblam.synthesis.questions import Question

__all__ = ["TRAIN", "VALIDATION", "Entry", "find_dataset", "read_dataset", "read_questions", "write_dataset"]

TRAIN = "train.jsonl"
VALIDATION = "validation.jsonl"
"""The two files of a dataset directory."""


_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact, and the questions that stand on its line."""

    fact: Triple
    questions: tuple[Question, ...]


def find_dataset(path: str | Path) -> tuple[Path, Path | None]:
    """The training file and, if there is one, the validation file of a dataset: a directory, or one file.

    Raises KnowledgeError when neither is there.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / TRAIN).is_file():
            raise KnowledgeError(f"{path} holds no {TRAIN}: make a dataset with kblam synthesize --output {path}")
        return path / TRAIN, path / VALIDATION if (path / VALIDATION).is_file() else None
    if path.is_file():
        return path, None
    raise KnowledgeError(f"there is no dataset {path}: make one with kblam synthesize --output {path}")


def write_dataset(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write entries as JSON lines, whole or not at all."""
    with replace_file(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        for entry in entries:
            row = json_row(entry.fact) | {"questions": [_question_row(entry.fact, item) for item in entry.questions]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _question_row(fact: Triple, question: Question) -> dict[str, Any]:
    row: dict[str, Any] = {"question": question.text, "answer": question.answer, "kind": question.kind}
    if question.facts != (fact.identity,):
        row["facts"] = [list(identity) for identity in question.facts]
    return row


def read_dataset(path: str | Path, questions: str | Path | None = None, first: int | None = None) -> list[Entry]:
    """Read a dataset's file, the first so many facts of it; `questions` names a file of questions that stand apart.

    Rows of microsoft/KBLaM's datasets are read too: their Q and A are a plain question, extended_Q and extended_A an
    open one. Questions that need facts beyond the `first` are left out. Raises KnowledgeError that names the line.
    """
    path = Path(path)
    facts = read_rows(path)
    found: list[tuple[Question, ...]] = [()] * len(facts)
    if path.suffix.lower() != ".csv":
        found = [
            _questions(row, fact, f"{path}, row {number}")
            for number, (row, fact) in enumerate(zip(_objects(path), facts, strict=True), 1)
        ]
    entries = [Entry(fact, asked) for fact, asked in zip(facts, found, strict=True)]
    if questions is not None:
        entries += [Entry(facts[0], tuple(read_questions(questions)))] if facts else []
    return _within(entries, first) if questions is None else _joined(entries)


def read_questions(path: str | Path) -> list[Question]:
    """Read a file of questions alone: `{"question", "kind", "facts": [[entity, property], ...], "answer"}` a line."""
    path = Path(path)
    return [_question(row, (), f"{path}, row {number}") for number, row in enumerate(_objects(path), 1)]


def _joined(entries: list[Entry]) -> list[Entry]:
    """Questions that stand apart, moved to the line of the first fact."""
    *facts, apart = entries
    return [Entry(facts[0].fact, (*facts[0].questions, *apart.questions)), *facts[1:]]


def _within(entries: list[Entry], first: int | None) -> list[Entry]:
    if first is None or first >= len(entries):
        return entries
    kept = entries[:first]
    there = {entry.fact.identity for entry in kept}
    return [
        Entry(entry.fact, tuple(item for item in entry.questions if there.issuperset(item.facts))) for entry in kept
    ]


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{path} cannot be read: {error}") from error
    rows = json.loads(text) if text.lstrip().startswith("[") else _lines(text, path)
    for row in rows:
        if not isinstance(row, dict):
            raise KnowledgeError(f"{path} holds something that is not an object: write one JSON object a line")
        yield row


def _lines(text: str, path: Path) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while (at := _SPACE.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # it matches nothing, too
        try:
            row, at = decoder.raw_decode(text, at)
        except ValueError as error:
            line = text.count("\n", 0, at) + 1
            raise KnowledgeError(f"{path}, line {line} is not JSON ({error}): write one JSON object a line") from error
        yield row


def _questions(row: dict[str, Any], fact: Triple, where: str) -> tuple[Question, ...]:
    found = row.get("questions", [])
    if not isinstance(found, list):
        raise KnowledgeError(f"{where}: questions is not a list")
    asked = [_question(item, (fact.identity,), where) for item in found]
    for question, answer, kind in (("Q", "A", "plain"), ("extended_Q", "extended_A", "open")):
        if isinstance(row.get(question), str) and isinstance(row.get(answer), str) and row[question].strip():
            asked.append(Question(row[question], row[answer], (fact.identity,), kind))
    return tuple(asked)


def _question(row: object, own: tuple[tuple[str, str], ...], where: str) -> Question:
    if not isinstance(row, dict) or not isinstance(row.get("question"), str) or not row["question"].strip():
        raise KnowledgeError(f"{where}: a question is an object with a text `question`")
    kind = row.get("kind", "plain")
    if kind not in KINDS:
        raise KnowledgeError(f"{where}: the kind {kind!r} is unknown: take one of {', '.join(KINDS)}")
    facts = row.get("facts")
    if facts is None:
        facts = own
    try:
        needed = tuple((str(entity), str(name)) for entity, name in facts)
    except (TypeError, ValueError):
        raise KnowledgeError(f"{where}: facts is not a list of [entity, property] pairs") from None
    if (kind == "unanswerable") != (not needed):
        raise KnowledgeError(f"{where}: only a question of the kind unanswerable needs no facts")
    return Question(row["question"], str(row.get("answer", "" if needed else REFUSAL)), needed, kind)
