"""Whether a larger model's sentence says a fact's value, and nothing besides that is not given: by the question, the facts, or grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kblam.answering.quotes import sides
from kblam.knowledge import Triple

__all__ = ["grounded"]

WORD = re.compile(
    "\\d+(?:[.,:/]\\d+)*|[\u3041-\u309f]+|[\u30a0-\u30ff]+|[\u3400-\u9fff]|[^\\W\\d\u3040-\u30ff\u3400-\u9fff]+"
)
"""A whole number, a run of either Japanese syllabary, one Chinese character, or a word."""
GRAMMAR = frozenset(
    """a an and are as at be by called can currently do does for from has have in is it its known led located of on s that the their they
    this to was were which who whose with yes 是 的 了 在 为 和 与 由 有 这 那 一 个 种 项 它 他 她 们 叫 做""".split()
)
"""What a sentence may say besides, without saying anything more of a thing."""
DENYING = frozenset("not no never without nor neither cannot hardly 不 没 無 无 未 非 否 别".split())
"""What turns a sentence round, whoever said it before."""
PARTICLES = re.compile(
    "(?:から|まで|です|ます|でした|ました|する|して|した|れて|されて|いる|います|ある|あります|という|といいます|こと|なので|[はがをにでのともへきしりいえちみびぎくうるつた])+"
)
"""What joins the words of a Japanese sentence, and the ends of its verbs."""
DOUBTING = re.compile("ない|ません|なかった|ず$|ぬ$|かも|だろう|でしょう|らしい|そう|ただし|のみ|しか")
CONTRACTED = re.compile(r"n['’]t\b", re.IGNORECASE)
COMPARING = re.compile(r"[≠<>≤≥~≈±]\s*$")
"""What makes another amount of the number behind it."""
PLURAL = re.compile("(?<=[a-z]{3})(?:(?<=ss)es|(?<!s)s)$")
ENDING = re.compile("(?:(?<=[a-z]{5})ions?|(?<=[a-z]{3})(?:ing|ers?|ed|e))$")
"""What forms of an English word differ in: `located` and `location`, `leads` and `leader`."""


def grounded(text: str, facts: Sequence[Triple], question: str) -> bool:
    """True for a sentence that says the first fact's value, and in which every other word is of the question, of the facts or of grammar.

    `Kestrel has a budget of 48,300 EUR.` is; `48,300 EUR, which is not enough.` is not, nor what a model adds from its own memory.
    Numbers are of the facts alone: a question may hold a wrong one.
    """
    known = {word for fact in facts for word in _words(f"{fact.entity} {fact.property} {fact.value}")}
    known |= {word for word in _words(question) if not word[0].isdigit()}
    stems = {_stem(word) for word in known}
    names = [name for fact in facts for name in (fact.entity, fact.property)]
    for before, after in sides(text, facts[0].value):
        rest = _without(f"{before} {after}", names)
        turned = COMPARING.search(before) or CONTRACTED.search(rest)
        if not turned and all(_given(word, known, stems) for word in _words(rest)):
            return True
    return False


def _without(text: str, names: Sequence[str]) -> str:
    """The text without the facts' own names, which may hold what denies or doubts elsewhere: `No. 5`, 无线电."""
    pattern = "|".join(
        rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])" for name in sorted(names, key=len, reverse=True)
    )
    return re.sub(pattern, " ", text, flags=re.IGNORECASE)


def _given(word: str, known: set[str], stems: set[str]) -> bool:
    if word in DENYING or DOUBTING.search(word):
        return False
    return word in known or word in GRAMMAR or _stem(word) in stems or PARTICLES.fullmatch(word) is not None


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _stem(word: str) -> str:
    return ENDING.sub("", PLURAL.sub("", word))
