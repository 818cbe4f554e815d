from __future__ import annotations

import dataclasses

import pytest

from kblam.errors import KnowledgeError
from kblam.knowledge.triples import MAXIMUM_CHARACTERS, Triple


def test_texts_and_identity() -> None:
    triple = Triple("Mongolia", "capital", "Ulaanbaatar")
    assert triple.key_text == "the capital of Mongolia"
    assert triple.value_text == "Ulaanbaatar"
    assert triple.identity == ("Mongolia", "capital")
    assert (triple.aliases, triple.id) == ((), None)


def test_texts_are_stripped_and_aliases_counted_once() -> None:
    triple = Triple(
        " AI\n", "\tdescription ", "  人工智能是模拟人类智能的技术　", aliases=(" 人工智能", "人工智能", "KI"), id=" 7 "
    )
    assert triple == Triple("AI", "description", "人工智能是模拟人类智能的技术", aliases=("人工智能", "KI"), id="7")
    assert triple.key_text == "the description of AI"


def test_triples_are_frozen_and_hashable() -> None:
    triple = Triple("a", "b", "c")
    with pytest.raises(dataclasses.FrozenInstanceError):
        triple.value = "d"  # type: ignore[misc]
    assert len({triple, Triple("a", "b", "c"), Triple("a", "b", "d")}) == 2


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("", "p", "v"), "entity is empty"),
        (("e", " \n", "v"), "property is empty"),
        (("e", "p", None), "value is missing"),
        (("e", "p", 5), "value is a number, not a text"),
        (("e", ["p"], "v"), "property is a list, not a text"),
        (("e", True, "v"), "property is true or false, not a text"),
        (("e", "p", "\ud800"), "value holds U+0000 or half a surrogate pair"),
        (("e\x00e", "p", "v"), "entity holds U+0000"),
    ],
)
def test_unusable_texts_are_refused_by_field(texts: tuple[str, str, str], message: str) -> None:
    with pytest.raises(KnowledgeError, match=message.replace("+", r"\+")):
        Triple(*texts)


def test_the_longest_value() -> None:
    assert len(Triple("e", "p", " " + "v" * MAXIMUM_CHARACTERS + " ").value) == MAXIMUM_CHARACTERS
    with pytest.raises(KnowledgeError, match="value has 100,001 characters, 100,000 are allowed: split it"):
        Triple("e", "p", "v" * (MAXIMUM_CHARACTERS + 1))


@pytest.mark.parametrize("aliases", ["one text", ("fine", " "), ("fine", 3)])
def test_unusable_aliases_are_refused(aliases: tuple[str, ...]) -> None:
    with pytest.raises(KnowledgeError, match="alias"):
        Triple("e", "p", "v", aliases=aliases)


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(KnowledgeError, match="id is empty"):
        Triple("e", "p", "v", id=" ")
