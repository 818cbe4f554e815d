"""Chinese and Japanese words in English, for a sentence encoder that reads English only.

A text is cut into words by longest match from the left in two small dictionaries of ours, `chinese.tsv` and
`japanese.tsv`: the words by which people ask about properties of things, and by which tables call them. The words keep
their foreign order, which a mean over tokens hardly minds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["in_english"]

KANA = re.compile("[\u3040-\u30ff]")
FOREIGN = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u9fff]+")

LONGEST = 12
"""Characters of the longest words that are looked for."""


def in_english(text: str) -> str:
    """The text with its Chinese and Japanese words in English; what the dictionaries lack stays as it is."""
    if not FOREIGN.search(text):
        return text
    words = _dictionary(japanese=KANA.search(text) is not None)
    plain = unicodedata.normalize("NFKC", text)
    return " ".join(FOREIGN.sub(lambda run: f" {_translated(run[0], words)} ", plain).split())


def _translated(run: str, words: Mapping[str, str]) -> str:
    """One run of Chinese or Japanese characters, word by word."""
    parts, at, unknown = [], 0, ""
    while at < len(run):
        word = next((run[at:end] for end in range(min(len(run), at + LONGEST), at, -1) if run[at:end] in words), "")
        if word:
            parts += [unknown, words[word]]
            unknown = ""
        else:
            unknown += run[at]
        at += len(word) or 1
    return " ".join(part for part in [*parts, unknown] if part)


@cache
def _dictionary(japanese: bool) -> Mapping[str, str]:
    """Words of both languages; where they differ, those of the given one count."""
    ours, theirs = ("japanese", "chinese") if japanese else ("chinese", "japanese")
    return {**_read(theirs), **_read(ours)}


@cache
def _read(language: str) -> Mapping[str, str]:
    rows = Path(__file__).with_name(f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    return {word: english for word, _, english in (row.partition("\t") for row in rows)}
