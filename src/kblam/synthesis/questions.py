"""Questions about facts and the answers expected of a model."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from kblam.knowledge import Triple
from kblam.synthesis.properties import CHINESE_PROPERTIES, JAPANESE_PROPERTIES, PROPERTIES

__all__ = ["Question", "ask_about", "ask_two", "misspell", "plain_question"]

PLAIN = (
    "What is the {p} of {e}?",
    "What is the {p} of {e}?",
    "what is the {p} of {e}",
    "What's the {p} of {e}?",
    "Tell me the {p} of {e}.",
    "Can you tell me the {p} of {e}?",
    "Please give me the {p} of {e}.",
    "Do you know the {p} of {e}?",
    "I would like to know the {p} of {e}.",
    "Name the {p} of {e}.",
)
SHORT = (
    "{e} {p}?",
    "What {p} does {e} have?",
    "What is {e}'s {p}?",
    "Which {p} has {e}?",
    "{p} of {e}",
    "For {e}, what is the {p}?",
)
CHINESE_PLAIN = (
    "{e}的{p}是什么？",
    "{e}的{p}是什么?",
    "{e}的{p}？",
    "请告诉我{e}的{p}。",
    "{e}的{p}是多少？",
    "我想知道{e}的{p}",
)
JAPANESE_PLAIN = (
    "{e}の{p}は何ですか？",
    "{e}の{p}は？",
    "{e}の{p}を教えてください。",
    "{e}の{p}は何ですか",
    "{e}の{p}を知りたいです。",
)
OPENINGS = ("", "", "", "", "Hi, ", "Hello! ", "Quick question: ", "Excuse me, ", "I wonder: ")
PARAPHRASES = {item.name: item.paraphrases for item in (*PROPERTIES, *CHINESE_PROPERTIES, *JAPANESE_PROPERTIES)}


@dataclass(frozen=True)
class Question:
    """A question, the answer expected, and the identities of the facts it needs (none: it cannot be answered)."""

    text: str
    answer: str
    facts: tuple[tuple[str, str], ...]
    kind: str


def sentence(triple: Triple) -> str:
    """`The capital of Mongolia is Ulaanbaatar`, the answer to a question that names the fact."""
    return f"The {triple.property} of {triple.entity} is {triple.value}"


def is_cjk(text: str) -> bool:
    """True when the text holds Chinese or Japanese characters."""
    return any("\u3040" <= character <= "\u9fff" for character in text)


def misspell(name: str, draw: random.Random) -> str:
    """The name with two neighbouring letters swapped, one dropped, or one doubled, and never the first of a word.

    Digits stay: `A-4711` is not a way to write `A-4171` but another thing's name. A name in which nothing can go wrong so is
    returned as it is.
    """
    places = [match.start() + 1 for match in re.finditer(r"(?=[^\W\d_]{3})", name)] if len(name) >= 5 else []
    if not places:
        return name
    at = draw.choice(places)
    return draw.choice(
        (
            name[:at] + name[at + 1] + name[at] + name[at + 2 :],
            name[:at] + name[at + 1 :],
            name[:at] + name[at] + name[at:],
        )
    )


def plain_question(triple: Triple, draw: random.Random) -> Question:
    """A question that names entity and property."""
    if triple.property == "description" and is_cjk(triple.value):
        return paraphrased_question(triple, draw)
    if is_cjk(triple.property):
        templates = JAPANESE_PLAIN if triple.property in {item.name for item in JAPANESE_PROPERTIES} else CHINESE_PLAIN
        return Question(
            draw.choice(templates).format(e=triple.entity, p=triple.property), triple.value, (triple.identity,), "plain"
        )
    named = draw.random() < 0.75
    text = draw.choice(PLAIN if named else SHORT).format(e=triple.entity, p=triple.property)
    text = draw.choice(OPENINGS) + text
    return Question(text, sentence(triple) if named else triple.value, (triple.identity,), "plain")


def paraphrased_question(triple: Triple, draw: random.Random) -> Question:
    """A question that does not name the property; one that does, when no paraphrase is known."""
    templates = PARAPHRASES.get(triple.property)
    if triple.property == "description" and is_cjk(triple.value):
        kana = any("\u3040" <= character <= "\u30ff" for character in triple.value)
        templates = (JAPANESE_PROPERTIES if kana else CHINESE_PROPERTIES)[0].paraphrases
    if not templates:
        return plain_question(triple, draw)
    text = draw.choice(templates).format(e=triple.entity)
    return Question(text.replace("？", draw.choice("？?")), triple.value, (triple.identity,), "paraphrased")


def ask_about(triple: Triple, draw: random.Random, paraphrase: float = 0.4, typo: float = 0.05) -> Question:
    """One question about one fact; `paraphrase` and `typo` are the shares of each."""
    asked = triple
    if draw.random() < typo and not is_cjk(triple.entity):
        asked = Triple(misspell(triple.entity, draw), triple.property, triple.value)
    question = (paraphrased_question if draw.random() < paraphrase else plain_question)(asked, draw)
    answer = question.answer.replace(asked.entity, triple.entity) if asked is not triple else question.answer
    return Question(question.text, answer, (triple.identity,), question.kind)


def ask_two(first: Triple, second: Triple, draw: random.Random) -> Question:
    """One question about two facts, answered line by line."""
    identities = (first.identity, second.identity)
    if is_cjk(first.property) or is_cjk(second.property):
        japanese = first.property in {item.name for item in JAPANESE_PROPERTIES}
        joined = (
            f"{first.entity}の{first.property}と{second.entity}の{second.property}は何ですか？"
            if japanese
            else (f"{first.entity}的{first.property}和{second.entity}的{second.property}是什么？")
        )
        return Question(joined, f"{first.value}\n{second.value}", identities, "two")
    if first.entity == second.entity:
        asked = f"the {first.property} and the {second.property} of {first.entity}"
    elif first.property == second.property and draw.random() < 0.5:
        asked = f"the {first.property} of {first.entity} and {second.entity}"
    else:
        join = draw.choice((" and ", " and ", ", and ", " as well as ", " and also "))
        asked = f"the {first.property} of {first.entity}{join}the {second.property} of {second.entity}"
    form = draw.choice(("What is {}?", "What are {}?", "Tell me {}.", "Give me {}.", "I need {}.", "Please name {}."))
    return Question(form.format(asked), f"{sentence(first)}\n{sentence(second)}", identities, "two")
