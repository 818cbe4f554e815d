"""Names of which a question says only a part: Kingfisher for Project Kingfisher, the town library for Wexcombe Town Library.

Nothing beside the part may look like another name. A part that is written like a name may fit a few things: what is asked then
tells which of them is meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kblam.answering.names import OPENERS, Mention, Names, inside_longer_name
from kblam.answering.spellings import WORD, words

__all__ = ["partial_mention"]

ENOUGH = 0.2
"""Share of a name, by how rare its words are, that must be said where none of them is written like a name."""
MOST_MEANT = 4
"""So many things may have a name with the part in it."""
PARTIAL = 0.9
"""How sure a name is of which a part is said."""
LINKS = frozenset("of the de la du des der von van".split())
"""Words that join the words of a name: Battle of Stamford Bridge."""
PERSONAL = frozenset("mr mrs ms miss dr prof professor sir madam".split())
ABBREVIATIONS = PERSONAL | frozenset("st mt ft jr sr no".split())
"""Words whose full stop ends no sentence, beside initials."""
TITLES = PERSONAL | frozenset("class room number no line".split())
"""Words that may stand beside a name without being a part of it."""


@dataclass(frozen=True)
class _Token:
    """A word of the question."""

    start: int
    end: int
    text: str
    word: str
    """Casefolded."""
    first: bool
    """Whether a sentence begins with it, and it is no owner: in `Renn's size?` it is one."""

    @property
    def like_a_name(self) -> bool:
        """Written as names are, and not because a sentence begins."""
        if any(character.isdigit() for character in self.text):
            return True
        if len(self.text) > 1 and self.text.isupper():
            return True
        return self.text[0].isupper() and not self.first and self.word not in OPENERS

    @property
    def may_name(self) -> bool:
        """Whether it can be a word of a name here: IT may, it may not."""
        return self.word not in OPENERS | PERSONAL or (len(self.text) > 1 and self.text.isupper())


def partial_mention(question: str, names: Names) -> Mention | None:
    """The part of a question that is a part of the name of one thing, or of a few, and of no other that fits as well."""
    tokens = _tokens(question, names)
    rarity = {token.word: names.rarity(token.word) for token in tokens if token.may_name}
    best, score = _best(tokens, {word: names.with_word(word) for word in rarity}, rarity)
    things = {names.rows_named(name) for name in best}
    if len(things) > 1:  # which of them has the property that is named, if one is and only one has it
        having = {rows for rows in things if any(names.named_property(question, row) for row in rows)}
        things = having if len(having) == 1 else things
        best = [name for name in best if names.rows_named(name) in things]
    own = {word for name in best for word in words(name)}
    shared = own.intersection(*(words(name) for name in best))
    said = [token for token in tokens if token.may_name and token.word in own and rarity[token.word]]
    vague = (len(said) == 1 and not said[0].like_a_name) or not shared.issuperset(token.word for token in said)
    if not 1 <= len(things) <= (1 if vague else MOST_MEANT):
        return None
    rows = sorted({row for each in things for row in each})
    enough = any(score >= ENOUGH * sum(map(names.rarity, set(words(name)))) for name in best)
    if not _fits(tokens, said, own, enough, _asked(question, said, rows, names)):
        return None
    start, end = _place(tokens, said, rarity)
    goes_on = inside_longer_name(question[start:], 0, end - start)  # C in C#
    return None if goes_on else Mention(start, end, tuple(rows), PARTIAL)


def _best(tokens: Sequence[_Token], found: dict[str, list[str]], rarity: dict[str, float]) -> tuple[list[str], float]:
    """The names of which most is said, and how much that is; found: the names with each word."""
    written = [token for token in tokens if token.like_a_name and found.get(token.word)]
    written = [token for token in written if not token.text.isdigit()] or written
    likely = {name for token in written for name in found[token.word]}
    scores: dict[str, float] = {}
    for word, kept in found.items():
        for name in kept:
            if name in likely or not likely:
                scores[name] = scores.get(name, 0.0) + rarity[word]
    top = max(scores.values(), default=0.0)
    return [name for name, score in scores.items() if score > top - 1e-9], top


def _asked(question: str, said: Sequence[_Token], rows: Sequence[int], names: Names) -> bool:
    """Whether the name of a property of the thing follows the word said."""
    rest = re.sub(r"^(?:['’]s?)?\s*", "", question[said[-1].end :]).casefold()
    return any(rest.startswith(names.property_of(row).casefold()) for row in rows)


def _fits(tokens: Sequence[_Token], said: Sequence[_Token], own: set[str], enough: bool, asked: bool) -> bool:
    """Whether the words said mean a name (own: its words), and no other word looks like one.

    enough: whether they are much of it, and asked: whether a property of the thing is named, for words that are not
    written like names.
    """
    known = own | TITLES | {"i"}
    strange = [token for token in tokens if token.like_a_name and token.word not in known]
    strange = [
        token for token in strange if not (token.word.isdigit() and any(word.endswith(token.word) for word in own))
    ]
    named = [token for token in said if token.like_a_name]
    if named and not all(token.text.isdigit() for token in said):
        apart = not any(_joined(tokens, tokens.index(ours), tokens.index(other)) for ours in named for other in strange)
        return apart and not any(_begins_a_name(tokens, tokens.index(token), own) for token in named)
    if named:  # a number alone
        return not strange and any(len(token.text) > 2 for token in named)
    alone = len(said) > 1 or _alone(tokens, tokens.index(said[0]), asked)
    return not strange and enough and alone


def _begins_a_name(tokens: Sequence[_Token], at: int, own: set[str]) -> bool:
    """Whether what stands before a word of a name, at the beginning of a sentence, is a part of it: South Korea."""
    before = tokens[at - 1] if at else None
    return (
        before is not None and before.first and before.text[0].isupper() and before.word not in own | TITLES | OPENERS
    )


def _alone(tokens: Sequence[_Token], at: int, asked: bool) -> bool:
    """Whether no noun stands beside a word: nitric oxide is not called nitric, nor the flood plan plan."""
    begins = tokens[at].first or at == 0 or tokens[at - 1].word in OPENERS
    ends = asked or at + 1 == len(tokens) or tokens[at + 1].first or tokens[at + 1].word in OPENERS
    return begins and ends


def _joined(tokens: Sequence[_Token], one: int, other: int) -> bool:
    """Whether two words are parts of one name as it is written."""
    return all(token.word in LINKS for token in tokens[min(one, other) + 1 : max(one, other)])


def _place(tokens: Sequence[_Token], said: Sequence[_Token], rarity: dict[str, float]) -> tuple[int, int]:
    """Where the rarest of the words said stands, with those beside it."""
    places = {tokens.index(token) for token in said}
    first = last = tokens.index(max(said, key=lambda token: (token.like_a_name, rarity[token.word])))
    while first - 1 in places:
        first -= 1
    while last + 1 in places:
        last += 1
    return tokens[first].start, tokens[last].end


def _tokens(question: str, names: Names) -> list[_Token]:
    found: list[_Token] = []
    behind = 0
    for match in WORD.finditer(question):
        if match[0] == "s" and question[: match.start()].endswith(("'", "’")):
            continue
        begins = not found or _ends_sentence(question[behind : match.start()], found[-1])
        begins = begins and question[match.end() : match.end() + 1] not in ("'", "’")
        word = match[0].casefold()
        if not names.rarity(word) and names.rarity(word.removesuffix("s")):
            word = word.removesuffix("s")  # the U18s, Ferrymans
        found.append(_Token(*match.span(), match[0], word, begins))
        behind = match.end()
    return found


def _ends_sentence(between: str, before: _Token) -> bool:
    """Whether a sentence ends between a word and the next: not behind Dr. or J."""
    stops = before.word not in ABBREVIATIONS and len(before.text) > 1
    return any(mark in between for mark in "?!:") or (stops and "." in between)
