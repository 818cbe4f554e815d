"""Names whose words stand apart."""

from __future__ import annotations

import pytest

from kblam import Triple
from kblam.naming.names import Names
from kblam.naming.scattered_names import longer_mention

ENTITIES = (
    "Alder House",
    "Flat 12, Alder House",
    "Flat 12, Alder Court",
    "Alder Court",
    "Alder House Lift",
    "Laundry Laboratory, Alder House",
)
NAMES = Names([Triple(entity, "phone number" if entity == "Alder Court" else "size", "1") for entity in ENTITIES])


def found(question: str) -> list[tuple[str, str]]:
    mentions = [longer_mention(question, mention, NAMES) for mention in NAMES.mentions(question)]
    return [(question[mention.start : mention.end], ENTITIES[mention.rows[0]]) for mention in mentions]


@pytest.mark.parametrize(
    ("question", "said", "entity"),
    [
        ("What size is Flat 12 in Alder House?", "Flat 12 in Alder House", "Flat 12, Alder House"),
        ("size of flat 12 alder court", "flat 12 alder court", "Flat 12, Alder Court"),
        ("How old is the lift in Alder House?", "lift in Alder House", "Alder House Lift"),
        ("When is Alder House's lift mended?", "Alder House's lift", "Alder House Lift"),
        ("Is the laundry lab of Alder House open?", "laundry lab of Alder House", "Laundry Laboratory, Alder House"),
        ("How big is Alder House?", "Alder House", "Alder House"),
        ("Is flat 14 in Alder House let?", "Alder House", "Alder House"),
        ("Is Alder House near flat 12 of somebody else?", "Alder House", "Alder House"),
        ("Flat 12, Alder House: size?", "Flat 12, Alder House", "Flat 12, Alder House"),
    ],
)
def test_a_longer_name_is_meant_when_all_its_words_are_said(question: str, said: str, entity: str) -> None:
    assert found(question) == [(said, entity)]


def test_the_name_of_a_property_is_no_part_of_a_name() -> None:
    names = Names([Triple("Alder House", "lift", "none"), Triple("Alder House Lift", "size", "1")])
    question = "Has Alder House a lift?"
    (mention,) = (longer_mention(question, mention, names) for mention in names.mentions(question))
    assert mention.rows == (0,)


def test_a_plain_question_needs_no_index_of_the_words_of_all_names() -> None:
    names = Names([Triple(entity, "size", "1") for entity in ENTITIES])
    for question, made in (("What is the size of Alder House?", False), ("Is the lift of Alder House old?", True)):
        (mention,) = names.mentions(question)
        longer_mention(question, mention, names)
        assert bool(names._words) == made


def test_chinese_names_have_no_words_that_stand_apart() -> None:
    names = Names([Triple("北京", "size", "1"), Triple("Bakery Ravel", "size", "2")])
    question = "Is the bakery of ravel 北京 open?"
    (mention,) = (longer_mention(question, mention, names) for mention in names.mentions(question))
    assert mention.rows == (0,)
