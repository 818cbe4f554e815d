"""A question about several facts, as one question for each.

`the capital of Peru and the population of Chile` asks for two facts; `the capital and the population of Peru` and
`the capital of Peru and Chile`
leave out what the other half says. An `and` inside a name (Trinidad and Tobago) joins nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from kblam.answering.pronouns import asks_by_itself, has_pronoun, named
from kblam.naming.asking import asks_for_everything, asks_what_it_is, is_description
from kblam.naming.names import Mention

__all__ = ["about_all", "clauses", "is_stated"]

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
SENTENCE = re.compile(r"[?？]\s*(?=\w)")
LONELY = re.compile(r"^\W*(?:how|when|where|who|whom|what|which|why)\W*$", re.IGNORECASE)
"""A question word by itself asks for more about the same."""
PLAIN = re.compile(r"^\W*(?:what|which|who)\b.*\bthe\b", re.IGNORECASE)
"""What reads best as `What is the area of NAME`."""
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

    `Who is NAME` is one of them where no description says so. properties: the property of a row.
    """
    if len(mentions) != 1:
        return []
    (mention,) = mentions
    told = any(is_description(properties(row)) for row in mention.rows)
    if not asks_for_everything(question, mention) and (told or not asks_what_it_is(question, mention)):
        return []
    name = question[mention.start : mention.end]
    form = (
        "{name}的{property}是什么？" if re.search(r"[\u3400-\u9fff]", question) else "What is the {property} of {name}?"
    )
    return [form.format(name=name, property=properties(row)) for row in mention.rows[:MOST_FACTS]]


def clauses(
    question: str, mentions: Sequence[Mention], is_property: Callable[[str], bool] = lambda words: True
) -> list[str]:
    """The questions inside a question; the question itself when it is one.

    is_property: whether words hold the name of a property here, as `population` in `the capital of Peru and population` does,
    and `stay there` in `Can I take a dog to Peru and stay there?` does not.
    """
    if not mentions:
        return [question]
    sentences = _sentences(question, mentions)
    if len(sentences) > 1:
        return [
            clause for text, found in sentences for clause in (clauses(text, found, is_property) if found else [text])
        ]
    cuts = _joints(question, mentions)
    edges = [0, *(edge for cut in cuts for edge in cut), len(question)]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    held = [[mention for mention in mentions if start <= mention.start and mention.end <= end] for start, end in spans]
    if not 1 < len(spans) <= MOST or any(len(found) > 1 for found in held):
        return [question]
    if any(_goes_on(question[start:end], start, mentions, is_property) for start, end in spans):
        return [question]
    bodies = [TRAILING.sub("", question[start:end]) for start, end in spans]
    frames = [_frame(question, span, found) for span, found in zip(spans, held, strict=True)]
    whole = [index for index, frame in enumerate(frames) if frame is not None and _says_more(*frame)]
    if not whole:
        return [question]
    return [_completed(index, bodies, frames, whole, question, held) for index in range(len(spans))]


def is_stated(clause: str, question: str) -> bool:
    """True for a clause that a question asks in these words: so it can be named where nothing answers it. Not for one made of
    what only stands beside an `and`."""
    made = re.match(r"What is (the .+) of ", clause)
    if made and clause not in question:
        return made[1].casefold() in question.casefold()
    return True


def _goes_on(part: str, start: int, mentions: Sequence[Mention], is_property: Callable[[str], bool]) -> bool:
    """True for a part behind all names that asks for nothing by itself: `when`, `stay there`."""
    if start < max(mention.end for mention in mentions):
        return False
    if LONELY.match(part):
        return True
    says = asks_by_itself(part) or has_pronoun(part) or re.search(r"\bthe\b|[\u3040-\u9fff]", part, re.IGNORECASE)
    return not says and not is_property(part)


def _sentences(question: str, mentions: Sequence[Mention]) -> list[tuple[str, list[Mention]]]:
    """Questions that stand behind each other, with the names in each; those of later ones in place of what stands for them.
    Nothing where one of them names nothing."""
    cuts = [match.end() for match in SENTENCE.finditer(question)]
    cuts = [at for at in cuts[: MOST + 1] if not any(mention.start < at < mention.end for mention in mentions)]
    edges = [0, *cuts, len(question)]
    if len(cuts) >= MOST:
        return []
    found: list[tuple[str, list[Mention]]] = []
    name = ""
    for start, end in pairwise(edges):
        held = [mention for mention in mentions if start <= mention.start and mention.end <= end]
        text = question[start:end].strip()
        if held:
            name = question[held[-1].start : held[-1].end]
            at = question.index(text, start)
            if not _says_more(question[at : held[0].start], question[held[-1].end : end]):
                return []
            found.append((text, [replace(each, start=each.start - at, end=each.end - at) for each in held]))
        elif name and has_pronoun(text):
            found.append((named(TRAILING.sub("", text), name), []))
        else:
            return []
    return found


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
    if STRANGER.search(bodies[index]) and asks_by_itself(bodies[index]):
        return bodies[index]
    if asks_by_itself(bodies[index]) and not PLAIN.match(bodies[index]):
        return named(bodies[index], name)
    stem = LEADING.sub("", re.sub(r"^.*?\b(?=the\s)", "", bodies[index], flags=re.IGNORECASE)).strip()
    if STRANGER.search(stem):
        return f"What is the {stem}"
    if has_pronoun(stem):
        return f"What is {named(stem, name)}"
    if re.search(r"[\u3040-\u9fff]", stem + after):
        joiner = "の" if "の" in after else "的"
        return f"{name}{joiner}{re.sub(r'^[的の]', '', stem)}"
    return f"What is the {stem} of {name}"
