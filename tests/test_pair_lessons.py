"""What cross-encoders learn from: questions beside a few statements, and the worlds that people ask about."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_training import WordsEncoder

from kblam import Triple
from kblam.answering.statements import fact_text, statement
from kblam.errors import InputError
from kblam.synthesis.facts import make_facts
from kblam.training.fact_lessons import NamedLessons, WorldLessons, called, other_name
from kblam.training.pair_lessons import MOST_ALIKE, NamelessLessons, alike_properties
from kblam.training.questions import make_practice
from kblam.training.worlds import Asked, World, read_worlds

WORLD = """
== World: a brewery with a taproom
@ Old Copper Kettle
capacity = 2,400 litres
? how much goes into the copper kettle at once
? Could I brew 3,000 l in one go?
last descaled = 3 May 2025 = spring
- Who built the copper kettle?
@ Tamsin Okafor
shift = late
? Will I still catch Tamsin at nine?
! What is in the Blue Copper Kettle?

== World: empty
"""


@pytest.fixture
def nameless() -> NamelessLessons:
    practice = make_practice(make_facts(400, 3, other_scripts=0.0), WordsEncoder(), 0, progress=False)
    return replace(NamelessLessons.about(practice, statements=5), strange=0.0, unvalued=0.0, paraphrased=0.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "worlds.txt").write_text(WORLD, encoding="utf-8")
    found, empty = read_worlds(tmp_path / "worlds.txt")
    assert empty.name == "empty" and not empty.facts
    return found


def test_a_question_stands_beside_its_own_statement_and_others_of_its_kind(nameless: NamelessLessons) -> None:
    said = {statement(fact.property, fact.value): fact for fact in nameless.practice.facts}
    draw, there = random.Random(0), 0
    for _ in range(60):
        lesson = nameless(draw)
        facts = [said[text] for text in lesson.statements]
        assert len({fact.property for fact in facts}) == 5
        assert (facts[0].property in lesson.question) or not lesson.there
        assert all(fact.entity not in lesson.question for fact in facts)
        there += lesson.there
    assert 25 < there < 55


def test_properties_that_read_alike_stand_beside_each_other_first(nameless: NamelessLessons) -> None:
    names = "owner,roof colour,door colour,opening hours,winter hours,holiday hours,lunch hours,night hours,school hours,visit hours"
    facts = tuple(Triple("Tal", name, str(at)) for at, name in enumerate(names.split(",")))
    practice, themes = replace(nameless.practice, facts=facts), [[[row] for row in range(len(facts))]]
    alike = alike_properties(practice, themes, WordsEncoder())
    assert sum(name.endswith("hours") for name in alike["opening hours"]) >= MOST_ALIKE - 1
    lessons, draw = (
        replace(nameless, practice=practice, themes=themes, weights=(1,), alike=alike, closest=1.0),
        random.Random(0),
    )
    for _ in range(40):
        own, *others = (fact.property for fact in lessons.beside_each_other(draw))
        first = [name in alike[own] for name in others]
        assert first == sorted(first, reverse=True) and any(first)


def test_a_thing_is_told_from_others_that_are_named_like_it(nameless: NamelessLessons) -> None:
    lessons, draw = replace(NamedLessons(nameless), paraphrased=0.0), random.Random(0)
    facts = {fact_text(fact): fact for fact in nameless.practice.facts}
    seen = set()
    for _ in range(80):
        lesson = lessons(draw)
        assert len(lesson.statements) == 5
        if lesson.there:
            assert facts[lesson.statements[0]].property in lesson.question
            assert lesson.nameless is not None and lesson.nameless.statements[0] is not None
        if lesson.nameless is not None:
            own = facts[lesson.statements[0]] if lesson.there else None
            for text, alone in zip(lesson.statements, lesson.nameless.statements, strict=True):
                assert (alone is None) or alone.split(" of it is ")[1] == text.split(" is ", 1)[1]
                assert own is None or (alone is not None) == (f" of {own.entity} is " in text)
            assert "it" in lesson.nameless.question
        seen.add((lesson.there, lesson.nameless is None))
    assert seen == {(True, False), (False, False), (False, True)}


def test_names_are_said_in_many_ways_and_others_differ_in_what_was_said() -> None:
    draw = random.Random(0)
    ways = {called("Denstama Castle Garden", draw) for _ in range(200)}
    assert {"Denstama Castle Garden", "denstama castle garden"} < ways
    assert any(way.split() == ["Denstama"] for way in ways) and len(ways) > 8
    for said in ("Flat 12", "Ga-168", "Denstama Castle", "POSI"):
        for _ in range(50):
            assert other_name(said, said, draw) != said or said == "Ga-168"
    assert all(other_name("Upper Hall", "hall", draw).startswith("Upper ") for _ in range(30))
    unspaced = {other_name("品質札幌色", "品質札幌色", draw) for _ in range(60)}
    assert {"品質札", "札幌色"} < unspaced and any(name not in "品質札幌色" for name in unspaced)


def test_worlds_are_read_as_they_are_written(world: World) -> None:
    assert world.name == "a brewery with a taproom"
    assert world.facts == [
        Triple("Old Copper Kettle", "capacity", "2,400 litres"),
        Triple("Old Copper Kettle", "last descaled", "3 May 2025 = spring"),
        Triple("Tamsin Okafor", "shift", "late"),
    ]
    assert [(asked.thing, asked.row) for asked in world.questions] == [
        ("Old Copper Kettle", 0),
        ("Old Copper Kettle", 0),
        ("Old Copper Kettle", None),
        ("Tamsin Okafor", 2),
        (None, None),
    ]
    less = world.without(frozenset({"capacity"}))
    assert [fact.property for fact in less.facts] == ["last descaled", "shift"] and less.about("Tamsin Okafor") == [1]
    assert [asked.row for asked in less.questions] == [None, 1, None]
    assert world.without(frozenset({"shift"})).about("Tamsin Okafor") == []


def test_facts_of_a_thing_are_told_in_one_description(world: World) -> None:
    compared = world.compared(lambda texts: [[2, 1, 0]] * len(texts))
    for seed in range(8):
        told = compared.described(random.Random(seed))
        assert [fact.entity for fact in told.facts] == ["Old Copper Kettle", "Tamsin Okafor"]
        kettle = told.facts[0]
        assert kettle.property == "description" and {"2,400", "2025"} <= set(re.findall(r"[\d,]*\d", kettle.value))
        assert [asked.row for asked in told.questions] == [0, 0, None, 1, None]
        assert all(asked.alike == (1, 0) for asked in told.questions)
        assert told.about("Old Copper Kettle") == [0] and told.about("Tamsin Okafor") == [1]


def test_a_long_thing_keeps_what_its_description_leaves_out() -> None:
    facts = [Triple("塔", f"事{number}", str(number)) for number in range(6)]
    world = World("塔", facts, [Asked(f"q{row}", "塔", row) for row in range(6)], {"塔": list(range(6))})
    told = world.described(random.Random(0))
    assert told.facts[0].property == "description" and 3 <= len(told.facts) <= 5
    for asked, fact in zip(told.questions, facts, strict=True):
        assert asked.row is not None
        row = told.facts[asked.row]
        assert row == fact or (asked.row == 0 and fact.property in row.value and fact.value in row.value)
    assert sorted(told.about("塔")) == list(range(len(told.facts)))


def test_questions_of_a_world_stand_beside_the_facts_they_resemble(world: World) -> None:
    asked: list[str] = []
    compared = world.compared(lambda texts: asked.extend(texts) or [[2, 1, 0]] * len(texts))  # type: ignore[func-returns-value]
    assert len(asked) == 5 and all(each.alike == (2, 1, 0) for each in compared.questions)
    lessons, draw = WorldLessons([compared], statements=2), random.Random(1)
    texts = [fact_text(fact) for fact in world.facts]
    answers = {each.text: each.row for each in world.questions}
    for _ in range(100):
        lesson = lessons(draw)
        row = answers[lesson.question]
        assert len(lesson.statements) == 2
        if lesson.there:
            assert row is not None and lesson.statements[0] == texts[row]
        else:
            assert row is None or texts[row] not in lesson.statements


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@ Kettle", ":1: begin with a line `== World"),
        ("== World: w\ncapacity = 3", ":2: name the thing first"),
        ("== World: w\n@ Kettle\n? how much", ":3: give the fact first"),
        ("== World: w\n\n@ Kettle\ncapacity: 3", ":4: neither `property = value` nor a question"),
    ],
)
def test_lines_of_no_world_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "worlds.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_worlds(tmp_path / "worlds.txt")
