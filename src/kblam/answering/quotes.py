"""Whether a model's words say a fact's value, whole, and nothing that the fact does not say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from kblam.knowledge import Triple

__all__ = ["grounded", "quotes"]

WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff]|[^\\W\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or one character of Chinese or Japanese."""
FILLING = frozenset("the of is are s 是 的 は の で す".split())
FUNCTION = FILLING | frozenset(
    """a an and as at be by called currently for from has have in it its known on that their they this to was were which who whose with
    了 在 为 和 与 由 有 这 那 一 个 种 项 它 他 她 们 叫 做""".split()
)
"""What a sentence may say besides, without saying anything more of a thing; nothing that denies or doubts."""
HIRAGANA = re.compile("[\u3041-\u309f]")
"""What joins the words of a Japanese sentence."""
ENDING = re.compile("(?<=[a-z]{3})(?:ions?|ing|ers?|ed|es?|s)$")
"""What forms of an English word differ in: `located` and `location`, `leads` and `leader`."""
SIGN = re.compile(r"[-+−$€£¥#.,]$")
"""What belongs to a number that begins right behind it."""


def quotes(text: str, fact: Triple) -> bool:
    """True for the value by itself, and for `The range of pump P-100 is -10 to 40 C` or `P-100 is ...`.

    Not for `The range of pump P-10 to 40 C`, which holds the value as well, nor for it said twice or of another property.
    """
    frames = (Counter[str](), _words(fact.entity), _words(f"{fact.property} {fact.entity}"))
    return text == fact.value or any(
        _words(before) + _words(after) in frames for before, after in _beside(text, fact.value)
    )


def grounded(text: str, facts: Sequence[Triple], question: str) -> bool:
    """True for a sentence that says the first fact's value, and in which every other word is of the question, of the facts or of grammar.

    `Kestrel has a budget of 48,300 EUR.` is; `48,300 EUR, which is not enough.` is not, nor what a model adds from its own memory.
    """
    said = set().union(*(_words(f"{fact.entity} {fact.property} {fact.value}") for fact in facts), _words(question))
    return any(_all_known(_words(f"{before} {after}"), said) for before, after in _beside(text, facts[0].value))


def _all_known(words: Iterable[str], said: set[str]) -> bool:
    """Whether words are said elsewhere, perhaps in another form, or only hold a sentence together."""
    stems = set(map(_stem, said))
    return all(word in FUNCTION or _stem(word) in stems or HIRAGANA.fullmatch(word) for word in words)


def _stem(word: str) -> str:
    return ENDING.sub("", word)


def _beside(text: str, value: str) -> Iterator[tuple[str, str]]:
    """What stands before and behind each place where a text holds a value as words of their own."""
    at = text.find(value)
    while at >= 0:
        before, after = text[:at], text[at + len(value) :]
        signed = value[0].isdigit() and SIGN.search(before)
        if not (signed or _glued(before[-1:], value[0]) or _glued(value[-1], after[:1])):
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
