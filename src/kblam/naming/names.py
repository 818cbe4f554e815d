"""Which entities and properties of a knowledge base a question names, word for word.

One dictionary look-up per run of words in the question, whatever the size of the knowledge base.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from kblam.knowledge import Triple
from kblam.naming.asking import asks_what_it_is, is_description
from kblam.naming.lookup import MOST_TOKENS, Lookup, folded, longest_runs
from kblam.naming.mention import Mention
from kblam.naming.spellings import TOKEN, Neighbours, Spellings, Words
from kblam.naming.spoken_words import common
from kblam.naming.unspaced_names import begins_behind, ends_before, goes_on, is_another

__all__ = [
    "TOKEN",
    "Mention",
    "Names",
    "inside_longer_name",
]

MOST_PROPERTY_TOKENS = 6
"""Longer names of properties are not looked for in a question about another row."""
MOST_LETTERS = 64
"""Longer words are not looked at."""
MOST_NAMES = 64
"""A word in more names than these does not say which is meant."""
MOST_HOLDING = 256
"""Two characters in more names than these neither."""
OPENERS = frozenset(
    "a an the of in on at to is it its as by do does or and are was be for from how what who when where which why i we you "
    "he she they this that can us me my no not so if "
    "compare describe list explain show find define say state tell give name please would could did has have had will "
    "whose with under about also than s regarding concerning considering consider take given according check remind help "
    "among inside within since until after before between through against during besides without near beside behind beyond despite "
    "except into off onto out outside over per toward towards upon via above across along around below let suppose imagine assume "
    "then now hi hello hey thanks ok okay well dear as was were does should may might must shall am be been is because while "
    "his her hers its their theirs him them whom "
    "where once if unless whether both either neither each every any some all more most other another "
    "anything anyone anybody something someone somebody everything everyone everybody nothing nobody".split()
)  # fmt: skip
"""Words that may stand before a name without being a part of it, whatever their case."""
EXACT = OPENERS | frozenset("up down back out main new old".split())
"""Words that are names only when they are written exactly like the name: the company HI is not meant by `Hi, ...`."""
LONGEST_INITIALS = 5
"""Letters of initials that may be an ordinary word as well."""
CAPITAL = re.compile(r"[\w,;] [A-Z]\w")
"""A word that is written like a name, and not because a sentence begins."""
DOTTED = re.compile("(?<=[ァ-ヺー])・([ァ-ヺー]+)")
"""A foreign name in Japanese that has one more part."""
PREFIXES = "New Old Upper Lower North South East West Little Great Saint Mount Lake".split()
"""What makes another name of one where Chinese or Japanese stands right before it: 找New [Falen]."""


class Names:
    """The entities, aliases and properties of one version of a knowledge base."""

    def __init__(self, triples: Sequence[Triple]) -> None:
        self._triples = triples
        self._known = Lookup(triples, _keys)
        self.properties: Counter[str] = Counter(triple.property for triple in triples)
        """How many facts have a property; versions made by `changed` only add to it."""
        self._folded_properties: frozenset[str] | None = None
        self._spellings: list[Spellings] = []
        """Of the names in `_known.rows`, when they are first needed; versions share the list."""
        self._changed_spellings: Spellings | None = None
        self._words: list[Words] = []
        """The same names by their words; shared, too."""
        self._changed_words: Words | None = None
        self._pairs: list[Neighbours] = []
        """Those in Chinese and Japanese by their characters; shared as well."""
        self._changed_pairs: Neighbours | None = None

    def changed(self, triples: Sequence[Triple], touched: Iterable[int]) -> Names:
        """The names of another version, from these and the rows in which it may differ; costs what they cost."""
        ours, names = self._triples, object.__new__(Names)
        touched = {*touched, *range(len(triples), len(ours)), *range(len(ours), len(triples))}
        # Copied, for another thread may be reading those of the version before.
        names._triples, names.properties = triples, self.properties.copy()
        names._known = self._known.changed(ours, triples, touched)
        names.properties.update(triples[row].property for row in touched if row < len(triples))
        same = names._known.rows is self._known.rows
        names._spellings, names._words, names._pairs = (
            (self._spellings, self._words, self._pairs) if same else ([], [], [])
        )
        names._folded_properties = names._changed_spellings = names._changed_words = names._changed_pairs = None
        return names

    def _rows_of(self, key: str) -> tuple[int, ...]:
        return self._known.of(key)

    def mentions(self, question: str) -> list[Mention]:
        """The entities that the question names, longest first at each place, none inside another."""
        found = [
            Mention(start, end, rows)
            for start, end, rows in longest_runs(question, lambda start, end: self._look_up(question[start:end]))
            if not (inside_longer_name(question, start, end) or self.goes_on(question, start, end, rows))
        ]
        having: dict[str, set[tuple[int, ...]]] = {}
        for rows in {mention.rows for mention in found if len(found) > 1}:
            for row in rows:
                having.setdefault(folded(self._triples[row].property), set()).add(rows)
        return [
            mention
            for mention in found
            # What is a thing's name, too, but here the name of a property that another thing mentioned has.
            if not having.get(folded(question[mention.start : mention.end]), set()) - {mention.rows}
            and not self._is_ordinary(question, mention)
        ]

    def goes_on(self, question: str, start: int, end: int, rows: Sequence[int]) -> bool:
        """True for a Chinese or Japanese name of the thing of these rows that goes on behind `end`, [北京]大学的校长, or is another
        by what stands beside it, 新[城东店]."""
        if is_another(question, start, end):
            return True
        return goes_on(question, start, end, map(self.property_of, rows), self.properties)

    def words_beside(self, question: str, mention: Mention) -> int:
        """On how many sides of a Chinese or Japanese name there seem to be words of a longer one: [北京]大学, where there is 上海大学.

        Not what one of its properties is called, nor another name.
        """
        start, end = mention.start, mention.end
        more = DOTTED.match(question, end)
        behind = (more is not None and not self._rows_of(folded(more[1]))) or begins_behind(
            question, end, map(self.property_of, mention.rows), self.with_pair
        )
        before = ends_before(question, start, self.with_pair) and not any(
            self._rows_of(folded(question[first:start])) for first in range(max(0, start - MOST_TOKENS), start - 1)
        )
        return int(behind) + int(before)

    def _look_up(self, text: str) -> tuple[int, ...]:
        key = folded(text)
        return self._whole(key) if key not in EXACT or text in self._written(key) else ()

    def _written(self, key: str) -> set[str]:
        """How the names that a folded text is are written."""
        return {name for row in self._rows_of(key) for name in self.names_of(row) if folded(name) == key}

    def _is_ordinary(self, question: str, mention: Mention) -> bool:
        """True for an ordinary word that is somebody's initials, too, in a question that writes other names with capitals and none
        of its properties: CAR is not meant by `Who hit a car in Upper Falen?`."""
        text = question[mention.start : mention.end]
        if not (text.islower() and len(text) <= LONGEST_INITIALS and common(text)):
            return False
        rest = f"{question[: mention.start]} {question[mention.end :]}"
        return (
            CAPITAL.search(rest) is not None
            and all(map(str.isupper, self._written(text)))
            and not any(self.named_property(rest, row) for row in mention.rows)
        )

    def _whole(self, key: str) -> tuple[int, ...]:
        """All rows about what has this name: another name of a thing need not stand in every row about it."""
        rows = self._rows_of(key)
        others = {folded(self._triples[row].entity) for row in rows} - {key}
        return tuple(sorted({*rows, *(row for name in others for row in self._rows_of(name))})) if others else rows

    def names_of(self, row: int) -> tuple[str, ...]:
        """How the row's entity is called."""
        triple = self._triples[row]
        return (triple.entity, *triple.aliases)

    def property_of(self, row: int) -> str:
        """What the row says of its entity."""
        return self._triples[row].property

    def rows_named(self, name: str) -> tuple[int, ...]:
        """The rows about what has this name."""
        return self._whole(folded(name))

    def spelt_like(self, text: str) -> list[str]:
        """Names of entities, folded, that a casefolded text misspells or is, nearest first."""
        if not self._spellings:
            self._spellings.append(Spellings(self._known.rows))
        if self._changed_spellings is None:
            self._changed_spellings = Spellings(self._known.changes)
        known = [*self._spellings[0].near(text), *self._changed_spellings.near(text)]
        return [name for name in known if self._rows_of(name)]

    def with_word(self, word: str) -> list[str]:
        """Names of entities, folded, of which a casefolded word is one; none for a word that is in too many of them."""
        known = [*self._by_word().holding(word), *self._changed_by_word().holding(word)]
        if len(known) > MOST_NAMES:
            return []
        return [name for name in dict.fromkeys(known) if self._rows_of(name)]

    def with_pair(self, pair: str) -> list[str]:
        """Names of entities, folded, in which two Chinese or Japanese characters stand beside each other; none for two that do so
        in too many."""
        if not self._pairs:
            self._pairs.append(Neighbours(self._known.rows))
        if self._changed_pairs is None:
            self._changed_pairs = Neighbours(self._known.changes)
        held = self._pairs[0].holding(pair), self._changed_pairs.holding(pair)
        if sum(map(len, held)) > MOST_HOLDING:
            return []
        return [name for name in dict.fromkeys((*held[0], *held[1])) if self._rows_of(name)]

    def rarity(self, word: str) -> float:
        """How much a casefolded word tells of which name is meant: log(1 + names / names with it), 0 if none has it."""
        holding = len(self._by_word().holding(word)) + len(self._changed_by_word().holding(word))
        return math.log1p((self._by_word().count + self._changed_by_word().count) / holding) if holding else 0.0

    def _by_word(self) -> Words:
        if not self._words:
            self._words.append(Words(self._known.rows))
        return self._words[0]

    def _changed_by_word(self) -> Words:
        if self._changed_words is None:
            self._changed_words = Words(self._known.changes)
        return self._changed_words

    def siblings(self, row: int) -> tuple[int, ...]:
        """The rows about the same entity, the row itself among them."""
        return self._rows_of(folded(self._triples[row].entity))

    def names_a_property(self, text: str) -> bool:
        """True when the text holds the name of a property that anything here has."""
        if self._folded_properties is None:
            self._folded_properties = frozenset(folded(name) for name in self.properties)
        spans = [match.span() for match in TOKEN.finditer(text)]
        return any(
            folded(text[spans[first][0] : spans[last][1]]) in self._folded_properties
            for first in range(len(spans))
            for last in range(first, min(len(spans), first + MOST_PROPERTY_TOKENS))
        )

    def is_property(self, words: str, row: int) -> bool:
        """True when the words are the name of the row's property."""
        name, asked = folded(self._triples[row].property), folded(words)
        return name in (asked, asked.removesuffix("各"), asked.removesuffix("都")) or (
            is_description(asked) and is_description(name)
        )

    def named_property(self, question: str, row: int) -> bool:
        """True when the question holds the words of the row's property; `What is NAME?` names the description."""
        name, text = folded(self._triples[row].property), folded(question)
        if is_description(name) and any(
            row in mention.rows and asks_what_it_is(question, mention) for mention in self.mentions(question)
        ):
            return True
        at = text.find(name)
        while at >= 0:
            before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 1]
            if not (_continues(before, name[0]) or _continues(name[-1], after)):
                return True
            at = text.find(name, at + 1)
        return False


def _keys(triple: Triple) -> set[str]:
    """What an entity is looked up by."""
    return {folded(name) for name in (triple.entity, *triple.aliases)}


def inside_longer_name(question: str, start: int, end: int) -> bool:
    """True when the words around a name belong to it: Equatorial [Guinea], [Guinea]-Bissau, [C]#."""
    if re.match(r"[#+]|-\w| [A-Z]{1,2}[a-z]+", question[end:]):
        return True
    if question[start - 1 : start] not in (" ", "-"):
        return False
    left = re.search(r"(\w+)[ -]$", question[max(0, start - MOST_LETTERS) : start])
    if left is None:
        return False
    behind_cjk = re.search("[\u3040-\u30ff\u3400-\u9fff]([A-Za-z]+)$", left[1])
    if behind_cjk:
        return behind_cjk[1] in PREFIXES
    return left[1][0].isupper() and left[1].casefold() not in OPENERS


def _continues(left: str, right: str) -> bool:
    """True when two neighbouring characters belong to one word."""
    return bool(left and right) and TOKEN.findall(left + right) == [left + right]
