"""Names of which a question says only a part: Kingfisher for Project Kingfisher, the town library for Wexcombe Town Library.

Nothing beside the part may look like another name. A part that is written like a name may fit a few things: what is asked then
tells which of them is meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from kblam.naming.names import OPENERS, Mention, Names, inside_longer_name
from kblam.naming.question_words import PASSING, PERSONAL, Token, said_again, tokens_of
from kblam.naming.spellings import words

__all__ = ["MOST_MEANT", "PARTIAL", "partial_mention"]

ENOUGH = 0.2
"""Share of a name, by how rare its words are, that must be said where none of them is written like a name."""
MOST_MEANT = 4
"""So many things may have a name with the part in it."""
PARTIAL = 0.9
"""How sure a name is of which a part is said."""
LINKS = frozenset("of the de la du des der von van".split())
"""Words that join the words of a name: Battle of Stamford Bridge."""
HELPING = frozenset("do does did is are was were has have had can could will would should may might must".split())
"""Verbs in front of whoever does something: does berta burn gas."""
ASKING = frozenset("to i we you they he she who people".split())
"""Words in front of a verb: how do I reach marta."""
NEGATED = frozenset("isn wasn aren weren doesn don didn hasn haven hadn won wouldn can couldn shouldn mustn".split())
"""What stands before 't."""
ARTICLES = frozenset("the a an this that these those our my your his her their its some any no".split())
TITLES = PERSONAL | PASSING | frozenset("class room number no line".split())
"""Words that may stand beside a name without being a part of it."""


def partial_mention(question: str, names: Names) -> Mention | None:
    """The part of a question that is a part of the name of one thing, or of a few, and of no other that fits as well."""
    tokens = tokens_of(question, names)
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
    about = {word for row in rows for word in words(names.property_of(row).casefold())}
    if not _fits(tokens, said, own, about, enough, _asked(question, said, rows, names)):
        return None
    if any(said_again(tokens, words(name)) for name in best):
        return None
    telling = [token for token in said if (token.like_a_name and not token.text.isdigit()) or token.uncommon]
    if _changed(tokens, best, before=len(said) > 1 and not telling):
        return None
    start, end = _place(tokens, said, rarity)
    goes_on = inside_longer_name(question[start:], 0, end - start)  # C in C#
    return None if goes_on else Mention(start, end, tuple(rows), PARTIAL, partial=True)


def _best(tokens: Sequence[Token], found: dict[str, list[str]], rarity: dict[str, float]) -> tuple[list[str], float]:
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
    best = [name for name, score in scores.items() if score > top - 1e-9]
    if not any(token.like_a_name or token.uncommon for token in tokens if found.get(token.word)):
        # The tower is Quayside Tower rather than Lift A, Quayside Tower.
        best = [name for name in best if all(set(words(name)) <= set(words(other)) for other in best)] or best
    return best, top


def _asked(question: str, said: Sequence[Token], rows: Sequence[int], names: Names) -> tuple[bool, bool]:
    """Whether the name of a property of the thing stands before the word said, and whether behind it."""
    before = question[: said[0].start].rstrip().casefold()
    rest = re.sub(r"^(?:['’]s?)?\s*", "", question[said[-1].end :]).casefold()
    properties = {names.property_of(row).casefold() for row in rows}
    return any(before.endswith(name) for name in properties), any(rest.startswith(name) for name in properties)


def _changed(tokens: Sequence[Token], best: Sequence[str], before: bool) -> bool:
    """Whether another word stands where the name has one that is not said: statistics for biologists for Statistics for
    Geoscientists; before: also the late counter shift for Early counter shift."""
    places = {token.word: at for at, token in reversed(list(enumerate(tokens)))}

    def other(at: int, parts: Sequence[str]) -> bool:
        known = OPENERS.union(TITLES, parts)
        if not 0 <= at < len(tokens) or tokens[at].word in known or _is_verb(tokens, at):
            return False
        return not (tokens[at].word.isdigit() and any(part.endswith(tokens[at].word) for part in parts))

    for name in best:
        parts = words(name)
        for left, right in pairwise(parts):
            if before and left not in places and right in places and other(places[right] - 1, parts):
                return True
            if left in OPENERS and left in places and right not in places and other(places[left] + 1, parts):
                return True
    return False


