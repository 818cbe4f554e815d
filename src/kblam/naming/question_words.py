"""The words of a question, and how each of them is written: like a name, or as ordinary questions have it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from kblam.naming.names import OPENERS, Names
from kblam.naming.spellings import WORD
from kblam.naming.spoken_words import SHORT_FOR, common

__all__ = ["PASSING", "PERSONAL", "Token", "said_again", "tokens_of"]

PERSONAL = frozenset(
    "mr mrs ms miss dr prof professor sir madam frau herr madame monsieur señor señora signor signora".split()
)
ABBREVIATIONS = PERSONAL | frozenset("st mt ft jr sr no".split())
"""Words whose full stop ends no sentence, beside initials."""
INITIAL = re.compile(r"[A-Z]\. ?(?=[A-Z])")
"""The first letter of a first name: A. Thornbury."""
PASSING = frozenset(
    "already still now today tonight tomorrow yesterday again here there ever never always usually normally currently "
    "monday tuesday wednesday thursday friday saturday sunday january february march april june july august september october "
    "november december easter christmas".split()
)
"""Times and other words beside a name that belong to no name."""


@dataclass(frozen=True)
class Token:
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
        if self.text.isupper() and (len(self.text) > 1 or not (self.first or self.text == "I")):
            return True
        return self.text[0].isupper() and not self.first and self.word not in OPENERS

    @property
    def may_name(self) -> bool:
        """Whether it can be a word of a name here: IT may, it may not."""
        return self.word not in OPENERS | PERSONAL or (self.like_a_name and self.text.isupper())

    @property
    def uncommon(self) -> bool:
        """Whether no ordinary question has it, as few have a surname, in whatever case it is written."""
        known = self.word in OPENERS | PASSING or self.word.removesuffix("s") in PASSING
        return len(self.word) > 2 and self.word.isalpha() and not known and not common(self.word)


def tokens_of(question: str, names: Names) -> list[Token]:
    """The words of a question, as names have them: without the s of a plural, the whole word for a clipped one."""
    found: list[Token] = []
    behind = 0
    for match in WORD.finditer(question):
        if match[0] == "s" and question[: match.start()].endswith(("'", "’")):
            continue
        if len(match[0]) == 1 and INITIAL.match(question, match.start()):
            behind = match.end() + 1
            continue
        begins = not found or _ends_sentence(question[behind : match.start()], found[-1])
        begins = begins and question[match.end() : match.end() + 1] not in ("'", "’")
        word = match[0].casefold()
        if not names.rarity(word):  # the U18s, Ferrymans; the lab
            single = "" if match[0].endswith("S") and word[-2:-1].isdigit() else word.removesuffix("s")
            word = next((other for other in (single, SHORT_FOR.get(word, "")) if names.rarity(other)), word)
        found.append(Token(*match.span(), match[0], word, begins))
        behind = match.end()
    return found


def said_again(tokens: Sequence[Token], parts: Sequence[str]) -> list[Token]:
    """Words that a question says twice in a name where its words have it once: Upper Upper Marl or Upper Little Upper Marl, for
    Upper Marl."""
    return [
        token
        for at, token in enumerate(tokens)
        if token.like_a_name and parts.count(token.word) == 1 and token.word in _going_on(tokens[at:], parts)
    ]


def _going_on(tokens: Sequence[Token], parts: Sequence[str]) -> set[str]:
    """The words of a name that stand behind the first word without a break."""
    joined = takewhile(lambda pair: pair[1].start == pair[0].end + 1 and pair[1].word in parts, pairwise(tokens))
    return {right.word for _, right in joined}


def _ends_sentence(between: str, before: Token) -> bool:
    """Whether a sentence ends between a word and the next: not behind Dr. or J."""
    stops = before.word not in ABBREVIATIONS and len(before.text) > 1
    return any(mark in between for mark in "?!:") or (stops and "." in between)
