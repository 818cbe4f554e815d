"""Datasets made offline: deterministic, split by entity and property, with every kind of question."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from kblam.answering.prompts import REFUSAL
from kblam.cli import main
from kblam.errors import InputError, KnowledgeError
from kblam.knowledge import Triple, read_triples
from kblam.synthesis.asking import KINDS, ask_by_alias, ask_misspelt, ask_openly, ask_three, language_of
from kblam.synthesis.dataset import Entry, find_dataset, read_dataset, read_questions, write_dataset
from kblam.synthesis.diversity import diversity
from kblam.synthesis.making import HELD_OUT, Recipe, make_dataset
from kblam.synthesis.questions import Question, misspell

TRAIN, VALIDATION = make_dataset(Recipe(facts=3000, validation=600, seed=3))


def everything() -> list[tuple[Triple, Question]]:
    return [(entry.fact, question) for entry in (*TRAIN, *VALIDATION) for question in entry.questions]


def test_the_seed_decides() -> None:
    small = Recipe(facts=200, validation=40, seed=3)
    assert make_dataset(small) == make_dataset(small) != make_dataset(Recipe(facts=200, validation=40, seed=4))


def test_the_halves_share_no_entity_and_training_has_no_property_that_is_held_out() -> None:
    assert not {entry.fact.entity for entry in TRAIN} & {entry.fact.entity for entry in VALIDATION}
    assert not {entry.fact.property for entry in TRAIN} & HELD_OUT
    new = sum(entry.fact.property in HELD_OUT for entry in VALIDATION)
    assert 0.3 * len(VALIDATION) < new < 0.7 * len(VALIDATION)


def test_every_kind_and_language_is_there() -> None:
    kinds = {(question.kind, language_of(question.text)) for _, question in everything()}
    assert {kind for kind, _ in kinds} == set(KINDS)
    for kind in ("plain", "paraphrased", "two", "unanswerable"):
        assert {(kind, language) for language in ("English", "Chinese", "Japanese")} <= kinds


def test_answers_hold_the_values_of_the_facts_they_need() -> None:
    facts = {entry.fact.identity: entry.fact for entry in (*TRAIN, *VALIDATION)}
    for _, question in everything():
        assert (question.kind == "unanswerable") == (question.answer == REFUSAL) == (not question.facts)
        assert all(facts[identity].value in question.answer for identity in question.facts)
        assert len(question.facts) == {"two": 2, "three": 3}.get(question.kind, len(question.facts))


def test_what_cannot_be_answered_is_not_there() -> None:
    entities = {fact.entity for fact, _ in everything()}
    missing = [(fact, question) for fact, question in everything() if question.kind == "unanswerable"]
    about_known = [question for fact, question in missing if fact.entity in question.text]
    assert 0.2 < len(about_known) / len(missing) < 0.95
    properties = {}
    for fact, _ in everything():
        properties.setdefault(fact.entity, set()).add(fact.property)
    for fact, question in missing:
        for name in properties[fact.entity]:
            assert f"the {name} of {fact.entity}?" not in question.text
    assert entities


def test_a_misspelt_name_is_nobody_elses() -> None:
    names = {fact.entity for fact, _ in everything()}
    for fact, question in everything():
        if question.kind == "misspelt":
            assert fact.entity not in question.text or any(fact.entity in name for name in names - {fact.entity})
    draw = random.Random(0)
    every = frozenset(ask_misspelt(Triple("Zemblan", "size", "5"), draw, frozenset()).text for _ in range(60))  # type: ignore[union-attr]
    assert len(every) > 5
    assert ask_misspelt(Triple("AI", "size", "5"), draw, frozenset()) is None


def test_slips_of_the_pen_leave_digits_and_first_letters_alone() -> None:
    draw = random.Random(0)
    for name in ("Belta-9599", "Halrel Valley", "New PS", "ZITRG"):
        wrong = {misspell(name, draw) for _ in range(40)} - {name}
        assert wrong
        assert {re.sub(r"\D", "", each) for each in wrong} == {re.sub(r"\D", "", name)}
        assert {each[0] for each in wrong} == {name[0]}
    assert misspell("Fa-8472", draw) == "Fa-8472"


def test_another_name_is_asked_and_the_name_is_answered() -> None:
    fact = Triple("Zembla", "capital", "Onhava", ("the far north",))
    asked = [ask_by_alias(fact, random.Random(seed)) for seed in range(20)]
    assert all(question and "the far north" in question.text and "north" not in question.answer for question in asked)
    assert ask_by_alias(Triple("Zembla", "capital", "Onhava"), random.Random(0)) is None


def test_three_facts_and_all_facts() -> None:
    facts = [Triple("蒙古", name, value) for name, value in (("首都", "乌兰巴托"), ("人口", "3"), ("颜色", "图格里克"))]
    three, everything_about = ask_three(facts, random.Random(0)), ask_openly(facts, random.Random(0))
    assert three.text == "蒙古的首都、蒙古的人口、蒙古的颜色分别是什么？"
    assert three.answer == everything_about.answer == "乌兰巴托\n3\n图格里克"


def test_a_dataset_is_written_and_read_and_is_a_file_of_facts(tmp_path: Path) -> None:
    write_dataset(tmp_path / "train.jsonl", TRAIN)
    assert read_dataset(tmp_path / "train.jsonl") == TRAIN
    assert read_triples(tmp_path / "train.jsonl") == [entry.fact for entry in TRAIN]
    first = read_dataset(tmp_path / "train.jsonl", first=100)
    there = {entry.fact.identity for entry in first}
    assert len(first) == 100 and all(there.issuperset(item.facts) for entry in first for item in entry.questions)


def test_the_originals_datasets_and_questions_that_stand_apart_are_read(tmp_path: Path) -> None:
    row = {"name": "Zembla", "description_type": "purpose", "description": "to rest", "Q": "What for?", "A": "To rest."}
    path, apart = tmp_path / "data.json", tmp_path / "questions.jsonl"
    path.write_text(json.dumps([row | {"extended_Q": "And?", "extended_A": "Rest."}]), encoding="utf-8")
    apart.write_text(
        '{"question": "Why?", "kind": "paraphrased", "facts": [["Zembla", "purpose"]]}\n', encoding="utf-8"
    )
    identity = (("Zembla", "purpose"),)
    own = (Question("What for?", "To rest.", identity, "plain"), Question("And?", "Rest.", identity, "open"))
    assert read_dataset(path) == [Entry(Triple("Zembla", "purpose", "to rest"), own)]
    assert read_questions(apart) == [Question("Why?", "", identity, "paraphrased")]
    assert read_dataset(path, apart)[0].questions == (*own, *read_questions(apart))


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ('"x"', "questions is not a list"),
        ("[{}]", "a text `question`"),
        ('[{"question": "a", "kind": "b"}]', "the kind 'b' is unknown"),
        ('[{"question": "a", "facts": [1]}]', "pairs"),
        ('[{"question": "a", "kind": "unanswerable"}]', "only a question of the kind unanswerable"),
        ('[{"question": "a", "facts": []}]', "only a question of the kind unanswerable"),
    ],
)
def test_bad_questions_are_named(tmp_path: Path, questions: str, message: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(f'{{"entity": "a", "description": "b", "questions": {questions}}}', encoding="utf-8")
    with pytest.raises(KnowledgeError, match=f"row 1.*{message}"):
        read_dataset(path)


def test_datasets_are_found(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="kblam synthesize"):
        find_dataset(tmp_path / "none")
    with pytest.raises(KnowledgeError, match=r"train\.jsonl"):
        find_dataset(tmp_path)
    write_dataset(tmp_path / "train.jsonl", TRAIN[:5])
    assert find_dataset(tmp_path) == (tmp_path / "train.jsonl", None)
    assert find_dataset(tmp_path / "train.jsonl") == (tmp_path / "train.jsonl", None)


def test_diversity_counts() -> None:
    fact = Triple("Zembla", "capital", "Onhava")
    asked = Question("What is the capital of Zembla?", "", (fact.identity,), "plain")
    found = diversity([Entry(fact, (asked,)), Entry(Triple("Zembla", "motto", "Onhava"), ())])
    assert (found.facts, found.entities, found.properties, found.values) == (2, 1, 2, 1)
    assert found.repeated == {"plain": pytest.approx(4 / 6)}
    assert "0.67 plain" in str(found)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "data"
    arguments = ["synthesize", "--output", str(output), "--facts", "200", "--validation", "40"]
    assert main(arguments) == 0 and main(arguments) == 0
    assert "200 facts" in (shown := capsys.readouterr().out) and "distinct properties" in shown
    assert len(read_dataset(output / "train.jsonl")) == 200 and find_dataset(output)[1] == output / "validation.jsonl"
    assert json.loads((output / "dataset.json").read_text(encoding="utf-8"))["recipe"]["facts"] == 200


@pytest.mark.parametrize("options", [["--facts", "1"], ["--near", "1.5"], ["--model_name", "x"]])
def test_options_that_make_no_sense(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synthesize", "--output", str(tmp_path / "data"), *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_somebody_elses_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").touch()
    assert main(["synthesize", "--output", str(tmp_path / "data"), "--facts", "100"]) == 2
    assert "left alone" in capsys.readouterr().err and len(list((tmp_path / "data").iterdir())) == 1


def test_shares_are_checked() -> None:
    with pytest.raises(InputError, match="near"):
        Recipe(near=1.0)
