"""Parts of Chinese and Japanese names."""

from __future__ import annotations

import pytest

from kblam import Triple
from kblam.naming.names import Names
from kblam.naming.unspaced_parts import split_part, unspaced_part

ENTITIES = (
    "周建军", "河坊街店", "城东店", "王丽", "王丽华", "三楼茶叶仓库", "鸭屎香单丛", "炒茶机B1", "高橋義雄", "佐藤健一", "佐藤美咲",
    "離れ「月見」", "貸切風呂「こだま」", "飛騨牛の朴葉焼き", "グエン・ティ・ラン", "ボイラー1号機", "ボイラー2号機", "Tea Garden",
)  # fmt: skip


@pytest.fixture(scope="module")
def names() -> Names:
    facts = [Triple(entity, "电话", "1") for entity in ENTITIES]
    return Names([*facts, Triple("佐藤健一", "内線番号", "101"), Triple("飛騨牛の朴葉焼き", "価格", "3800")])


@pytest.mark.parametrize(
    ("question", "part", "entities"),
    [
        ("周师傅是哪里人", "周", ["周建军"]),
        ("河坊店有事找谁负责", "河坊", ["河坊街店"]),
        ("茶叶仓库的冷气要开到几度", "茶叶仓库", ["三楼茶叶仓库"]),
        ("单丛还剩多少", "单丛", ["鸭屎香单丛"]),
        ("联系建军找谁", "建军", ["周建军"]),
        ("高橋さんは厨房でどんな立場の人？", "高橋", ["高橋義雄"]),
        ("支配人の佐藤さんは何番ですか", "佐藤", ["佐藤健一", "佐藤美咲"]),
        ("佐藤さんの内線番号は？", "佐藤", ["佐藤健一"]),
        ("離れ月見の定員、何名でしたっけ？", "離れ「月見", ["離れ「月見」"]),
        ("こだまには何人で入れますか", "こだま", ["貸切風呂「こだま」"]),
        ("飛騨牛の価格は？", "飛騨牛", ["飛騨牛の朴葉焼き"]),
        ("ランさんの仕事は", "ラン", ["グエン・ティ・ラン"]),
        ("1号機のボイラーは何で焚いていますか", "ボイラー", ["ボイラー1号機"]),
    ],
)
def test_a_part_means_the_thing(names: Names, question: str, part: str, entities: list[str]) -> None:
    mention = unspaced_part(question, names)
    assert mention is not None and mention.partial and mention.similarity < 1
    assert {ENTITIES[row] for row in mention.rows if row < len(ENTITIES)} <= set(entities)
    assert {names.names_of(row)[0] for row in mention.rows} == set(entities)
    assert question[mention.start : mention.end] in (part, part.replace("「", ""))


@pytest.mark.parametrize(
    "question",
    [
        "王丽君的分机号",
        "周建国的电话",
        "国强路在哪里",
        "炒茶机B12的功率",
        "炒茶机A4在哪里",
        "ボイラー3号機の点検日",
        "高橋一郎さんの役職は",
        "周明远师傅的电话",
        "本橋さんの内線",
        "城东教育局的电话",
        "貸切風呂「せせらぎ」の料金",
        "飛騨牛のすき焼きの値段",
        "南茶叶仓库的冷气",
        "电话是多少",
        "What is the phone of Tea Garden?",
        "今天天气怎么样",
        "",
    ],
)
def test_other_names_are_no_parts(names: Names, question: str) -> None:
    assert unspaced_part(question, names) is None


def test_a_name_with_a_title_is_whole(names: Names) -> None:
    for question in ("周建军经理的电话", "王丽老师的电话", "佐藤健一課長の内線"):
        (mention,) = names.mentions(question)
        assert question[mention.start : mention.end] in ENTITIES
        assert names.words_beside(question, mention) == 0


def test_long_questions_are_read(names: Names) -> None:
    assert len(names.mentions("王丽" * 3000)) == 3000
    assert len(names.mentions("天" * 20_000 + "王丽在哪里")) == 1
    assert unspaced_part("天" * 20_000 + "王丽君在哪里", names) is None


def test_a_part_in_very_many_names_says_nothing() -> None:
    many = Names([Triple(f"茶叶{number}号仓", "电话", "1") for number in range(300)])
    assert unspaced_part("茶叶的电话", many) is None and many.with_pair("茶叶") == []


@pytest.mark.parametrize(
    ("question", "name", "expected"),
    [
        ("陈国栋是谁", "陈国强", True),
        ("国强在哪里", "陈国强", False),
        ("谁在这里", "陈国强", False),
        ("Who is it?", "陈国强", False),
    ],
)
def test_a_name_may_go_on_in_another_way(question: str, name: str, expected: bool) -> None:
    assert split_part(question, name) is expected
