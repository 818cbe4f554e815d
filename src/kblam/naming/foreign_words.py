"""Words of a question that look like names and belong to none that a fact has: the Seine, where only the Loire is known."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from rapidfuzz.distance import OSA

from kblam.knowledge import Triple
from kblam.naming.names import Mention, Names
from kblam.naming.question_words import PASSING, PERSONAL, Token, said_again, tokens_of
from kblam.naming.spellings import words
from kblam.naming.unspaced_parts import split_part

__all__ = ["Foreign", "foreign_words"]

SHORTEST_PART = 3
"""Letters of a word that may stand for a longer one that begins so, or be misspelt with one letter more."""
ROMAN = dict(zip("i ii iii iv v vi vii viii ix x".split(), map(str, range(1, 11)), strict=True))
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


class Foreign(NamedTuple):
    """How many words of a question are written like names though nothing in a fact is called so."""

    words: int
    """Numbers aside."""
    numbers: int
    beside: int
    """Those of either kind that stand right beside a word of the thing's name: Old Renn, where only Renn is known; in Chinese
    and Japanese 1 for a name, or a part of it, that goes on in another way."""


def foreign_words(question: str, fact: Triple, names: Names, mention: Mention | None = None) -> Foreign:
    """What a question writes like names of something else than the fact is about.

    mention: where it calls the thing by a part of its name, or a misspelt one.
    Chinese and Japanese, where names are not told from words by how they are written, count as one such word unless a part of
    the name is said.
    """
    if _CJK.search(question):
        if mention is not None:
            return Foreign(0, 0, 0)
        called = (fact.entity, *fact.aliases)
        goes_on = any(name.casefold() in question.casefold() or split_part(question, name) for name in called)
        return Foreign(1, 0, int(goes_on))
    tokens = tokens_of(question, names)
    own = words(" ".join((fact.entity, *fact.aliases)).casefold())
    known = [*own, *words(f"{fact.property} {fact.value}".casefold())]
    initials = "".join(word[0] for word in own)
    again = said_again(tokens, words(fact.entity.casefold()))
    named = [token for token in tokens if mention and mention.start <= token.start < mention.end]
    foreign = [
        token
        for token in tokens
        if _like_a_name(token)
        and token.word not in PASSING | PERSONAL | {"i"}
        and (token in again or not (token in named or _known(token.text.casefold(), known, initials)))
    ]

    def of_name(token: Token) -> bool:
        return token.word in own or token in named

    numbers = sum(token.text.isdigit() for token in foreign)
    beside = sum(
        (left in foreign and of_name(right)) or (right in foreign and of_name(left))
        for left, right in pairwise(tokens)
        if question[left.end : right.start] in (" ", "-") and all(_like_a_name(token) for token in (left, right))
    )
    return Foreign(len(foreign) - numbers, numbers, beside)


def _like_a_name(token: Token) -> bool:
    return token.like_a_name or token.uncommon


def _known(word: str, known: list[str], initials: str) -> bool:
    """Whether a word is one of these, a part or a misspelling of one, their initials, or the same number."""
    number = ROMAN.get(word, word)
    if any(number == ROMAN.get(other, other) for other in known) or (len(word) > 1 and word in initials):
        return True
    if len(word) < SHORTEST_PART or word.isdigit():
        return False
    return any(
        other.startswith(word)
        or word.removesuffix("s") == other
        or (len(other) > SHORTEST_PART and OSA.distance(word, other, score_cutoff=1) <= 1)
        for other in known
        if not other.isdigit()
    )
