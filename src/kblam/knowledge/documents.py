"""Facts out of texts and Markdown, found by a language model at an endpoint and kept only if the text says them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kblam.errors import InputError, KnowledgeError
from kblam.knowledge.encoders import one_line, tracked
from kblam.knowledge.endpoint import open_client
from kblam.knowledge.files import Rejection, read_text, usable_rows
from kblam.knowledge.triples import Triple

__all__ = ["DOCUMENT_SUFFIXES", "facts_of_document"]

DOCUMENT_SUFFIXES = (".md", ".markdown", ".txt")
CHARACTERS = 3000
"""What one request asks about, unless a single paragraph is longer."""

TASK = """You turn a passage of a document into facts. Answer with a JSON array and nothing else. Each element is
{"entity": "what the fact is about", "property": "which of its properties", "value": "the property's value"}.
Copy each value word for word from the passage, in the passage's language, and keep numbers, units and names whole.
Name entities in full, never as "it" or "the company". Leave out what the passage does not state. No facts: []."""

_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*$")


@dataclass(frozen=True)
class _Passage:
    """Paragraphs that follow each other, under the headings that they stand below."""

    line: int
    headings: tuple[str, ...]
    text: str


def facts_of_document(
    path: str | Path, model: str, endpoint_url: str | None = None, progress: bool = False
) -> tuple[list[Triple], list[Rejection]]:
    """Return the facts that the model finds in the document, and what it said that the document does not.

    A fact's id is the document's name and the line where its passage begins. A fact is rejected when its value is not,
    word for word, in the passage. Raises KnowledgeError for an unusable file, InputError when the model cannot be asked.
    """
    path = Path(path)
    passages = list(_passages(read_text(path, "a .md or .txt file")))
    client = open_client(model, endpoint_url, "write the facts into a .jsonl file yourself")
    facts: list[Triple] = []
    rejected: list[Rejection] = []
    for passage in tracked(passages, progress):
        said = _ask(client, model, passage)
        found, bad = usable_rows(_rows(said, passage), lists=True)
        rejected += bad
        for row, triple in enumerate(found, 1):
            if _plain(triple.value) in _plain(passage.text):
                facts.append(Triple(*triple.identity, triple.value, triple.aliases, id=f"{path.name}:{passage.line}"))
            else:
                reason = f"the text does not say {triple.value[:100]!r}, the {triple.property} of {triple.entity}"
                rejected.append(Rejection(row, passage.line, reason))
    return facts, rejected


def _passages(text: str) -> Iterator[_Passage]:
    """Yield the document in parts: whole paragraphs, up to 3,000 characters, of one section."""
    headings: dict[int, str] = {}
    part: list[str] = []
    first = 1
    for line, paragraph in _paragraphs(text):
        heading = _HEADING.match(paragraph)
        if part and (heading or sum(map(len, part)) + len(paragraph) > CHARACTERS):
            yield _Passage(first, tuple(headings.values()), "\n\n".join(part))
            part = []
        if heading:
            level = len(paragraph) - len(paragraph.lstrip("#"))
            headings = {other: words for other, words in headings.items() if other < level} | {level: heading[1]}
            continue
        first = first if part else line
        part.append(paragraph)
    if part:
        yield _Passage(first, tuple(headings.values()), "\n\n".join(part))


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, paragraph); a heading is a paragraph of its own."""
    lines: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        alone = _HEADING.match(line) is not None
        if lines and (alone or not line.strip()):
            yield number - len(lines), "\n".join(lines)
            lines = []
        if alone:
            yield number, line
        elif line.strip():
            lines.append(line)


def _ask(client: object, model: str, passage: _Passage) -> str:
    from openai import OpenAI, OpenAIError

    assert isinstance(client, OpenAI)
    asked = "\n".join([*(f"Section: {heading}" for heading in passage.headings), "Passage:", passage.text])
    try:
        answer = client.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": TASK}, {"role": "user", "content": asked}],
            temperature=0,
        )
    except OpenAIError as error:
        raise InputError(
            f"{model} at {client.base_url.host} could not be asked for facts: {one_line(error)}"
        ) from error
    return (answer.choices[0].message.content if answer.choices else None) or ""


def _rows(said: str, passage: _Passage) -> list[tuple[int, int, object]]:
    """Return the elements of the array in what the model said, whatever it put around it."""
    start, end = said.find("["), said.rfind("]")
    try:
        rows = json.loads(said[start : end + 1]) if start >= 0 else None
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        return [(1, passage.line, KnowledgeError(f"the model answered no JSON array but {said[:60]!r}"))]
    return [(number, passage.line, row) for number, row in enumerate(rows, 1)]


def _plain(text: str) -> str:
    """Return the text without what Markdown and line breaks put between its words."""
    return " ".join(re.sub(r"[*_`]|\[|\]\([^)]*\)", "", text).split()).casefold()
