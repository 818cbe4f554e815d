"""Words of a question that look like names and belong to none that a fact has: the Seine, where only the Loire is known."""

from __future__ import annotations

import re

from rapidfuzz.distance import OSA

from kblam.knowledge import Triple
from kblam.naming.names import Names
from kblam.naming.question_words import PASSING, PERSONAL, tokens_of
from kblam.naming.spellings import words

__all__ = ["foreign_words"]

SHORTEST_PART = 3
"""Letters of a word that may stand for a longer one that begins so, or be misspelt with one letter more."""
ROMAN = dict(zip("i ii iii iv v vi vii viii ix x".split(), map(str, range(1, 11)), strict=True))
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def foreign_words(question: str, fact: Triple, names: Names) -> tuple[int, int]:
    """How many words, and how many numbers, the question writes like names though nothing in the fact is called so.

    Chinese and Japanese, where names are not told from words by how they are written, count as one such word.
    """
    if _CJK.search(question):
        return 1, 0
    said = [token for token in tokens_of(question, names) if token.like_a_name or token.uncommon]
    strange = [token.text for token in said if token.word not in PASSING | PERSONAL | {"i"}]
    known = words(" ".join((fact.entity, *fact.aliases, fact.property, fact.value)).casefold())
    initials = "".join(word[0] for name in (fact.entity, *fact.aliases) for word in words(name.casefold()))
    foreign = [text for text in strange if not _known(text.casefold(), known, initials)]
    numbers = sum(text.isdigit() for text in foreign)
    return len(foreign) - numbers, numbers


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
