"""Questions about a world the other way round: they say a value and ask for the thing that has it.

`Whose extension is 2201?`, from the fact that the extension of Maria Lopez is 2201; and the questions about a thing that is a
value, too, which ask for one of its own facts: `What is Tom Baker's extension?`, where he is somebody's deputy as well.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from kblam.knowledge import Triple
from kblam.naming.asking import is_description
from kblam.synthesis.asking import language_of
from kblam.synthesis.questions import is_cjk
from kblam.training.worlds import Asked, World

__all__ = ["turned_round"]

LONGEST = 48
"""Characters of a value that somebody would say."""
ELSEWHERE = 0.2
"""Share of questions about a relation to the value that no fact states."""
IN_PART = 0.1
"""Share of questions that leave out a word of the value."""
FORMS = {
    "English": (
        "Whose {p} is {v}?", "Who has the {p} {v}?", "Which {k} has the {p} {v}?", "Which {k} has {v} as its {p}?", "What has a {p} of {v}?",
        "{v} is the {p} of which {k}?", "which {k} is it whose {p} is {v}", "I am looking for the {k} with {p} {v}",
        "what is the {k} with the {p} {v} called",
        "{p} {v}, which {k} is that?", "Which {k}'s {p} is {v}?", "For which {k} is {v} the {p}?", "who or what has {v} as {p}",
        "Name the {k} that has {v} for {p}.", "{v}: whose {p} is that?",
    ),
    "Chinese": (
        "{p}是{v}的是哪个？", "谁的{p}是{v}？", "哪个的{p}是{v}", "{v}是谁的{p}？", "{v}是什么的{p}？", "{p}为{v}的叫什么？",
        "哪一个{p}是{v}？", "请问{p}{v}是哪一位",
    ),
    "Japanese": (
        "{p}が{v}なのはどれですか？", "{p}が{v}なのは誰？", "{v}が{p}なのは何ですか", "{v}はどこの{p}ですか？", "{v}は誰の{p}？",
        "{p}{v}はどれ？", "{p}が{v}のものを教えてください",
    ),
}  # fmt: skip


def turned_round(world: World, draw: random.Random) -> World:
    """The same facts with such questions: one for each fact that only one thing has, if somebody would say its value."""
    known = Counter((fact.property.casefold(), fact.value.casefold()) for fact in world.facts)
    holding: dict[str, list[int]] = {}
    for row, fact in enumerate(world.facts):
        holding.setdefault(fact.value.casefold(), []).append(row)
    asked = []
    for row, fact in enumerate(world.facts):
        if len(fact.value) > LONGEST or is_description(fact.property):
            continue
        if known[fact.property.casefold(), fact.value.casefold()] == 1:
            asked.append(_asked(world, row, holding, known, draw))
    of_values = [
        replace(each, alike=(*holding[each.thing.casefold()], *each.alike))
        for each in world.questions
        if each.thing and each.thing.casefold() in holding
    ]
    return World(world.name, world.facts, [*asked, *of_values], world.rows)


def _asked(
    world: World, row: int, holding: dict[str, list[int]], known: Counter[tuple[str, str]], draw: random.Random
) -> Asked:
    """A question for the thing of a row, or for one that has its value in another way, which none does."""
    fact, name, answer = world.facts[row], world.facts[row].property, row
    if draw.random() < ELSEWHERE:
        other = draw.choice(world.facts).property
        if (other.casefold(), fact.value.casefold()) not in known and not is_description(other):
            name, answer = other, -1
    same_kind = [at for at, other in enumerate(world.facts) if other.property == name and at != row]
    alike = [
        *draw.sample(world.about(fact.value), min(2, len(world.about(fact.value)))),
        *(at for at in holding[fact.value.casefold()] if at != row),
        *draw.sample(same_kind, min(3, len(same_kind))),
    ]
    form = draw.choice(FORMS[language_of(name + fact.value) if is_cjk(name + fact.value) else "English"])
    text = form.format(p=name, v=_said(fact.value, draw), k=_kind(world, fact, draw))
    return Asked(text, fact.entity, None if answer < 0 else answer, tuple(alike))


def _said(value: str, draw: random.Random) -> str:
    """The value as somebody says it."""
    words = value.split()
    if len(words) > 2 and draw.random() < IN_PART:
        words.pop(draw.randrange(len(words)))
    text = " ".join(words)
    return text.lower() if draw.random() < 0.25 else text


def _kind(world: World, fact: Triple, draw: random.Random) -> str:
    """What kind of thing a fact is about: a word that other names here have, too, if there is one."""
    shared = [word for word in fact.entity.split() if sum(word in thing.split() for thing in world.rows) > 1]
    return draw.choice(shared).lower() if shared and draw.random() < 0.6 else draw.choice(("one", "thing"))
