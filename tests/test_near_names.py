"""Misspelt names."""

from __future__ import annotations

import pytest

from kblam import Triple
from kblam.naming.names import Names
from kblam.naming.near_names import near_mention

ENTITIES = ("Upper Port Falen", "LGBCA", "Dorfor-346", "Peru", "Mongolia", "Magnolia", "蒙古国家图书馆")
NAMES = Names([Triple(entity, "capital", "x", aliases=("Mongol uls",) * (entity == "Mongolia")) for entity in ENTITIES])


def found(question: str) -> str | None:
    mention = near_mention(question, range(len(ENTITIES)), NAMES)
    return None if mention is None else ENTITIES[mention.rows[0]]


@pytest.mark.parametrize(
    ("question", "entity"),
    [
        ("What is the capital of Mongoila?", "Mongolia"),
        ("the capital of Mngolia", "Mongolia"),
        ("the capital of Mongol ulls", "Mongolia"),
        ("the parking of Uppe rPort Falen?", "Upper Port Falen"),
        ("Quick question: the flour of LGCBA.", "LGBCA"),
        ("the thread of Doror-346", "Dorfor-346"),
        ("蒙古国家图书官在哪里？", "蒙古国家图书馆"),
    ],
)
def test_slips_are_forgiven(question: str, entity: str) -> None:
    assert found(question) == entity


@pytest.mark.parametrize(
    "question",
    [
        "the thread of Dorfor-347",
        "the capital of Perv",
        "the capital of Pongolia",
        "the capital of Malaysia",
        "the capital of New Mongolia",
        "anything",
        "",
    ],
)
def test_other_names_are_not(question: str) -> None:
    assert found(question) is None


@pytest.mark.parametrize(
    "question",
    [
        "蒙古国家图书馆员的年龄是多少？",
        "りんごシステム星の型番を教えて",
        "りんごシステム国の型番を教えて",
        "Who runs 蒙古国家图书馆学会?",
    ],
)
def test_a_name_with_more_behind_it_is_no_slip_of_the_pen(question: str) -> None:
    names = Names([Triple(entity, "型番", "x") for entity in ("蒙古国家图书馆", "りんごシステム")])
    assert near_mention(question, range(2), names) is None


@pytest.mark.parametrize(
    ("entity", "asked"),
    [
        ("SiltGuard Mini", "SiltGuard Maxi"),
        ("Edmund Vale", "Edmund Dale"),
        ("Class 5b", "class 5c"),
        ("Machine M4 K", "Machine M5 K"),
    ],
)
def test_another_word_is_another_name(entity: str, asked: str) -> None:
    assert near_mention(f"What is the price of {asked}?", [0], Names([Triple(entity, "price", "1")])) is None


@pytest.mark.parametrize(
    ("entity", "question", "meant"),
    [
        ("真空包装机DZ-400", "真空包装机DZ-400S放在哪里", False),
        ("射出成形機B2", "射出成形機B2-IIの型締力は？", False),
        ("陈国强", "陈国栋是谁", False),
        ("離れ「月見」", "離れ「花見」の料金は", False),
        ("FlowMed 300", "Where is the FlowMde 300?", True),
        ("Airbus A320neo", "Price of the Airbus A320 neo?", True),
        ("iPhone 14 Pro", "price of iPhone 14Pro?", True),
        ("Sensor Head X5B", "the price of sesnor head x5b", True),
        ("Sensor Head X5B", "the price of sesnor head x5c", False),
    ],
)
def test_codes_and_single_characters_are_no_slips(entity: str, question: str, meant: bool) -> None:
    assert (near_mention(question, [0], Names([Triple(entity, "price", "1")])) is not None) is meant


def test_the_best_spelling_wins() -> None:
    mention = near_mention("the capital of Mongolla", range(len(ENTITIES)), NAMES)
    assert mention is not None and 0.8 < mention.similarity < 1
    assert "the capital of Mongolla"[mention.start : mention.end] == "Mongolla"


@pytest.mark.parametrize(
    ("question", "entity"),
    [
        ("Who governs Mongoila?", "Mongolia"),
        ("Hi, is Doror-346 heavy?", "Dorfor-346"),
        ("the capital of mongoila", None),
        ("Who governs Pongolia?", None),
        ("Peri?", None),
    ],
)
def test_what_looks_like_a_name_is_compared_with_all_names(question: str, entity: str | None) -> None:
    mention = near_mention(question, (), NAMES)
    assert (None if mention is None else ENTITIES[mention.rows[0]]) == entity


def test_names_of_a_later_version_are_compared_and_those_gone_are_not() -> None:
    assert near_mention("Who governs Mongoila?", (), NAMES) is not None
    facts = [Triple("Zanzibar" if entity == "Mongolia" else entity, "capital", "x") for entity in ENTITIES]
    later = NAMES.changed(facts, [ENTITIES.index("Mongolia")])
    assert near_mention("Who governs Mongoila?", (), later) is None
    mention = near_mention("Who governs Zanzibr?", (), later)
    assert mention is not None and mention.rows == (ENTITIES.index("Mongolia"),)
