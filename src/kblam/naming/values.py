"""Which stored values a question says: `Who sits in B-114?` asks the other way round, for the thing that has one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from kblam.knowledge import Triple
from kblam.naming.lookup import Lookup, folded
from kblam.naming.mention import Mention
from kblam.naming.names import MOST_TOKENS, OPENERS
from kblam.naming.spellings import TOKEN

__all__ = ["Values"]

LONGEST = 80
"""Characters of a value, or of an item of one, beyond which nobody says it."""
LONGEST_LIST = 400
"""Characters of a value whose items are looked up as well."""
BETWEEN = re.compile(r"\s*(?:[;,、，；/]|\band\b|&|以及|和)\s*", re.IGNORECASE)
"""Stands between the items of a list; not in 1,250."""
IN_NUMBER = re.compile(r"(?<=\d),(?=\d)")
CODE = re.compile(r"\w[-./:,]$"), re.compile(r"[-./:,]\w")
"""What shows, in front of a value or behind it, that it is a piece of a code or a number: the 114 in B-114."""
SINGLE = re.compile("[\u3040-\u9fff]")
UNTOLD = OPENERS | frozenset("yes no none true false unknown n/a 是 否 有 无 はい いいえ".split())
"""What says nothing by itself."""


class Values:
    """The values of one version of a knowledge base."""

    def __init__(self, triples: Sequence[Triple]) -> None:
        self._triples = triples
        self._known = Lookup(triples, _keys)

    def changed(self, triples: Sequence[Triple], touched: Iterable[int]) -> Values:
        """The values of another version, from these and the rows in which it may differ; costs what they cost."""
        ours, values = self._triples, object.__new__(Values)
        touched = {*touched, *range(len(triples), len(ours)), *range(len(ours), len(triples))}
        values._triples, values._known = triples, self._known.changed(ours, triples, touched)
        return values

    def said(self, question: str) -> list[Mention]:
        """The values, or items of lists, that a question says, the longest at each place, with the rows that have them."""
        spans = [match.span() for match in TOKEN.finditer(question)]
        found: list[Mention] = []
        first = 0
        while first < len(spans):
            for last in range(min(len(spans), first + MOST_TOKENS) - 1, first - 1, -1):
                start, end = spans[first][0], spans[last][1]
                rows = self._known.of(folded(question[start:end]))
                if rows and not (CODE[0].search(question[:start]) or CODE[1].match(question, end)):
                    found.append(Mention(start, end, rows))
                    first = last
                    break
            first += 1
        return found


def _keys(triple: Triple) -> set[str]:
    """What the value of a fact is looked up by: all of it, and each item of a list."""
    return {key for text in (triple.value, *_items(triple.value)) if (key := _key(text))}


def _key(text: str) -> str:
    """The text as it is looked up; nothing for one that nobody says, or that says nothing."""
    key = folded(text).strip(" .。!！?？\"'“”‘’「」")
    untold = len(key) > LONGEST or key in UNTOLD or not any(map(str.isalnum, key)) or SINGLE.fullmatch(key)
    return "" if untold else key


def _items(value: str) -> Iterator[str]:
    if len(value) <= LONGEST_LIST:
        items = BETWEEN.split(IN_NUMBER.sub("", value))
        yield from (item for item in items if len(items) > 1 and len(item) > 1)
