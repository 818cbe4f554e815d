"""What a question asks for: what a thing has, which thing has something, or both where it says half of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from kblam.answering.beside import twins
from kblam.answering.reader import Reader
from kblam.answering.reading import Reading
from kblam.knowledge import Triple
from kblam.naming.asking import is_description
from kblam.naming.spellings import words
from kblam.naming.spoken_words import common

__all__ = ["MOST_LISTED", "Form", "answering_rows", "form_asked", "in_form", "listed"]

Form = Literal["value", "thing", "both"]
"""The value, the name of the thing that has it, or `name: value`."""
MOST_LISTED = 20
"""Things that an answer names; of more it says how many."""
CJK = re.compile("[\u3040-\u9fff]")
MOST_READ = 40
"""Rows that say the same which are read whole, each with the question."""
MUCH_WORSE = 4.0
"""What says the same of another thing answers unless its logit is below none's and so far below the best one's."""
SHORTEST = 3
"""Letters of a word that tells which value is meant."""


def form_asked(reader: Reader, reading: Reading, index: int, row: int) -> Form:
    """What a question asks of a row: the thing, if it says the value; both, if it does not name the thing, but the value describes
    it, or is said in part, or another thing leads to it."""
    if not reader.snapshot.has_texts:
        return "value"
    fact, mention = reader.snapshot.triples[row], reading.mention_of(index, row)
    if row in reading.via[index]:
        return "both"
    if reading.says_value(index, row) and (mention is None or mention.partial):
        return "thing" if mention is None else "both"
    hinted = is_description(fact.property) or _says_in_part(reading.texts[index], fact.value)
    return "both" if mention is None and hinted else "value"


def answering_rows(reader: Reader, reading: Reading, index: int, row: int) -> tuple[int, ...]:
    """The row, and those that say the same of other things; of no more than MOST_READ only such as answer the question hardly worse,
    by reading them whole."""
    same = [other for other in twins(reader.names, reading, index, row) if other != row]
    if reader.fact_pairs is None or not same or len(same) > MOST_READ:
        return (row, *same)
    triples = [reader.snapshot.triples[each] for each in (row, *same)]
    own, *logits = reader.fact_pairs.logits([reading.plain[index]] * len(triples), triples).tolist()
    enough = min(0.0, own - MUCH_WORSE)
    return (row, *(twin for twin, logit in zip(same, logits, strict=True) if logit > enough))


def _says_in_part(question: str, value: str) -> bool:
    """Whether a question says a number, a name or an uncommon word of a value."""
    said = set(words(question.casefold()))
    return any(word.casefold() in said and _tells(word, at == 0) for at, word in enumerate(words(value)))


def _tells(word: str, first: bool) -> bool:
    """Whether a word tells which value is meant; first: in it, where capitals tell nothing."""
    name = word[0].isupper() and not first
    return any(map(str.isdigit, word)) or (len(word) >= SHORTEST and (name or not common(word.casefold())))


def in_form(text: str, fact: Triple, form: Form) -> str:
    """What is said of a fact, with the name of its thing if that is asked for, too, and not said."""
    name = rf"(?<![A-Za-z0-9]){re.escape(fact.entity)}(?![A-Za-z0-9])"
    if form != "both" or re.search(name, text, re.IGNORECASE):
        return text
    return f"{fact.entity}{'：' if CJK.search(fact.value) else ': '}{text}"


def listed(facts: Sequence[Triple]) -> str:
    """The names of the things that facts are about."""
    names = list(dict.fromkeys(fact.entity for fact in facts))
    text = ("、" if any(map(CJK.search, names)) else ", ").join(names[:MOST_LISTED])
    return text if len(names) <= MOST_LISTED else f"{text} (+{len(names) - MOST_LISTED})"
