"""Public datasets that the user has: the original's, AtlasKV's, PopQA; CounterFact and zsRE as knowledge edits."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kblam.errors import KnowledgeError
from kblam.knowledge import Triple
from kblam.synthesis.dataset import Entry, find_dataset, read_dataset
from kblam.synthesis.questions import Question

__all__ = ["Edit", "Neighbour", "Public", "read_public"]


@dataclass(frozen=True)
class Neighbour:
    """A question that an edit must leave alone."""

    question: str
    answer: str | None
    """What it was answered before; None where only the edit's new value is wrong."""


@dataclass(frozen=True)
class Edit:
    """A fact made to say something else, and how one sees whether it does."""

    fact: Triple
    """With the new value."""
    questions: tuple[str, ...]
    """The edit's own (efficacy)."""
    rephrased: tuple[str, ...]
    """In other words (generalisation)."""
    neighbours: tuple[Neighbour, ...]
    """About something else (specificity)."""


@dataclass(frozen=True)
class Public:
    """What a file holds."""

    name: str
    entries: list[Entry] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)


def read_public(path: str | Path) -> Public:
    """Read a dataset by its fields, whatever the file is called; a dataset directory of ours is read as well.

    Raises KnowledgeError that names the row which lacks something.
    """
    path = Path(path)
    if path.is_dir() or path.suffix.lower() == ".csv":
        train, validation = find_dataset(path)
        return Public("dataset", read_dataset(validation or train))
    rows = _tab_rows(path) if path.suffix.lower() == ".tsv" else _rows(path)
    first = rows[0] if rows else {}
    for name, (fields, read) in _FORMATS.items():
        if fields <= first.keys():
            return _all(name, rows, read, path)
    return Public("dataset", read_dataset(path))


def _all(
    name: str, rows: Sequence[dict[str, Any]], read: Callable[[dict[str, Any]], Entry | Edit], path: Path
) -> Public:
    found: dict[tuple[str, str], Entry | Edit] = {}
    for number, row in enumerate(rows, 1):
        try:
            item = read(row)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, KnowledgeError) as error:
            raise KnowledgeError(f"{path}, row {number}: not a row of {name} ({error!r}): look at that row") from error
        # Of several rows about one subject and relation the first counts: a knowledge base holds one value for them.
        found.setdefault(item.fact.identity, item)
    entries = [item for item in found.values() if isinstance(item, Entry)]
    return Public(name, entries, [item for item in found.values() if isinstance(item, Edit)])


def _popqa(row: Mapping[str, Any]) -> Entry:
    """PopQA (Mallen et al., 2023): a tab-separated file; aliases are JSON lists in a field."""
    aliases = tuple(dict.fromkeys(text for text in json.loads(row.get("s_aliases") or "[]") if text != row["subj"]))
    fact = Triple(row["subj"], row["prop"], row["obj"], aliases)
    return Entry(fact, (Question(row["question"], fact.value, (fact.identity,), "paraphrased"),))


def _counterfact(row: Mapping[str, Any]) -> Edit:
    """CounterFact (Meng et al., 2022): prompts end where the object would follow."""
    wanted = row["requested_rewrite"]
    prompt, subject = str(wanted["prompt"]), str(wanted["subject"])
    fact = Triple(subject, _relation(prompt, "{}"), wanted["target_new"]["str"])
    neighbours = tuple(Neighbour(str(text), None) for text in row["neighborhood_prompts"])
    return Edit(fact, (prompt.format(subject),), tuple(map(str, row["paraphrase_prompts"])), neighbours)


def _zsre(row: Mapping[str, Any]) -> Edit:
    """ZsRE as MEND splits it (Mitchell et al., 2022): `alt` is the new answer, `loc` another question."""
    question, subject = str(row["src"]), str(row["subject"])
    fact = Triple(subject, _relation(question, subject), row["alt"] or row["answers"][0])
    other = str(row["loc"]).removeprefix("nq question: ").strip(" ?")
    rephrased = [row["rephrase"]] if isinstance(row["rephrase"], str) else row["rephrase"]
    return Edit(fact, (question,), tuple(map(str, rephrased)), (Neighbour(f"{other[:1].upper()}{other[1:]}?", None),))


_FORMATS: dict[str, tuple[set[str], Callable[[dict[str, Any]], Entry | Edit]]] = {
    "PopQA": ({"subj", "prop", "obj", "question"}, _popqa),
    "CounterFact": ({"requested_rewrite", "neighborhood_prompts"}, _counterfact),
    "zsRE": ({"src", "alt", "loc", "subject"}, _zsre),
}
_LEADS = re.compile(r"^(?:what|who|which|where|when|in|on|at|to|is|was|are|were|did|does|do|the|name of)\b[\s,]*", re.I)
_TAILS = re.compile(r"\b(?:is|was|are|were|of|by|in|for|the|,)\s*$", re.I)


def _relation(text: str, subject: str) -> str:
    """A name for what a prompt or a question asks about its subject: its words without the subject's."""
    rest = " ".join(text.replace(subject, " ").rstrip("?:. ").split())
    shorter = rest
    while (cut := _TAILS.sub("", _LEADS.sub("", shorter)).strip(" ,'")) != shorter and cut:
        shorter = cut
    return shorter or rest or "description"


def _rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON array or of JSON lines; nothing when it is neither, which its own reader then says."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{path} cannot be read: {error}") from error
    try:
        rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines() if line]
    except ValueError:
        return []
    return [row for row in rows if isinstance(row, dict)]


def _tab_rows(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))
