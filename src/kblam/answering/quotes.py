"""Whether a model's words are a fact's value, whole, and say it of nothing but that fact."""

from __future__ import annotations

import re
from collections import Counter

from kblam.knowledge import Triple

__all__ = ["quotes"]

WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff]|[^\\W\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or one character of Chinese or Japanese."""
FILLING = frozenset("the of is are s 是 的 は の で す".split())


def quotes(text: str, fact: Triple) -> bool:
    """True for the value by itself, and for `The range of pump P-100 is -10 to 40 C` or `P-100 is ...`.

    Not for `The range of pump P-10 to 40 C`, which holds the value as well, nor for it said twice or of another property.
    """
    if text == fact.value:
        return True
    glued = r"[^\W\u3040-\u30ff\u3400-\u9fff]"
    found = list(re.finditer(rf"(?<!{glued}){re.escape(fact.value)}(?!{glued})", text))
    if len(found) != 1:
        return False
    beside = _words(text[: found[0].start()]) + _words(text[found[0].end() :])
    return any(beside == frame for frame in (Counter(), _words(fact.entity), _words(f"{fact.property} {fact.entity}")))


def _words(text: str) -> Counter[str]:
    """The words that say something, casefolded."""
    return Counter(word for word in WORD.findall(text.casefold()) if word not in FILLING)
