"""What `it`, `her` and `their` stand for: a name said before, in another part of a question or an earlier one."""

from __future__ import annotations

import re

__all__ = ["asks_by_itself", "goes_back", "has_pronoun", "named"]

ASKS = re.compile(
    r"^\W*(?:(?:and|also|but|so)\b\W*)*(?:how|when|where|who|whom|whose|what|which|why|is|are|was|were|do|does|did|can|could|has|have|will|would|should|may|must)\b",
    re.IGNORECASE,
)
OWNER = re.compile(
    r"\b(?:its|his|their|her(?= [\w-])(?! (?:by|at|in|on|from|to|with|for|when|and|or)\b))\b", re.IGNORECASE
)
SELF = re.compile(r"\b(?:it|he|she|they|him|her|them)\b|彼女|彼|それ|(?<![其吉])[它他她](?!人)们?", re.IGNORECASE)
OWNED = re.compile("その|其(?![他中实它余])")
"""What stands for a name and の or 的."""
OPENS = re.compile(r"^\W*(?:(?:and|also|but|so|what about|how about)\b\W*)*(?:its|his|her|their)\s+", re.IGNORECASE)
BACK = re.compile(r"^\W*(?:and|but|what about|how about)\b.*\bthe\b", re.IGNORECASE)
"""What leaves the name out: `And the price?`"""


def asks_by_itself(part: str) -> bool:
    """True for `how long is its warranty`, which needs no words of the part before but a name."""
    return ASKS.match(part) is not None


def has_pronoun(part: str) -> bool:
    """True when something in a part stands for a name."""
    return any(pattern.search(part) for pattern in (OWNER, SELF, OWNED))


def goes_back(question: str) -> bool:
    """True when a question can only be understood with one before it."""
    return has_pronoun(question) or BACK.match(question) is not None


def named(part: str, name: str) -> str:
    """A part with a name in place of what stands for it; `how heavy is the case of NAME` where nothing does."""
    if not has_pronoun(part):
        return f"{part} of {name}" if re.search(r"\bthe\b", part, re.IGNORECASE) else part
    if OPENS.match(part):
        return f"the {OPENS.sub('', part)} of {name}"
    part = OWNED.sub(lambda found: f"{name}の" if found[0] == "その" else f"{name}的", part)
    return SELF.sub(lambda _: name, OWNER.sub(lambda _: f"{name}'s", part), count=1)
