"""Words that look like names of something else."""

from __future__ import annotations

import pytest

from kblam import Triple
from kblam.naming.foreign_words import foreign_words
from kblam.naming.names import Mention, Names


@pytest.mark.parametrize(
    ("question", "entity", "expected"),
    [
        ("What is the length of the Seine?", "Loire", (1, 0, 0)),
        ("When is the national day of Nigeria?", "Niger", (1, 0, 0)),
        ("The currency of the Democratic Republic of the Congo?", "Republic of the Congo", (1, 0, 1)),
        ("When was rhodium found?", "Scandium", (1, 0, 0)),
        ("flow rate of the FlowMed 300", "FlowMed 200", (0, 1, 1)),
        ("What does Seagull IV cost?", "Seagull II", (1, 0, 1)),
        ("crew of seagull 3?", "Seagull III", (0, 0, 0)),
        ("hire for the OB van?", "Outside broadcast van", (0, 0, 0)),
        ("Is Ferrymans Rest open on Monday?", "The Ferryman's Rest", (0, 0, 0)),
        ("Where is Mr Halvorson's room?", "Ingrid Halvorsen", (0, 0, 0)),
        ("There are flames in the kitchen, what do I dial?", "Fire plan", (0, 0, 0)),
        ("What ails patients of Old Forkritor?", "Forkritor", (1, 0, 1)),
        ("Which is the discount of Upper Upper Undal?", "Upper Undal", (1, 0, 1)),
        ("Expiry date of New Lower New Ruru.", "Lower New Ruru", (1, 0, 1)),
        ("crew of Seagull-4?", "Seagull", (0, 1, 1)),
        ("Oul Observatory logo or text?", "Harmor Observatory", (1, 0, 1)),
        ("学校物理作者には何人住んでいますか？", "学校物理", (1, 0, 1)),
        ("浅間山の標高は？", "北岳", (1, 0, 0)),
    ],
)
def test_names_are_foreign_to_what_is_not_called_so(question: str, entity: str, expected: tuple[int, int, int]) -> None:
    fact = Triple(entity, "length", "3 km")
    assert foreign_words(question, fact, Names([fact])) == expected


def test_other_names_and_values_count_as_its_own() -> None:
    fact = Triple("Oven 2", "service contract", "Lindqvist Ovencare", aliases=("Berta",))
    assert foreign_words("Does Lindqvist look after Berta?", fact, Names([fact])) == (0, 0, 0)


def test_what_stands_in_a_misspelt_name_is_not_foreign() -> None:
    fact = Triple("Cen-9659", "end of support", "2030")
    names, question = Names([fact]), "When does Cne-9659 end?"
    assert foreign_words(question, fact, names) == (1, 0, 1)
    assert foreign_words(question, fact, names, Mention(10, 18, (0,), 0.9)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("北京人口多少?", 0),
        ("北京大学在火上要多久？", 1),
        ("北京会议中心有多少人", 1),
        ("北京的天气？", 0),
        ("北京面积大学多少？", 0),
        ("我想知道北京有多少人", 0),
        ("谁负责北京的安全", 0),
        ("明日北京は何度ですか", 0),
        ("管理北京的面积", 1),
        ("上海北京的面积", 0),
        ("北京公司的面积", 0),
        ("管理北京大学多少钱", 2),
        ("管理 北京 大学", 0),
        ("How big is 北京?", 0),
    ],
)
def test_words_of_a_longer_name_stand_beside_one_that_sets_none_apart(question: str, expected: int) -> None:
    facts = [Triple("北京", "面积大小", "16410"), Triple("北京", "人口", "2184")]
    others = ("上海大学", "管理部", "上海会议中心", "上海", "华为公司")
    names = Names([*facts, *(Triple(name, "人口", "4") for name in others)])
    start = question.index("北京")
    assert names.words_beside(question, Mention(start, start + 2, (0, 1))) == expected


@pytest.mark.parametrize(
    ("question", "expected"), [("ラン・アンの出身地", 1), ("ラン・フォンの出身地", 0), ("ランの出身地", 0)]
)
def test_a_foreign_name_in_japanese_may_have_one_more_part(question: str, expected: int) -> None:
    names = Names([Triple("ラン", "出身地", "x"), Triple("フォン", "出身地", "x")])
    assert names.words_beside(question, Mention(0, 2, (0,))) == expected


def test_longer_names_are_those_of_the_present_version() -> None:
    one, other = Triple("北京", "人口", "2184"), Triple("上海大学", "人口", "4")
    names, question = Names([one]), "北京大学多少钱"
    later = names.changed([one, other], [1])
    assert [each.words_beside(question, Mention(0, 2, (0,))) for each in (names, later)] == [0, 1]
    assert later.changed([one], [1]).words_beside(question, Mention(0, 2, (0,))) == 0
