"""Questions in steps: what another thing has, which is only meant by what the one named has."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from fact_reader import reader_of

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.beside import ASIDE, IN_TWO, MOST_PATHS, SAID, Beside, paths
from kblam.answering.evidence import evidence, ways
from kblam.answering.forms import form_asked
from kblam.answering.reader import Reader
from kblam.answering.statements import fact_text, path
from kblam.models.refusal import BY_PATH
from kblam.naming.names import Names
from kblam.training.path_lessons import PathLessons, asked_in_steps
from kblam.training.worlds import Asked, World

FACTS = [
    Triple("Project Kestrel", "lead", "Tom Baker"),
    Triple("Project Kestrel", "approver", "Tom Baker"),
    Triple("Project Kestrel", "deadline", "14 March 2027"),
    Triple("Tom Baker", "extension", "2207", aliases=("Tom",)),
    Triple("Tom Baker", "office", "B-116"),
    Triple("Aiko Tanaka", "extension", "2312"),
]
LEAD = "the extension of the lead of Project Kestrel, Tom Baker, is 2207"
QUESTION = "What is the extension of the lead of Project Kestrel?"


def reading(
    logit: Callable[[str, str], float], facts: Sequence[Triple] = FACTS
) -> tuple[Reader, list[tuple[str, str]]]:
    return reader_of(facts, logit)


def test_two_facts_read_as_one() -> None:
    assert fact_text(path(FACTS[0], FACTS[3])) == LEAD


def test_paths_lead_from_what_is_named_to_what_its_values_have() -> None:
    names = Names(FACTS)
    assert paths(names, FACTS, "", [0, 2], [], list) == [(0, 3), (0, 4)]
    assert paths(names, FACTS, "", [0, 1], [], list) == [(0, 3), (1, 3), (0, 4), (1, 4)]
    assert paths(names, FACTS, "", [0, 3, 4], [], list) == []  # Tom Baker is named himself
    loop = [Triple("Ann", "neighbour", "Ann"), Triple("Ann", "age", "40")]
    assert paths(Names(loop), loop, "", [0, 1], [], list) == []


def test_paths_lead_from_what_has_a_value_to_what_else_it_has() -> None:
    assert paths(Names(FACTS), FACTS, "In which office is extension 2207?", [], [3], list) == [(3, 4)]
    assert paths(Names(FACTS), FACTS, "Whose extension is 2207?", [], [3], list) == []
    assert fact_text(path(FACTS[3], FACTS[4])) == "the office of Tom Baker, the extension of which is 2207, is B-116"


def test_of_many_paths_the_likeliest_are_read() -> None:
    facts = [
        Triple("Ship", "captain", "Ann"),
        *(Triple("Ann", f"quality {number}", str(number)) for number in range(40)),
    ]
    found = paths(Names(facts), facts, "", [0], [], lambda rows: sorted(rows, reverse=True))
    assert [second for _, second in found] == list(range(40, 40 - MOST_PATHS, -1))


def test_every_row_is_read_once_before_any_is_read_by_another_path() -> None:
    ways = ("lead", "approver", "sponsor", "author", "owner")
    facts = [
        *(Triple("Kestrel", way, "Tom") for way in ways),
        *(Triple("Tom", f"p{number}", "v") for number in range(7)),
    ]
    found = paths(Names(facts), facts, "", list(range(5)), [], list)
    assert len(found) == MOST_PATHS and {second for _, second in found} == set(range(5, 12))


def test_paths_tell_one_thing_from_another_by_its_other_names_too() -> None:
    office = Triple("Acme Ltd", "office", "Paris", aliases=("Acme",))
    assert "the office of which is Paris" in fact_text(path(office, Triple("ACME LTD", "phone", "1")))
    assert "the office of which is Paris" in fact_text(path(Triple("Acme", "office", "Paris"), office))


def test_what_is_read_for_rows_in_one_step_and_in_two() -> None:
    beside = Beside([2], frozenset(), [(0, 3), (1, 3)], named=False)
    assert beside.rows == [2, 3, 3] and beside.doubts([0, 5]) == [0.0, 0.0, -SAID, IN_TWO, IN_TWO]
    assert Beside([], frozenset([5]), [], named=False).doubts([0, 5]) == [0.0, -SAID]
    assert Beside([7], frozenset(), [], named=True).doubts([0]) == [0.0, ASIDE]
    assert list(map(fact_text, beside.facts(FACTS))) == [fact_text(FACTS[2]), LEAD, LEAD.replace("lead", "approver")]


def test_what_has_a_value_is_asked_for_something_else() -> None:
    office = fact_text(path(FACTS[3], FACTS[4]))
    reader, _ = reading(lambda asked, fact: 6.0 if fact == office else -2.0)
    asked = reader.read(["In which office is extension 2207?"])
    assert reader.scores(asked)[0].argmax() == 4 and asked.via[0][4] == 3
    assert form_asked(reader, asked, 0, 4) == "both" and ways(reader, asked, [4]).tolist() == [BY_PATH]
    reader, _ = reading(lambda asked, fact: 6.0 if fact == fact_text(FACTS[3]) else -2.0)
    asked = reader.read(["Whose extension is 2207?"])
    assert (
        reader.scores(asked)[0].argmax() == 3 and 3 not in asked.via[0] and form_asked(reader, asked, 0, 3) == "thing"
    )


def test_a_path_that_answers_is_attended_to() -> None:
    reader, read = reading(lambda asked, fact: 6.0 if fact == LEAD else -2.0)
    asked = reader.read([QUESTION])
    assert {LEAD, LEAD.replace("lead", "approver")} <= {fact for _, fact in read}
    assert reader.scores(asked)[0].argmax() == 3 and asked.via[0][3] == 0
    assert ways(reader, asked, [3]).tolist() == [BY_PATH]
    assert evidence(reader, asked, [3])[0, -5:-3].tolist() == [6, 8]


def test_a_fact_that_answers_in_one_step_is_preferred() -> None:
    reader, _ = reading(lambda asked, fact: 6.0 if fact == fact_text(FACTS[0]) else 2.0)
    asked = reader.read(["Who leads Project Kestrel?"])
    assert reader.scores(asked)[0].argmax() == 0


def test_a_model_answers_in_steps_and_cites_each() -> None:
    model = KBLaM.from_pretrained("default").attach(KnowledgeBase.from_triples(FACTS))
    answer = model.ask(QUESTION)
    assert answer.text == "Tom Baker: 2207" and not answer.refused
    assert [citation.triple for citation in answer.citations[:2]] == [FACTS[3], FACTS[0]]
    assert "B-116" in model.ask("Where does the person who leads Kestrel sit?").text
    for question in ("Who is the lead of Project Kestrel?", "What is the name of the lead of Project Kestrel?"):
        assert "Tom Baker" in model.ask(question).text and "2207" not in model.ask(question).text
    assert model.ask("What is the birthday of the lead of Project Kestrel?").refused


def test_lessons_put_another_thing_in_place_of_the_one_asked_about() -> None:
    facts = [
        Triple("Kestrel", "lead", "Tom Baker"),
        Triple("Kestrel", "deadline", "May"),
        Triple("Tom Baker", "office", "B-116"),
        Triple("Tom Baker", "age", "40"),
    ]
    questions = [Asked("Where does Tom Baker sit?", "Tom Baker", 2), Asked("When is Kestrel due?", "Kestrel", 1)]
    world = World("w", facts, questions, {"Kestrel": [0, 1], "Tom Baker": [2, 3]})
    draw = random.Random(0)
    lessons = [PathLessons([world], plain=0.0, without=0.0, sideways=0.0)(draw) for _ in range(60)]
    steps = [lesson for lesson in lessons if "sit" in lesson.question]
    assert steps and all(lesson.there and len(lesson.statements) == 4 for lesson in lessons)
    for lesson in steps:
        assert "Tom Baker" not in lesson.question and "Kestrel" in lesson.question
        assert lesson.statements[0].endswith("of Kestrel, Tom Baker, is B-116")
        assert lesson.statements[1].endswith("of Kestrel is Tom Baker")
    plain = [PathLessons([world], plain=1.0)(draw) for _ in range(40)]
    assert {lesson.statements[0] for lesson in plain} == {fact_text(facts[2]), fact_text(facts[1])}
    none = PathLessons([world], plain=0.0, without=1.0)(draw)
    assert not none.there
    having = PathLessons([world], plain=0.0, without=0.0, sideways=1.0)
    texts = [lesson for lesson in (having(draw) for _ in range(20)) if "sit" in lesson.question]
    assert texts and all("40" in lesson.question and "Tom Baker" not in lesson.question for lesson in texts)
    assert {lesson.statements[0] for lesson in texts} == {"the office of Tom Baker, the age of which is 40, is B-116"}


def test_worlds_are_asked_in_steps() -> None:
    facts = [Triple("Kestrel", "lead", "Tom Baker"), Triple("Tom Baker", "office", "B-116")]
    questions = [
        Asked("Where does Tom Baker sit?", "Tom Baker", 1),
        Asked("How old is Tom Baker?", "Tom Baker", None),
        Asked("Who leads Kestrel?", "Kestrel", 0),
    ]
    asked = asked_in_steps(World("w", facts, questions, {"Kestrel": [0], "Tom Baker": [1]}), random.Random(1)).questions
    assert [each.row for each in asked] == [1, None]
    assert all("Kestrel" in each.text and "Tom Baker" not in each.text for each in asked)
