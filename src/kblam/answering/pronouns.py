"""What `it`, `her` and `their` in a part of a question stand for: the name in the part before."""

from __future__ import annotations

import re

__all__ = ["asks_by_itself", "has_pronoun", "named"]

ASKS = re.compile(
    r"^\W*(?:(?:and|also|but|so)\b\W*)*(?:how|when|where|who|whom|whose|what|which|why|is|are|was|were|do|does|did|can|could|has|have|will|would|should|may|must)\b",
    re.IGNORECASE,
)
OWNER = re.compile(
    r"\b(?:its|his|their|her(?= [\w-])(?! (?:by|at|in|on|from|to|with|for|when|and|or)\b))\b", re.IGNORECASE
)
SELF = re.compile(r"\b(?:it|he|she|they|him|her|them)\b", re.IGNORECASE)
OPENS = re.compile(r"^\W*(?:(?:and|also|but|so)\b\W*)*(?:its|his|her|their)\s+", re.IGNORECASE)


def asks_by_itself(part: str) -> bool:
    """True for `how long is its warranty`, which needs no words of the part before but a name."""
    return ASKS.match(part) is not None


def has_pronoun(part: str) -> bool:
    """True when something in a part stands for a name."""
    return OWNER.search(part) is not None or SELF.search(part) is not None


def named(part: str, name: str) -> str:
    """A part with a name in place of what stands for it; `how heavy is the case of NAME` where nothing does."""
    if not has_pronoun(part):
        return f"{part} of {name}" if re.search(r"\bthe\b", part, re.IGNORECASE) else part
    if OPENS.match(part):
        return f"the {OPENS.sub('', part)} of {name}"
    return SELF.sub(lambda _: name, OWNER.sub(lambda _: f"{name}'s", part), count=1)