def _fits(
    tokens: Sequence[Token],
    said: Sequence[Token],
    own: set[str],
    about: set[str],
    enough: bool,
    asked: tuple[bool, bool],
) -> bool:
    """Whether the words said mean a name (own: its words), and no other word looks like one.

    about: the words of the thing's properties. For words that are not written like names, enough: whether they are much of
    it; asked: whether a property of the thing is named before and behind them.
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
    unsaid = own - {token.word for token in said}
    if not enough or any(not token.word.isdigit() or any(map(str.isdigit, unsaid)) for token in strange):
        return False
    tokens = [token for token in tokens if token.word not in PERSONAL]
    at = tokens.index(said[0])
    if any(token in strange for token in tokens[max(0, at - 1) : tokens.index(said[-1]) + 2]):
        return False  # a number beside them
    uncommon = any(token.uncommon for token in said)
    if not uncommon and any(token.uncommon and token.word not in known | about for token in tokens):
        return False  # what is not said of the name is another
    if len(said) > 1 or _alone(tokens, at, asked):
        return True
    return uncommon and _does_something(tokens, at, own)


def _begins_a_name(tokens: Sequence[Token], at: int, own: set[str]) -> bool:
    """Whether what stands before a word of a name, at the beginning of a sentence, is a part of it: South Korea."""
    before = tokens[at - 1] if at else None
    return (
        before is not None and before.first and before.text[0].isupper() and before.word not in own | TITLES | OPENERS
    )


def _alone(tokens: Sequence[Token], at: int, asked: tuple[bool, bool]) -> bool:
    """Whether no noun stands beside a word: nitric oxide is not called nitric, nor the flood plan plan."""
    begins = tokens[at].first or at == 0 or tokens[at - 1].word in OPENERS or _is_verb(tokens, at - 1)
    return (begins or asked[0]) and (asked[1] or _ends(tokens, at + 1))


def _ends(tokens: Sequence[Token], at: int) -> bool:
    """Whether a name that goes up to a word ends there."""
    return at >= len(tokens) or tokens[at].first or tokens[at].word in OPENERS | PASSING


def _is_verb(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word is what somebody does: I catch, to get, who leads."""
    return at > 0 and tokens[at - 1].word in ASKING and not tokens[at].like_a_name


def _does_something(tokens: Sequence[Token], at: int, own: set[str]) -> bool:
    """Whether a word that is hardly ever a noun is whoever does what the words beside it say: does berta burn gas, Tobias goes
    on holiday, staff number halloran."""
    before = tokens[at - 1] if at and not tokens[at].first else None
    after = None if _ends(tokens, at + 1) else tokens[at + 1]
    if any(beside is not None and beside.uncommon and beside.word not in own for beside in (before, after)):
        return False
    if before is None:
        return after is None or after.word.endswith("s") or after.word in NEGATED
    if before.word in ARTICLES:
        return after is None
    return after is None or (before.word in HELPING and _ends(tokens, at + 2))


def _joined(tokens: Sequence[Token], one: int, other: int) -> bool:
    """Whether two words are parts of one name as it is written."""
    return all(token.word in LINKS for token in tokens[min(one, other) + 1 : max(one, other)])


def _place(tokens: Sequence[Token], said: Sequence[Token], rarity: dict[str, float]) -> tuple[int, int]:
    """Where the rarest of the words said stands, with those beside it in its sentence."""
    places = {tokens.index(token) for token in said}
    first = last = tokens.index(max(said, key=lambda token: (token.like_a_name, rarity[token.word])))
    while first - 1 in places and not tokens[first].first:
        first -= 1
    while last + 1 in places and not tokens[last + 1].first:
        last += 1
    return tokens[first].start, tokens[last].end
