"""Synthetic knowledge: entities that do not exist, with near-duplicates among them, and facts about them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from kblam.knowledge import Triple
from kblam.synthesis.more_values import MORE_KINDS
from kblam.synthesis.properties import CHINESE_PROPERTIES, JAPANESE_PROPERTIES, PROPERTIES, Property
from kblam.synthesis.values import KINDS, person, pseudo_word
from kblam.synthesis.words import ADJECTIVES, CHINESE, JAPANESE, NOUNS

__all__ = [
    "HELD_OUT_PROPERTIES",
    "HELD_OUT_THEMES",
    "make_facts",
    "make_name",
    "make_value",
    "near_name",
    "split_properties",
]

HELD_OUT_PROPERTIES = frozenset(
    (
        "birthplace;founder;material;national dish;industry;release date;serial number;population;melting point;motto;length;"
        "location;official language;capital;area;currency;height;author;boiling point;largest city;climate;main component"
    ).split(";")
)
"""Properties that no training set contains, so that evaluation can ask about some never seen."""
HELD_OUT_THEMES = frozenset(
    (
        "animal;cable car;carpet;contract;data center;drug;farm;fish species;hotel;interview;journey;mathematical conjecture;"
        "meteorite;nightclub;organ transplant;petition;podcast;pregnancy;server;software;song;spice blend;trademark;"
        "vending machine;visa application"
    ).split(";")
)
"""Themes whose properties no training set contains either: neighbours that are easily confused, all of them new."""

KINDS_OF_THING = (
    "Institute Bridge River Library Protocol Valley Company Project Museum Festival Engine Island Kingdom Castle Academy Bakery "
    "Orchestra Observatory Harbor Foundation Robot Forest Theory Method Clinic Railway Garden Compiler Satellite Syrup Group"
).split()


WHAT_IT_IS = ("description", "描述", "説明")
"""Properties that answer the same question, so that an entity has one of them at most."""


def make_value(kind: str, draw: random.Random) -> str:
    """A value of the kind, a name in `KINDS` or `MORE_KINDS`."""
    return (KINDS.get(kind) or MORE_KINDS[kind])(draw)


def _of_kind(draw: random.Random) -> str:
    return f"{pseudo_word(draw)} {draw.choice(KINDS_OF_THING)}"


def _phrase_name(draw: random.Random) -> str:
    return f"{draw.choice(ADJECTIVES).capitalize()} {draw.choice(NOUNS).capitalize()}"


def _model_name(draw: random.Random) -> str:
    return f"{pseudo_word(draw, 1, 2)}-{draw.randint(2, 9900)}"


def _family(draw: random.Random) -> str:
    return (
        f"{draw.choice(('Project', 'Lake', 'Mount', 'Saint', 'New', 'Port', 'Team', 'Operation'))} {pseudo_word(draw)}"
    )


def _acronym(draw: random.Random) -> str:
    return "".join(draw.choices("ABCDEFGHIKLMNOPRSTUVXZ", k=draw.randint(2, 5)))


NAMES: tuple[Callable[[random.Random], str], ...] = (
    _of_kind,
    _of_kind,
    _phrase_name,
    person,
    _model_name,
    _family,
    pseudo_word,
    _acronym,
)


def make_name(draw: random.Random) -> str:
    """The name of an entity that does not exist."""
    return draw.choice(NAMES)(draw)


def near_name(name: str, draw: random.Random) -> str:
    """A name almost like another: one word exchanged, or one put in front."""
    words = name.split()
    if len(words) > 1 and draw.random() < 0.6:
        at = draw.randrange(len(words))
        words[at] = pseudo_word(draw) if draw.random() < 0.5 else draw.choice(KINDS_OF_THING)
        return " ".join(words)
    return f"{draw.choice(('New', 'Old', 'Upper', 'Lower', 'North', 'South', 'Little'))} {name}"


def _entities(draw: random.Random, near: float) -> Iterator[str]:
    seen: list[str] = []
    known: set[str] = set()
    while True:
        name = near_name(draw.choice(seen), draw) if seen and draw.random() < near else make_name(draw)
        if name not in known:
            known.add(name)
            seen.append(name)
            yield name


def split_properties(held_out: bool) -> tuple[Property, ...]:
    """The properties used in training, or those kept for evaluation."""
    return tuple(
        item for item in PROPERTIES if (item.name in HELD_OUT_PROPERTIES or item.theme in HELD_OUT_THEMES) == held_out
    )


def _by_theme(properties: Sequence[Property]) -> list[list[Property]]:
    themes: dict[str, list[Property]] = {}
    for item in properties:
        themes.setdefault(item.theme, []).append(item)
    return list(themes.values())


def _scripted(draw: random.Random) -> tuple[str, Sequence[Property]]:
    words, properties = draw.choice(((CHINESE, CHINESE_PROPERTIES), (JAPANESE, JAPANESE_PROPERTIES)))
    name = "".join(draw.choices(words, k=draw.randint(1, 3))) if draw.random() < 0.7 else make_name(draw)
    if draw.random() < 0.3:
        # A row {"entity", "description"} calls its property so in any language.
        return name, (Property("description", properties[0].kind, properties[0].paraphrases),)
    return name, draw.choice(_by_theme(properties))


def make_facts(
    count: int,
    seed: int,
    properties: Sequence[Property] | None = None,
    near: float = 0.2,
    per_entity: int = 4,
    other_scripts: float = 0.05,
) -> list[Triple]:
    """`count` distinct facts; `near` is the share of entities named almost like another, `other_scripts` of Chinese
    and Japanese ones."""
    draw = random.Random(seed)
    groups = _by_theme(properties or split_properties(held_out=False))
    names = _entities(draw, near)
    facts: dict[tuple[str, str], Triple] = {}
    while len(facts) < count:
        name, kinds = _scripted(draw) if draw.random() < other_scripts else (next(names), draw.choice(groups))
        for item in draw.sample(list(kinds), min(draw.randint(1, 2 * per_entity - 1), len(kinds))):
            fact = Triple(name, item.name, make_value(item.kind, draw))
            if item.name not in WHAT_IT_IS or not any((name, other) in facts for other in WHAT_IT_IS):
                facts.setdefault(fact.identity, fact)
    return list(facts.values())[:count]
