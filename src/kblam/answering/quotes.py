"""Whether a model's words are a fact's value, whole, and say it of nothing but that fact."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from kblam.knowledge import Triple

__all__ = ["quotes", "sides"]

WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff]|[^\\W\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or one character of Chinese or Japanese."""
FILLING = frozenset("the of is are s 是 的 は の で す".split())
SIGN = re.compile(r"[-+−$€£¥#.,]$")
"""What belongs to a number that begins right behind it."""
GOES_ON = re.compile(r"[.,:]\d")
"""What belongs to a number that stands right before it."""


def quotes(text: str, fact: Triple) -> bool:
    """True for the value by itself, and for `The range of pump P-100 is -10 to 40 C` or `P-100 is ...`.

    Not for `The range of pump P-10 to 40 C`, which holds the value as well, nor for it said twice or of another property.
    """
    frames = (Counter[str](), _words(fact.entity), _words(f"{fact.property} {fact.entity}"))
    return text == fact.value or any(
        _words(before) + _words(after) in frames for before, after in sides(text, fact.value)
    )


def sides(text: str, value: str) -> Iterator[tuple[str, str]]:
    """What stands before and behind each place where a text holds a value as words of their own."""
    at = text.find(value)
    while at >= 0:
        before, after = text[:at], text[at + len(value) :]
        signed = value[0].isdigit() and SIGN.search(before)
        longer = value[-1].isdigit() and GOES_ON.match(after)
        if not (signed or longer or _glued(before[-1:], value[0]) or _glued(value[-1], after[:1])):
            yield before, after
        at = text.find(value, at + 1)


def _glued(left: str, right: str) -> bool:
    """True when two neighbouring characters may belong to one word; the first of a name ends where a sign stands in the second."""
    return (
        bool(left and right)
        and WORD.fullmatch(left) is not None
        and not _foreign(left)
        and not _foreign(right)
        and (right.isalnum() or right in "-+−")
    )


def _foreign(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff"


def _words(text: str) -> Counter[str]:
    """The words that say something, casefolded."""
    return Counter(word for word in WORD.findall(text.casefold()) if word not in FILLING)
