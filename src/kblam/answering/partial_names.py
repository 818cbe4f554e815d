"""Names of which a question says only a part: Kingfisher for Project Kingfisher, the town library for Wexcombe Town Library.

The part must fit one thing alone, and nothing in the question may look like another name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kblam.answering.names import OPENERS, Mention, Names
from kblam.answering.spellings import WORD, words

__all__ = ["partial_mention"]

ENOUGH = 0.4
"""Share of a name, by how rare its words are, that must be said where nothing is written like a name."""
PARTIAL = 0.9
"""How sure a name is of which a part is said."""
LINKS = frozenset("of the de la du des der von van".split())
"""Words that join the words of a name: Battle of Stamford Bridge."""
TITLES = frozenset("mr mrs ms miss dr prof professor sir madam class room number no line".split())
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
    """Whether a sentence begins with it."""

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
        return self.word not in OPENERS or (len(self.text) > 1 and self.text.isupper())


def partial_mention(question: str, names: Names) -> Mention | None:
    """The part of a question that is a part of the name of one thing, and of no other that fits as well."""
    tokens = _tokens(question)
    rarity = {token.word: names.rarity(token.word) for token in tokens if token.may_name}
    found = {word: names.with_word(word) for word in rarity}
    written = [token for token in tokens if token.like_a_name and found.get(token.word)]
    written = [token for token in written if not token.text.isdigit()] or written
    likely = {name for token in written for name in found[token.word]}
    scores: dict[str, float] = {}
    for word, kept in found.items():
        for name in kept:
            if name in likely or not likely:
                scores[name] = scores.get(name, 0.0) + rarity[word]
    best = _only_best(scores, names)
    if best is None:
        return None
    own = set(words(best))
    said = [token for token in tokens if token.may_name and token.word in own and rarity[token.word]]
    rows = names.rows_named(best)
    enough = scores[best] >= ENOUGH * sum(map(names.rarity, own))
    if not _fits(tokens, said, own, enough, _asked(question, said, rows, names)):
        return None
    start, end = _place(tokens, said, rarity)
    return Mention(start, end, rows, PARTIAL)


def _only_best(scores: dict[str, float], names: Names) -> str | None:
    """The name with the best score, unless another thing has it too."""
    if not scores:
        return None
    top = max(scores.values())
    best = [name for name, score in scores.items() if score > top - 1e-9]
    return best[0] if len({names.rows_named(name) for name in best}) == 1 else None


def _asked(question: str, said: Sequence[_Token], rows: Sequence[int], names: Names) -> bool:
    """Whether the question names a property of the thing, in other words than those said of its name."""
    there = {token.word for token in said}
    properties = (names.property_of(row) for row in rows if names.named_property(question, row))
    return any(there.isdisjoint(words(name.casefold())) for name in properties)


def _fits(tokens: Sequence[_Token], said: Sequence[_Token], own: set[str], enough: bool, asked: bool) -> bool:
    """Whether the words said mean a name (own: its words), and no other word looks like one.

    enough: whether they are much of it, and asked: whether a property of the thing is named, for words that are not
    written like names.
    """
    strange = [token for token in tokens if token.like_a_name and token.word not in own | TITLES and token.word != "i"]
    named = [token for token in said if token.like_a_name]
    if named and not all(token.text.isdigit() for token in said):
        apart = not any(_joined(tokens, tokens.index(ours), tokens.index(other)) for ours in said for other in strange)
        return apart and not any(_begins_a_name(tokens, tokens.index(token), own) for token in named)
    if named:  # a number alone
        return not strange and any(len(token.text) > 2 for token in named)
    ends = len(said) > 1 or asked or _ends(tokens, tokens.index(said[0]))
    return not strange and enough and ends


def _begins_a_name(tokens: Sequence[_Token], at: int, own: set[str]) -> bool:
    """Whether what stands before a word of a name, at the beginning of a sentence, is a part of it: South Korea."""
    before = tokens[at - 1] if at else None
    return (
        before is not None and before.first and before.text[0].isupper() and before.word not in own | TITLES | OPENERS
    )


def _ends(tokens: Sequence[_Token], at: int) -> bool:
    """Whether no further noun can follow a word: nitric oxide is not called nitric."""
    return at + 1 == len(tokens) or tokens[at + 1].first or tokens[at + 1].word in OPENERS


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


def _tokens(question: str) -> list[_Token]:
    found: list[_Token] = []
    behind = 0
    for match in WORD.finditer(question):
        if match[0] == "s" and question[match.start() - 1] in "'’":
            continue
        begins = not found or any(mark in question[behind : match.start()] for mark in ".?!:")
        found.append(_Token(*match.span(), match[0], match[0].casefold(), begins))
        behind = match.end()
    return found
