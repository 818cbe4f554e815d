"""A question about a thing that it names only by what another one has: `the extension of the lead of Project Kestrel`.

The lead is looked up first, and the question read again with the name found there in place of those words. Two facts answer then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kblam.answering.reader import Reader
from kblam.answering.speech import Choice
from kblam.naming.asking import asks_what_it_is
from kblam.naming.mention import Mention

__all__ = ["Hop", "hop_in", "through"]

OF = re.compile(r"(?:\bthe\s+)?(?P<what>[\w-]+(?:\s[\w-]+){0,3})\s+of\s+(?:the\s+)?$", re.IGNORECASE)
OWN = re.compile(r"['’]s?\s+(?P<what>[\w-]+(?:\s[\w-]+){0,2})")
CJK = re.compile(r"(?P<joint>[的の])(?P<what>[^的の\s？?，。]{1,8})(?=[的の])")
BEFORE = re.compile(r"([\w-]+)\s+of\s*$", re.IGNORECASE)
BEHIND = re.compile(r"['’]s?\s+([\w-]+)|[的の]([^\s？?，。的の]{1,4})")
NAMING = frozenset("name names identity 名字 姓名 名称 名前 氏名".split())
"""What a thing has that is the thing itself, as far as an answer goes."""
MOST = 3
"""Steps to an answer, beside the last."""
STOPS = frozenset(
    "the of a an is are was were does do did has have had will would can could should may in at by for from with to and "
    "which what who whom whose where when how many much my our your their his her its".split()
)
"""Words with which what a thing has, in front of `of`, cannot go on."""


@dataclass(frozen=True)
class Hop:
    """What a question says of a thing to mean another one."""

    what: str
    """What the thing has: `lead`."""
    mention: Mention
    """Where the thing is named."""
    start: int
    end: int
    """Where the words stand that mean the other one."""
    inner: str
    """The question which one that is."""


def hop_in(question: str, mentions: Sequence[Mention]) -> Hop | None:
    """The words of a question that mean one thing by another, which it names; None where there are none, or more to ask than that."""
    if len(mentions) != 1:
        return None
    (mention,) = mentions
    name = question[mention.start : mention.end]
    if found := CJK.match(question, mention.end):
        what, joint = found["what"], found["joint"]
        inner = f"{name}の{what}は何ですか？" if joint == "の" else f"{name}的{what}是什么？"
        return Hop(what, mention, mention.start, found.end(), inner)
    if found := OWN.match(question, mention.end):
        what = found["what"].split()[0]
        return Hop(what, mention, mention.start, found.start("what") + len(what), f"What is the {what} of {name}?")
    if found := OF.search(question[: mention.start]):
        words = found["what"].split()
        last = max((at for at, word in enumerate(words) if word.casefold() in STOPS), default=-1)
        if last + 1 == len(words):
            return None
        what = " ".join(words[last + 1 :])
        start = found.end("what") - len(what)
        start -= len(re.search(r"(?:\bthe\s+)?$", question[:start], re.IGNORECASE)[0])  # type: ignore[index]
        return Hop(what, mention, start, mention.end, f"What is the {what} of {name}?")
    return None


def through(
    reader: Reader,
    clauses: Sequence[str],
    choices: Sequence[Choice],
    choose: Callable[[Sequence[str]], list[Choice]],
    most: int = MOST,
) -> list[Choice]:
    """The choices, with those of clauses in steps where these lead to an answer: where a property of the thing named is said word for
    word, or nothing answers in one. What clearly asks something of the other thing that is not known is refused."""
    hops = {
        index: hop
        for index, (clause, choice) in enumerate(zip(clauses, choices, strict=True))
        if most and (hop := hop_in(clause, reader.mentions(clause)))
        and (_property_row(reader, hop) is not None or not choice.rows)
    }  # fmt: skip
    first = _first_rows(reader, hops, choose)
    again: dict[int, str] = {}
    for index, row in first.items():
        hop, clause, name = hops[index], clauses[index], reader.snapshot.triples[row].value
        text = f"{clause[: hop.start]}{name}{clause[hop.end :]}"
        if not asks_what_it_is(text, Mention(hop.start, hop.start + len(name), ())):
            again[index] = text
    found, texts = list(choices), list(again.values())
    seconds = through(reader, texts, choose(texts), choose, most - 1) if texts else []
    for index, choice in zip(again, seconds, strict=True):
        if (choice.rows and choice.form == "value") or _asks_on(clauses[index], hops[index]):
            found[index] = replace(choice, via=(first[index], *choice.via))
    return found


def _asks_on(clause: str, hop: Hop) -> bool:
    """Whether the words behind a hop, or before it, ask for what the other thing has: the birthday of [the lead of Kestrel]."""
    before, behind = BEFORE.search(clause[: hop.start]), BEHIND.match(clause, hop.end)
    asked = before[1] if before else (behind[1] or behind[2]) if behind else ""
    return bool(asked) and asked.casefold() not in NAMING and not any(asked.startswith(name) for name in NAMING)


def _first_rows(
    reader: Reader, hops: dict[int, Hop], choose: Callable[[Sequence[str]], list[Choice]]
) -> dict[int, int]:
    """The rows that say which thing is meant, where there is one and it is a thing that is known."""
    said = {index: row for index, hop in hops.items() if (row := _property_row(reader, hop)) is not None}
    asked = [index for index, hop in hops.items() if index not in said and _leads_on(reader, hop.mention.rows)]
    for index, choice in zip(asked, choose([hops[index].inner for index in asked]) if asked else (), strict=True):
        if choice.rows:
            said[index] = choice.rows[0]
    return {index: row for index, row in said.items() if _leads_on(reader, [row])}


def _property_row(reader: Reader, hop: Hop) -> int | None:
    """The row that has the property which the hop says word for word, if its value is a thing."""
    rows = [row for row in hop.mention.rows if reader.names.is_property(hop.what, row) and _leads_on(reader, [row])]
    return rows[0] if rows else None


def _leads_on(reader: Reader, rows: Sequence[int]) -> bool:
    """Whether the value of one of the rows is a thing that is known."""
    return any(reader.names.rows_named(reader.snapshot.triples[row].value) for row in rows)
