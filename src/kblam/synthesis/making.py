"""A dataset without any outside help: facts, several kinds of questions about them, and what is held out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kblam.errors import InputError
from kblam.knowledge import Triple
from kblam.synthesis.asking import (
    ask_by_alias,
    ask_missing,
    ask_misspelt,
    ask_openly,
    ask_three,
    language_of,
)
from kblam.synthesis.dataset import Entry
from kblam.synthesis.facts import make_facts, make_name, near_name, split_properties
from kblam.synthesis.properties import CHINESE_PROPERTIES, JAPANESE_PROPERTIES, PROPERTIES
from kblam.synthesis.questions import Question, ask_two, is_cjk, paraphrased_question, plain_question
from kblam.synthesis.words import CHINESE, JAPANESE

__all__ = ["HELD_OUT", "Recipe", "add_questions", "make_dataset", "with_aliases"]

_SCRIPTED = (*CHINESE_PROPERTIES, *JAPANESE_PROPERTIES)
HELD_OUT = (
    frozenset(item.name for item in split_properties(held_out=True))
    | {"首都", "长度", "色", "設立年"}
    | {item.name for item in _SCRIPTED if item.theme in ("dish", "event", "school")}
)
"""Properties that the training half never has: questions about them show what carries over to any property."""
_THEMES = {item.name: item.theme for item in (*PROPERTIES, *_SCRIPTED)}
MOST_OPEN = 4
"""An open question is asked of entities with so many facts at most, because its answer lists them all."""


@dataclass(frozen=True)
class Recipe:
    """What a dataset is made of; shares are of the facts, between 0 and 1."""

    facts: int = 120_000
    """Facts to train on."""
    validation: int = 6_000
    """Facts of other entities to validate on, half of them about properties that training never has."""
    seed: int = 0
    near: float = 0.2
    """Share of entities named almost like another."""
    other_scripts: float = 0.1
    """Share of Chinese and Japanese entities."""
    aliases: float = 0.15
    """Share of entities that have a second name."""
    paraphrased: float = 0.8
    """Share of facts asked about without the property's words, beside the plain question that each has."""
    misspelt: float = 0.08
    """Share asked about with a misspelt name, in place of the plain question."""
    two: float = 0.12
    three: float = 0.04
    open: float = 0.04
    unanswerable: float = 0.12
    """Shares of facts whose line holds one such question more; of the unanswerable, half lack the entity, half the
    property."""

    def __post_init__(self) -> None:
        if self.facts < 4 or self.validation < 0:
            raise InputError(
                f"a dataset has at least 4 facts to train on and 0 to validate on, not {self.facts} and {self.validation}"
            )
        shares = ("near", "other_scripts", "aliases", "paraphrased", "misspelt", "two", "three", "open", "unanswerable")
        wrong = [name for name in shares if not 0 <= getattr(self, name) <= 1]
        if wrong or self.near == 1:
            raise InputError(f"{', '.join(wrong) or 'near'} must be a share between 0 and 1")


def make_dataset(recipe: Recipe) -> tuple[list[Entry], list[Entry]]:
    """The training and the validation entries; the same recipe gives the same dataset.

    No entity, and none of the properties in `HELD_OUT`, is in both.
    """
    options = {"near": recipe.near, "other_scripts": recipe.other_scripts}
    spare = 1.1 + recipe.other_scripts / 4  # rows of the scripts' held-out properties are dropped
    train = make_facts(round(recipe.facts * spare) + 8, recipe.seed, **options)  # type: ignore[arg-type]
    train = [fact for fact in train if fact.property not in HELD_OUT][: recipe.facts]
    entities = {fact.entity for fact in train}
    half = recipe.validation // 2
    new = [
        *_unseen(split_properties(held_out=True), recipe.validation - half, recipe.seed + 1, entities, options),
        *_unseen(split_properties(held_out=False), half, recipe.seed + 2, entities, options),
    ]
    new = _mixed(list({fact.identity: fact for fact in new}.values()), random.Random(recipe.seed))
    return _entries(train, recipe, "train"), _entries(new, recipe, "validation")


def _mixed(facts: Sequence[Triple], draw: random.Random) -> list[Triple]:
    """The facts with their entities in another order, so that the first of them are like all of them."""
    entities: dict[str, list[Triple]] = {}
    for fact in facts:
        entities.setdefault(fact.entity, []).append(fact)
    return [fact for entity in draw.sample(list(entities), len(entities)) for fact in entities[entity]]


