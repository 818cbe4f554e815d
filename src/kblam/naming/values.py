"""Which stored values a question says: `Who sits in B-114?` asks the other way round, for the thing that has one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kblam.knowledge import Triple
from kblam.naming.lookup import Lookup, folded, longest_runs
from kblam.naming.mention import Mention
from kblam.naming.names import OPENERS

__all__ = ["Values"]

LONGEST = 80
"""Characters of a value, or of an item of one, beyond which nobody says it."""
LONGEST_LIST = 400
"""Characters of a value whose items are looked up as well."""
BETWEEN = re.compile(r"\s*(?:[;、，；]|(?<!\d)[,/]|[,/](?!\d)|\band\b|&|以及|(?<=\S\S)和(?=\S\S))\s*", re.IGNORECASE)
"""Stands between the items of a list; not in 1,250 or 12/05."""
CODE = re.compile(r"(?:\w[-./]|\d[:,])$"), re.compile(r"[-./]\w|[:,]\d")
"""What shows, in front of a value or behind it, that it is a piece of a code or a number: the 114 in B-114."""
SINGLE = re.compile("[\u3040-\u9fff]")
AROUND = " .。!！?？\"'“”‘’「」"
UNTOLD = frozenset("yes no none true false unknown n/a 是 否 有 无 はい いいえ".split())
"""What says nothing by itself."""
WRITTEN = 50
"""Rows with a value among which one that writes it as the question does is looked for."""


class Values:
    """The values of one version of a knowledge base."""

    def __init__(self, triples: Sequence[Triple]) -> None:
        self._triples = triples
        self._known = Lookup(triples, _keys)

    def changed(self, triples: Sequence[Triple], touched: Iterable[int]) -> Values:
        """The values of another version, from these and the rows in which it may differ; costs what they and the rows with the same
        values cost."""
        ours, values = self._triples, object.__new__(Values)
        touched = {*touched, *range(len(triples), len(ours)), *range(len(ours), len(triples))}
        values._triples, values._known = triples, self._known.changed(ours, triples, touched)
        return values

    def said(self, question: str) -> list[Mention]:
        """The values, or items of lists, that a question says, the longest at each place, with the rows that have them."""
        runs = longest_runs(question, lambda start, end: self._look_up(question, start, end))
        return [Mention(*run) for run in runs]

    def _look_up(self, question: str, start: int, end: int) -> tuple[int, ...]:
        text = question[start:end]
        rows = self._known.of(folded(text))
        if not rows or CODE[0].search(question[max(0, start - 2) : start]) or CODE[1].match(question, end):
            return ()
        if folded(text) not in OPENERS:
            return rows
        # IT and May are values only where they are written so, and not because a sentence begins.
        named = start > 0 and not text.islower()
        return rows if named and any(text in self._triples[row].value for row in rows[:WRITTEN]) else ()


def _keys(triple: Triple) -> set[str]:
    """What the value of a fact is looked up by: all of it, and each item of a list."""
    value = triple.value
    items = BETWEEN.split(value) if len(value) <= LONGEST_LIST and BETWEEN.search(value) else ()
    return {key for text in (value, *(item for item in items if len(item) > 1)) if (key := _key(text))}


def _key(text: str) -> str:
    """The text as it is looked up; nothing for one that nobody says, or that says nothing."""
    if len(text) > 2 * LONGEST:
        return ""
    key = folded(text).strip(AROUND)
    untold = len(key) > LONGEST or key in UNTOLD or not any(map(str.isalnum, key)) or SINGLE.fullmatch(key)
    return "" if untold else key
