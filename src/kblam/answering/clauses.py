"""A question about several facts, as one question for each.

`the capital of Peru and the population of Chile` asks for two facts; `the capital and the population of Peru` and
`the capital of Peru and Chile`
leave out what the other half says. An `and` inside a name (Trinidad and Tobago) joins nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kblam.naming.names import Mention, asks_for_everything

__all__ = ["about_all", "clauses"]

JOINT = re.compile(
    r"\s*(?:,?\s+(?:and also|and,? besides that,?|as well as|and|plus)\s+|[;；，、]\s*(?:and\s+)?|以及|和|与|及|および|と(?!は)|&)\s*",
    re.IGNORECASE,
)
LEADING = re.compile(
    r"^(?:\W*\b(?:the|what|is|are|was|were|who|which|tell|me|give|please|name|and|also|of|for)\b)*\W*", re.IGNORECASE
)
STRANGER = re.compile(r"\bof (?:the )?[A-Z0-9]|[A-Z]\w*['’]s ")
"""Where a part names a thing of its own that is not known: it says all that it means."""
COMMA = re.compile(r",\s+")
"""Joins too, when the list that it stands in ends with one of the words above."""
TRAILING = re.compile(r"[\s?？.。!！]*$")
MOST = 4
"""Questions with more parts are read as a whole."""
MOST_FACTS = 8
"""Facts in the answer to a question about all there is to know."""


def _joints(question: str, mentions: Sequence[Mention]) -> list[tuple[int, int]]:
    inside = [(mention.start, mention.end) for mention in mentions]

    def outside(found: re.Match[str]) -> bool:
        apart = not any(start < found.end() and found.start() < end for start, end in inside)
        return apart and found.start() > 0 and found.end() < len(question)

    words = [match.span() for match in JOINT.finditer(question) if outside(match)]
    if not words:
        return []
    # `Excuse me, ...` is no part of a list: something is asked for in front of a comma that joins.
    first = min([found.start() for found in re.finditer(r"\bthe\b", question)] + [start for start, _ in inside])
    commas = [
        match.span()
        for match in COMMA.finditer(question)
        if outside(match) and first < match.start() and match.end() <= words[-1][0]
    ]
    return sorted([*words, *commas])


def about_all(question: str, mentions: Sequence[Mention], properties: Callable[[int], str]) -> list[str]:
    """`Describe NAME` and its like as one question for each of the entity's facts, MOST_FACTS at most; else nothing.

    properties: the property of a row.
    """
    if len(mentions) != 1 or not asks_for_everything(question, mentions[0]):
        return []
    mention = mentions[0]
    name = question[mention.start : mention.end]
    form = (
        "{name}的{property}是什么？" if re.search(r"[\u3400-\u9fff]", question) else "What is the {property} of {name}?"
    )
    return [form.format(name=name, property=properties(row)) for row in mention.rows[:MOST_FACTS]]


def clauses(question: str, mentions: Sequence[Mention]) -> list[str]:
    """The questions inside a question; the question itself when it is one."""
    if not mentions:
        return [question]
    cuts = _joints(question, mentions)
    edges = [0, *(edge for cut in cuts for edge in cut), len(question)]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    held = [[mention for mention in mentions if start <= mention.start and mention.end <= end] for start, end in spans]
    if not 1 < len(spans) <= MOST or any(len(found) > 1 for found in held):
        return [question]
    bodies = [TRAILING.sub("", question[start:end]) for start, end in spans]
    frames = [_frame(question, span, found) for span, found in zip(spans, held, strict=True)]
    whole = [index for index, frame in enumerate(frames) if frame is not None and _says_more(*frame)]
    if not whole:
        return [question]
    return [_completed(index, bodies, frames, whole, question, held) for index in range(len(spans))]


def _frame(question: str, span: tuple[int, int], found: Sequence[Mention]) -> tuple[str, str] | None:
    """What stands before and after the only name in a part; None without a name."""
    if not found:
        return None
    return question[span[0] : found[0].start], TRAILING.sub("", question[found[0].end : span[1]])


def _says_more(before: str, after: str) -> bool:
    return bool(re.sub(r"[\W_]|\b(?:the|and|of|compare)\b", "", before + after, flags=re.IGNORECASE))


def _completed(
    index: int,
    bodies: list[str],
    frames: list[tuple[str, str] | None],
    whole: list[int],
    question: str,
    held: list[list[Mention]],
) -> str:
    """A part with what it leaves out taken from the nearest part that says it."""
    if index in whole:
        return bodies[index]
    nearest = min(whole, key=lambda other: abs(other - index))
    before, after = frames[nearest] or ("", "")
    mention = held[index][0] if held[index] else held[nearest][0]
    name = question[mention.start : mention.end]
    if held[index]:
        return f"{before}{name}{after}"
    stem = LEADING.sub("", re.sub(r"^.*?\b(?=the\s)", "", bodies[index], flags=re.IGNORECASE)).strip()
    if STRANGER.search(stem):
        return f"What is the {stem}"
    if re.search(r"[\u3040-\u9fff]", stem + after):
        joiner = "の" if "の" in after else "的"
        return f"{name}{joiner}{re.sub(r'^[的の]', '', stem)}"
    return f"What is the {stem} of {name}"