def _unseen(properties: object, count: int, seed: int, entities: set[str], options: dict[str, float]) -> list[Triple]:
    if count == 0:
        return []
    facts = make_facts(count + count // 3 + 40, seed, properties=properties, **options)  # type: ignore[arg-type]
    return [fact for fact in facts if fact.entity not in entities][:count]


def _entries(facts: Sequence[Triple], recipe: Recipe, name: str) -> list[Entry]:
    draw = random.Random(f"{recipe.seed}/{name}/aliases")
    return add_questions(with_aliases(facts, recipe.aliases, draw), recipe, name)


def add_questions(
    facts: Sequence[Triple],
    recipe: Recipe,
    name: str,
    written: Mapping[tuple[str, str], tuple[Question, ...]] = MappingProxyType({}),
) -> list[Entry]:
    """Put questions to facts; `written` has those about one fact that somebody else wrote, by its identity.

    `name` is a name for this half of a dataset, so that two halves of one seed differ.
    """
    asker = _Asker(facts, recipe, written, random.Random(f"{recipe.seed}/{name}/questions"))
    return [Entry(fact, tuple(asker.questions(row))) for row, fact in enumerate(facts)]


def with_aliases(facts: Sequence[Triple], share: float, draw: random.Random) -> list[Triple]:
    """The facts, a share of the entities with another name that nothing else has."""
    taken = {fact.entity.casefold() for fact in facts}
    aliases: dict[str, tuple[str, ...]] = {}
    for entity in dict.fromkeys(fact.entity for fact in facts):
        if draw.random() < share:
            alias = _alias(entity, draw)
            if alias.casefold() not in taken:
                taken.add(alias.casefold())
                aliases[entity] = (alias,)
    return [Triple(fact.entity, fact.property, fact.value, aliases.get(fact.entity, ())) for fact in facts]


def _alias(entity: str, draw: random.Random) -> str:
    if is_cjk(entity):
        return "".join(draw.choices(JAPANESE if language_of(entity) == "Japanese" else CHINESE, k=2))
    words = entity.split()
    if len(words) > 1 and draw.random() < 0.5:
        return draw.choice(
            (f"the {words[0]}", f"{words[0][0]}. {' '.join(words[1:])}", "".join(word[:3] for word in words))
        )
    return make_name(draw)


class _Asker:
    """Writes the questions of each fact's line."""

    def __init__(
        self,
        facts: Sequence[Triple],
        recipe: Recipe,
        written: Mapping[tuple[str, str], tuple[Question, ...]],
        draw: random.Random,
    ) -> None:
        self.facts, self.recipe, self.written, self.draw = facts, recipe, written, draw
        self.entities: dict[str, list[Triple]] = {}
        self.languages: dict[str, list[Triple]] = {}
        self.themes: dict[str, list[str]] = {}
        for fact in facts:
            self.entities.setdefault(fact.entity, []).append(fact)
            self.languages.setdefault(_script(fact), []).append(fact)
        self.known = frozenset(self.entities)
        for name in dict.fromkeys(fact.property for fact in facts):
            self.themes.setdefault(_theme(name), []).append(name)

    def questions(self, row: int) -> Iterator[Question]:
        """One or two questions about the fact alone, and some of the others."""
        fact, recipe, draw = self.facts[row], self.recipe, self.draw
        yield from self.written.get(fact.identity) or self._single(fact)
        if fact.aliases and draw.random() < 0.5 and (question := ask_by_alias(fact, draw)):
            yield question
        others: tuple[tuple[float, Callable[[Triple], Question | None]], ...] = (
            (recipe.two, self._two),
            (recipe.three, self._three),
            (recipe.open, self._open),
            (recipe.unanswerable, self._missing),
        )
        for share, ask in others:
            if draw.random() < share and (asked := ask(fact)):
                yield asked

    def _single(self, fact: Triple) -> list[Question]:
        misspelt = self.draw.random() < self.recipe.misspelt
        plain = ask_misspelt(fact, self.draw, self.known) if misspelt else None
        asked = [plain or plain_question(fact, self.draw)]
        if self.draw.random() < self.recipe.paraphrased:
            asked.append(paraphrased_question(fact, self.draw))
        return asked

    def _partners(self, fact: Triple, count: int) -> list[Triple]:
        """Other facts of the entity or, as often, of its language."""
        same = self.languages[_script(fact)]
        mine = [
            other
            for other in self.entities[fact.entity]
            if other.property != fact.property and _script(other) == _script(fact)
        ]
        if len(mine) >= count and self.draw.random() < 0.5:
            return self.draw.sample(mine, count)
        return [other for other in self.draw.sample(same, min(count, len(same))) if other.identity != fact.identity]

    def _two(self, fact: Triple) -> Question | None:
        partners = self._partners(fact, 1)
        return ask_two(fact, partners[0], self.draw) if partners else None

    def _three(self, fact: Triple) -> Question | None:
        partners = self._partners(fact, 2)
        return ask_three([fact, *partners], self.draw) if len(partners) == 2 else None

    def _open(self, fact: Triple) -> Question | None:
        facts = self.entities[fact.entity]
        return ask_openly(facts, self.draw) if len(facts) <= MOST_OPEN else None

    def _missing(self, fact: Triple) -> Question | None:
        if self.draw.random() < 0.5:
            if is_cjk(fact.entity):
                name = fact.entity + self.draw.choice(JAPANESE if _script(fact) == "Japanese" else CHINESE)
            else:
                name = near_name(fact.entity, self.draw)
            return None if name in self.known else ask_missing(name, fact.property, self.draw)
        has = {other.property for other in self.entities[fact.entity]}
        lacks = [name for name in self.themes[_theme(fact.property)] if name not in has]
        return ask_missing(fact.entity, self.draw.choice(lacks), self.draw) if lacks else None


_JAPANESE = frozenset(item.name for item in JAPANESE_PROPERTIES)
_CHINESE = frozenset(item.name for item in CHINESE_PROPERTIES) - _JAPANESE


def _script(fact: Triple) -> str:
    """The language a fact is asked about in."""
    if fact.property in _JAPANESE or fact.property in _CHINESE:
        return "Japanese" if fact.property in _JAPANESE else "Chinese"
    return language_of(fact.value) if fact.property == "description" else "English"


def _theme(name: str) -> str:
    language = "Japanese " if name in _JAPANESE else "Chinese " if name in _CHINESE else ""
    return language + _THEMES.get(name, "anything")
