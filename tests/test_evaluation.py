"""Grading: intervals, rivals, the table, and a model that can be told what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_training import WordsEncoder

from kblam import KnowledgeBase
from kblam.answering.answer import Answer, Citation
from kblam.answering.prompts import REFUSAL
from kblam.cli import main
from kblam.errors import InputError
from kblam.evaluation.intervals import Share, balanced, best_balanced
from kblam.evaluation.rivals import rivals
from kblam.evaluation.suite import choose_questions, evaluate, holds, value_kind
from kblam.evaluation.table import table
from kblam.knowledge import Triple
from kblam.synthesis.dataset import Entry, write_dataset
from kblam.synthesis.making import Recipe, make_dataset
from kblam.synthesis.questions import Question

ENTRIES = make_dataset(Recipe(facts=150, validation=0, seed=5, near=0.1, other_scripts=0.2))[0]


def test_wilson_intervals() -> None:
    low, high = Share(8, 10).interval()
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)  # Newcombe (1998), table I's method 3
    assert str(Share(8, 10)) == "0.800 (0.490-0.943)" and str(Share(0, 0)) == "-"
    assert Share(0, 50).interval()[0] == 0.0 and Share(50, 50).interval()[1] == pytest.approx(1.0)
    assert Share.of([True, False, True]) == Share(2, 3)


def test_balanced_accuracy_and_its_bootstrap() -> None:
    found = balanced([True] * 90 + [False] * 10, [True] * 30 + [False] * 20)
    assert found is not None and found.value == pytest.approx(0.75)
    assert 0.65 < found.low < 0.70 and 0.80 < found.high < 0.85
    assert balanced([], [True]) is None and balanced([True], []) is None


def test_the_best_threshold_is_found() -> None:
    scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert best_balanced(scores, np.array([True, True, True, False, False])) == 1.0
    assert best_balanced(scores, np.array([True, False, True, False, False])) == pytest.approx((1 + 2 / 3) / 2)
    assert best_balanced(np.ones(4), np.array([True, True, False, False])) == 0.5


@pytest.mark.parametrize(
    ("text", "value", "right"),
    [("It is 42.", "42", True), ("It is 423.", "42", False), ("首都是乌兰巴托。", "乌兰巴托", True), ("", "x", False)],
)
def test_values_are_held_as_whole_words(text: str, value: str, right: bool) -> None:
    assert holds(text, value) == right


def test_values_are_of_four_kinds() -> None:
    values = ("QX-44", "oak wood", "a tool that was made for the people of the north", "乌兰巴托2")
    assert [value_kind(value) for value in values] == [
        "with digits",
        "short words",
        "long words",
        "Chinese or Japanese",
    ]


def test_rivals_find_what_is_spelt_alike() -> None:
    facts = [
        Triple(name, "capital", value) for name, value in (("Zembla", "Onhava"), ("Qrx", "Bb"), ("蒙古", "乌兰巴托"))
    ]
    base = KnowledgeBase.from_triples(facts, WordsEncoder())
    found = rivals(base, ["the capital of qrx", "蒙古的首都"], 2)
    assert found["BM25"].rows.shape == (2, 2) and found["BM25"].rows[:, 0].tolist() == [1, 2]
    assert found["dense"].rows[0, 0] == 1 and found["dense"].scores[0] == pytest.approx(1.0, abs=0.01)


class Obedient:
    """Answers every question from the facts attached, or as it is told to."""

    adapter = None

    def __init__(self, questions: Sequence[Question], stubborn: bool = False, silent: bool = False) -> None:
        self.questions = {question.text: question for question in questions}
        self.stubborn, self.silent = stubborn, silent
        self.remembered: dict[str, Answer] = {}

    def attach(self, knowledge: KnowledgeBase) -> None:
        self.base = knowledge

    def ask(self, questions: Sequence[str], grounding: str = "quote") -> list[Answer]:
        return [self._answer(text, grounding) for text in questions]

    def _answer(self, text: str, grounding: str) -> Answer:
        if self.stubborn and text in self.remembered:
            return self.remembered[text]
        facts = [self.base.get(*identity) for identity in self.questions[text].facts]
        refused = self.silent or not facts or None in facts
        said = REFUSAL if refused else " ".join(fact.value for fact in facts if fact)
        cited = () if refused else tuple(Citation(fact, 0.9) for fact in facts if fact)
        answer = Answer(text, said, refused, cited, False, 0.9, grounding, len(self.base), 0, "m")
        self.remembered[text] = answer
        return answer

    def nearest(self, questions: Sequence[str], count: int) -> list[list[int]]:
        rows = {fact.identity: row for row, fact in enumerate(self.base.triples)}
        return [[rows[identity] for identity in self.questions[text].facts] or [0] for text in questions]


def graded(**habits: bool) -> dict[str, Any]:
    questions = choose_questions(ENTRIES, 20)
    # A question that several facts share would be graded against one of them only.
    return evaluate(Obedient(questions, **habits), ENTRIES, most=20, causal=30, encoder=WordsEncoder())


def test_a_perfect_model_gets_full_marks() -> None:
    numbers = graded()
    for kind in ("plain", "paraphrased", "misspelt"):
        row = numbers["by kind"][kind]
        assert row["attention top-1"].startswith("1.000") and row["value exact"].startswith("1.000"), kind
    assert numbers["by kind"]["two"]["cited"].startswith("1.000") and "attention top-1" not in numbers["by kind"]["two"]
    assert numbers["by kind"]["unanswerable"]["refused"].startswith("1.000")
    assert numbers["refusal"]["balanced accuracy"].startswith("1.000")
    assert numbers["causal"]["refused"].startswith("1.000 (0.8")
    assert float(numbers["by kind"]["plain"]["BM25 top-1"][:5]) > float(
        numbers["by kind"]["paraphrased"]["BM25 top-1"][:5]
    )


def test_a_model_that_answers_from_memory_fails_the_causal_test() -> None:
    assert graded(stubborn=True)["causal"]["answer changes or is refused"].startswith("0.000")


def test_a_model_that_refuses_everything_is_half_right() -> None:
    numbers = graded(silent=True)
    assert numbers["refusal"]["balanced accuracy"].startswith("0.500") and numbers["causal"] == {}
    assert numbers["by kind"]["plain"]["answered"].startswith("0.000")


def test_the_table_shows_every_kind_and_language() -> None:
    shown = table(graded())
    for word in (
        "plain",
        "unanswerable",
        "Japanese",
        "attention top-5",
        "BM25 top-1",
        "balanced accuracy",
        "taken away",
    ):
        assert word in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_questions_are_drawn_by_the_seed() -> None:
    assert choose_questions(ENTRIES, 5, 1) == choose_questions(ENTRIES, 5, 1) != choose_questions(ENTRIES, 5, 2)
    only = [Entry(Triple("a", "b", "c"), (Question("?", "", (("x", "y"),), "plain"),))]
    assert choose_questions(only, 5) == []
    with pytest.raises(InputError, match="holds no questions"):
        evaluate(Obedient([]), only, encoder=WordsEncoder())


@pytest.mark.parametrize(
    "arguments",
    ["", "--question a --dataset b", "--dataset nowhere", "--dataset nowhere --kb x", "--dataset nowhere --scan ann"],
)
def test_the_command_refuses_in_one_line(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *arguments.split()]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_command_prints_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import kblam

    write_dataset(tmp_path / "data.jsonl", ENTRIES)
    model = Obedient(choose_questions(ENTRIES[:40], 3))
    monkeypatch.setattr(kblam.KBLaM, "from_pretrained", lambda name: model)
    monkeypatch.setattr("kblam.knowledge.DEFAULT_ENCODER", WordsEncoder())
    command = ["evaluate", "--dataset", str(tmp_path / "data.jsonl"), "--facts", "40", "--questions", "3"]
    assert main([*command, "--output", str(tmp_path / "numbers.json")]) == 0
    assert "40 facts" in capsys.readouterr().out
    assert json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))["facts"] == 40
