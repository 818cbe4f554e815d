"""The kinds of question that a dataset holds beside plain and paraphrased ones: misspelt, by another name, about three
facts, open, and about what is not there."""

from __future__ import annotations

import random
from collections.abc import Sequence

from kblam.answering.prompts import REFUSAL
from kblam.knowledge import Triple
from kblam.synthesis.properties import CHINESE_PROPERTIES, JAPANESE_PROPERTIES
from kblam.synthesis.questions import Question, is_cjk, misspell, paraphrased_question, plain_question, sentence

__all__ = [
    "KINDS",
    "ask_by_alias",
    "ask_missing",
    "ask_misspelt",
    "ask_openly",
    "ask_three",
    "language_of",
]

KINDS = ("plain", "paraphrased", "misspelt", "alias", "two", "three", "open", "unanswerable")
"""The kinds of question, in the order of tables."""

OPEN = (
    "What do you know about {e}?",
    "Describe {e} in a few words.",
    "Write a short note about {e}.",
    "What should I know about {e}?",
    "Give me an overview of {e}.",
    "Summarize everything that is known about {e}.",
)
CHINESE_OPEN = ("关于{e}你知道些什么？", "请概括一下{e}的情况。", "写几句关于{e}的话。", "{e}有哪些信息？")
JAPANESE_OPEN = (
    "{e}について知っていることを全部教えてください。",
    "{e}の概要をまとめてください。",
    "{e}についてどんな情報がありますか？",
)
_CHINESE, _JAPANESE = (frozenset(item.name for item in table) for table in (CHINESE_PROPERTIES, JAPANESE_PROPERTIES))


def language_of(text: str) -> str:
    """`Japanese`, `Chinese` or `English`, by the characters of a text (Japanese when it has kana)."""
    if any("\u3040" <= character <= "\u30ff" for character in text):
        return "Japanese"
    return "Chinese" if is_cjk(text) else "English"


def ask_misspelt(fact: Triple, draw: random.Random, known: frozenset[str]) -> Question | None:
    """A question whose entity is spelt wrongly; None where a slip of the pen makes another entity or none is possible."""
    wrong = misspell(fact.entity, draw)
    if is_cjk(fact.entity) or fact.entity in wrong or wrong in known:
        return None
    return _renamed(fact, wrong, "misspelt", draw)


def ask_by_alias(fact: Triple, draw: random.Random) -> Question | None:
    """A question that calls the entity by another of its names; None when it has none."""
    return _renamed(fact, draw.choice(fact.aliases), "alias", draw) if fact.aliases else None


def _renamed(fact: Triple, name: str, kind: str, draw: random.Random) -> Question:
    ask = paraphrased_question if draw.random() < 0.3 else plain_question
    question = ask(Triple(name, fact.property, fact.value), draw)
    answer = fact.value if question.answer == fact.value else sentence(fact)
    return Question(question.text, answer, (fact.identity,), kind)


def ask_three(facts: Sequence[Triple], draw: random.Random) -> Question:
    """One question about three facts of one language, answered line by line."""
    identities = tuple(fact.identity for fact in facts)
    properties = [fact.property for fact in facts]
    if is_cjk(properties[0]):
        joiner, form = ("の", "{}は何ですか？") if _is_japanese(facts) else ("的", "{}分别是什么？")
        asked = "、".join(f"{fact.entity}{joiner}{fact.property}" for fact in facts)
        return Question(form.format(asked), "\n".join(fact.value for fact in facts), identities, "three")
    if len({fact.entity for fact in facts}) == 1:
        first, second, third = properties
        asked = f"the {first}, the {second} and the {third} of {facts[0].entity}"
    else:
        first, second, third = (f"the {fact.property} of {fact.entity}" for fact in facts)
        asked = f"{first}, {second} and {third}"
    form = draw.choice(("What are {}?", "Tell me {}.", "Please give me {}.", "I need {}."))
    return Question(form.format(asked), "\n".join(map(sentence, facts)), identities, "three")


def ask_openly(facts: Sequence[Triple], draw: random.Random) -> Question:
    """A question about an entity as such, answered with all its facts."""
    entity = facts[0].entity
    forms: Sequence[str] = OPEN
    if any(is_cjk(fact.property) for fact in facts):
        forms = JAPANESE_OPEN if _is_japanese(facts) else CHINESE_OPEN
    answer = "\n".join(fact.value if is_cjk(fact.property) else sentence(fact) for fact in facts)
    return Question(draw.choice(forms).format(e=entity), answer, tuple(fact.identity for fact in facts), "open")


def _is_japanese(facts: Sequence[Triple]) -> bool:
    """Whether Japanese asks about these facts; some property names are the same in Chinese."""
    names = {fact.property for fact in facts}
    return bool(names & (_JAPANESE - _CHINESE)) or (bool(names & _JAPANESE) and not names & (_CHINESE - _JAPANESE))


def ask_missing(entity: str, property: str, draw: random.Random) -> Question:
    """A question that no fact answers, about an entity or a property that is not there."""
    ask = paraphrased_question if draw.random() < 0.5 else plain_question
    return Question(ask(Triple(entity, property, "-"), draw).text, REFUSAL, (), "unanswerable")
