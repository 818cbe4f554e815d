"""What a step of training takes from a dataset."""

from __future__ import annotations

import torch
from tiny_training import WordsEncoder

from kblam.answering.prompts import REFUSAL
from kblam.knowledge import Triple
from kblam.synthesis.questions import Question
from kblam.training.lessons import Lessons, Mixture

ENCODER = WordsEncoder()


def test_a_pick_comes_from_its_seed_and_holds_what_its_questions_need(lessons: Lessons) -> None:
    mixture = Mixture(first_rows=50, rows=100, unanswerable=0.4)
    picked = lessons.pick(mixture, 60, 0.0, "a")
    assert (
        picked.questions
        == lessons.pick(mixture, 60, 0.0, "a").questions
        != lessons.pick(mixture, 60, 0.0, "b").questions
    )
    rows = set(picked.rows.tolist())
    for index in picked.questions:
        assert rows >= {*lessons.needed[index], lessons.home[index]}
        siblings = lessons.by_entity[lessons.facts[lessons.home[index]].entity]
        assert rows >= set(siblings), "the entity's other facts are the hardest to tell apart"
    missing = [lessons.questions[index].kind == "unanswerable" for index in picked.questions]
    assert 0.2 < (sum(missing) + sum(picked.hidden)) / 60 < 0.6 and any(missing) and any(picked.hidden)


def test_knowledge_grows() -> None:
    mixture = Mixture(first_rows=100, rows=1600, growing=0.5)
    assert [mixture.rows_at(at) for at in (0.0, 0.125, 0.25, 0.5, 1.0)] == [100, 200, 400, 1600, 1600]


def test_near_duplicates_are_among_the_rows() -> None:
    names = [*(f"Zembla {number}" for number in range(40)), *(f"{number} Qrx" for number in range(400))]
    facts = tuple(Triple(name, "capital", name) for name in names)
    vectors = torch.from_numpy(ENCODER.encode([fact.key_text for fact in facts])).half()
    question = Question("?", "Zembla 0", (facts[0].identity,), "plain")
    lessons = Lessons(facts, vectors, vectors, (question,), vectors[:1], ((0,),), (0,))
    picked = lessons.pick(Mixture(first_rows=10, rows=10, negatives=8, unanswerable=0.0), 1, 0.0, "")
    assert len(picked.rows) == 10 and sum(row < 40 for row in picked.rows.tolist()) >= 9


def test_an_exercise_hides_what_it_refuses(lessons: Lessons) -> None:
    picked = lessons.pick(Mixture(first_rows=50, rows=50, unanswerable=0.5), 40, 0.0, "x")
    exercise = lessons.exercise(picked, range(40), torch.device("cpu"))
    torch.testing.assert_close(exercise.target.sum(1), torch.ones(40))
    for at, (index, hidden) in enumerate(zip(picked.questions, picked.hidden, strict=True)):
        refused = hidden or not lessons.needed[index]
        assert (
            (exercise.answers[at] == REFUSAL) == refused == (exercise.target[at, -1] == 1) == (not exercise.shown[at])
        )
        gone = {int(row) for row in picked.rows[exercise.hidden[at] == -torch.inf]}
        assert gone == (set(lessons.needed[index]) if hidden else set())
        wanted = {int(row) for row in picked.rows[exercise.target[at, :-1] > 0]}
        assert wanted == (set() if refused else set(lessons.needed[index]))


def test_the_questions_of_a_run_are_known_before_it(lessons: Lessons) -> None:
    mixture = Mixture(first_rows=20, rows=20, negatives=0)
    seeds = [f"{number}" for number in range(5)]
    taken = {index for seed in seeds for index in lessons.pick(mixture, 6, 0.5, seed).questions}
    assert lessons.asked_by(mixture, 6, seeds) == sorted(taken) != lessons.asked_by(mixture, 6, seeds[:4])
