"""Names that a question misspells: of the rows it resembles most, or of anything spelt nearly like its words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rapidfuzz.distance import OSA

from kblam.naming.names import OPENERS, TOKEN, Mention, Names, inside_longer_name
from kblam.naming.spellings import SHORTEST, digits, slips

__all__ = ["near_mention"]

_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_HAN = re.compile("[\u3400-\u9fff]")

LONG_HAN = 6
"""Chinese characters of a name from which one may be wrong."""
MOST_TOKENS = 8
"""Longer runs of words are not compared with names that the question does not resemble."""


def near_mention(question: str, rows: Iterable[int], names: Names) -> Mention | None:
    """The part of a question that is nearly the name of an entity: of one of these rows, or of any if it begins like a
    name, with a capital or a digit. The best by its spelling; of equals, the name of the earlier row.

    Two letters in the wrong order, one missing, one too many or one wrong count as one slip; the first letter and all
    digits are as they should be.
    """
    found: Mention | None = None
    resembling = [name for row in rows for name in names.names_of(row)]
    for name in dict.fromkeys([*resembling, *_spelt_alike(question, names)]):
        best = _place(question, name, names)
        if best is not None and (found is None or best[2] > found.similarity):
            found = Mention(best[0], best[1], names.rows_named(name), best[2])
    return found


def _spelt_alike(question: str, names: Names) -> list[str]:
    """Names of any entities that are spelt nearly like words of the question that may be a name."""
    spans = [match.span() for match in TOKEN.finditer(question)]
    found: list[str] = []
    for first, (start, end) in enumerate(spans):
        word = question[start:end]
        if word != word.lower() or word[0].isdigit():
            for _, last in spans[first : first + MOST_TOKENS]:
                text = question[start:last].casefold()
                if text not in OPENERS:
                    found += names.spelt_like(text)
    return found


def _place(question: str, name: str, names: Names) -> tuple[int, int, float] | None:
    """Where the question nearly holds the name, and how nearly, from 0 to 1."""
    if len(name) < SHORTEST:
        return None
    allowed, rows = slips(name), names.rows_named(name)
    spans = [match.span() for match in TOKEN.finditer(question)]
    count = len(TOKEN.findall(name))
    best: tuple[int, int, float] | None = None
    for first in range(len(spans)):
        for size in (count, count - 1, count + 1):
            if size < 1 or first + size > len(spans):
                continue
            start, end = spans[first][0], spans[first + size - 1][1]
            text = question[start:end]
            if text[-1] in "-・" or text[0].casefold() != name[0].casefold() or _codes(text) != _codes(name):
                continue
            if inside_longer_name(question, start, end) or names.goes_on(question, start, end, rows):
                continue
            if _more(question[start : start + len(name) + 1], name) or _another_character(text, name):
                continue
            if _another_word(text.casefold(), name.casefold()):
                continue
            distance = OSA.distance(text.casefold(), name.casefold(), score_cutoff=allowed)
            similarity = 1 - distance / len(name)
            if distance <= allowed and (best is None or similarity > best[2]):
                best = start, end, similarity
    return best


def _more(text: str, name: str) -> bool:
    """True for a text that is the name and more in Chinese or Japanese, which is no slip of the pen."""
    return len(text) > len(name) and text.startswith(name) and _CJK.match(text[-1]) is not None


def _another_character(text: str, name: str) -> bool:
    """True for a text as long as a short name that has another Chinese character somewhere, which is no slip of the pen: 陈国栋
    and 陈国强."""
    if len(text) != len(name) or len(_HAN.findall(name)) >= LONG_HAN or sorted(text) == sorted(name):
        return False
    return any(
        ours != theirs and _HAN.match(ours) and _HAN.match(theirs) for ours, theirs in zip(text, name, strict=True)
    )


def _codes(text: str) -> list[str]:
    """The numbers in a text, with a letter right behind them where nothing else is, but for the s of a plural: DZ-400S is not DZ-400,
    but 14Pro is 14 Pro."""
    codes = re.findall(r"\d+(?:[A-Za-z](?![A-Za-z]))?", text)
    return [code.removesuffix("s").casefold() for code in codes]


def _another_word(text: str, name: str) -> bool:
    """True for texts of as many words of which one is no slip of the pen for the other: Mini and Maxi, Dale and Vale, 5a
    and 5b."""
    ours, theirs = ([token for token in TOKEN.findall(each) if token[0].isalnum()] for each in (text, name))
    return len(ours) == len(theirs) and any(
        digits(left + right) != ""
        or (len(left) == len(right) and left[0] != right[0])
        or OSA.distance(left, right) > max(1, slips(right))
        for left, right in zip(ours, theirs, strict=True)
        if left != right and not _CJK.match(left)
    )
