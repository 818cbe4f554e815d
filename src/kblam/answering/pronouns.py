"""What `it`, `her` and `their` stand for: a name said before, in another part of a question or an earlier one."""

from __future__ import annotations

import re

__all__ = ["asks_by_itself", "goes_back", "has_pronoun", "named"]

ASKS = re.compile(
    r"^\W*(?:(?:and|also|but|so)\b\W*)*(?:how|when|where|who|whom|whose|what|which|why|is|are|was|were|do|does|did|can|could|has|have|will|would|should|may|must)\b",
    re.IGNORECASE,
)
OWNER = re.compile(
    r"\b(?:[Ii]ts|[Hh]is|[Tt]heir|[Hh]er(?= [\w-])(?! (?:by|at|in|on|from|to|with|for|when|and|or)\b))\b"
)
SELF = re.compile(
    r"\b(?:[Ii]t|[Hh]e|[Ss]he|[Tt]hey|him|her|them)\b|(?:彼女?|それ)(?=[のはがをにも])|(?<![其吉排])[它他她]们?(?=[的是在有住叫])"
)
OWNED = re.compile("その(?![他ほ後前時上中まう])")
"""What stands for a name and の."""
OPENS = re.compile(r"^\W*(?:(?:and|also|but|so|what about|how about)\b\W*)*(?:its|his|her|their)\s+", re.IGNORECASE)
BACK = re.compile(r"^\W*(?:[Aa]nd|[Bb]ut|[Ww]hat about|[Hh]ow about) the [a-z -]+\W*$")
"""What leaves the name out: `And the price?`"""
MOST_WORDS = 10
"""In longer questions `it` seldom stands for what was asked about before."""


def asks_by_itself(part: str) -> bool:
    """True for `how long is its warranty`, which needs no words of the part before but a name."""
    return ASKS.match(part) is not None


def has_pronoun(part: str) -> bool:
    """True when something in a part stands for a name."""
    return any(pattern.search(part) for pattern in (OWNER, SELF, OWNED))


def goes_back(question: str) -> bool:
    """True when a question can only be understood with one before it."""
    if BACK.match(question):
        return " of " not in question
    return has_pronoun(question) and len(question.split()) <= MOST_WORDS


def named(part: str, name: str) -> str:
    """A part with a name in place of what stands for it; `how heavy is the case of NAME` where nothing does."""
    if not has_pronoun(part):
        behind = re.search(r"\bthe\b", part, re.IGNORECASE) and " of " not in part
        return f"{part} of {name}" if behind else part
    if OPENS.match(part):
        return f"the {OPENS.sub('', part)} of {name}"
    part = OWNED.sub(f"{name}の", part)
    return SELF.sub(lambda _: name, OWNER.sub(lambda _: f"{name}'s", part), count=1)
