"""A larger encoder that says how well questions and statements fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from kblam.knowledge.sentence_model import load_sentence_model
from kblam.training.lessons import Lessons
from kblam.training.question_encoder import LowRankPlan, train_question_encoder
from kblam.training.teacher import Teacher

ASKED = ["Where does it lie?", "Hello! Who made it?"]
STATED = ["the place of it", "the maker of it", "the price of it"]


class Known:
    """Gives texts the directions that it is told, and counts what it is asked."""

    name, width = "known", 3

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        self.read += texts
        places = {"Where does it lie?": 0, "Who made it?": 1, **{text: at for at, text in enumerate(STATED)}}
        return np.eye(3, dtype=np.float32)[[places[text] for text in texts]]


def test_a_pupil_that_agrees_with_its_teacher_and_the_truth_loses_least() -> None:
    teacher, right = Teacher(Known(), scale=2.0), torch.tensor([0, 1])
    agreeing = 2.0 * torch.eye(3)[:2]
    least = teacher.loss(agreeing, right, ASKED, STATED)
    probabilities = torch.softmax(agreeing, -1)
    entropy = -(probabilities * probabilities.log()).sum(-1).mean()
    torch.testing.assert_close(least, 0.5 * nn.functional.cross_entropy(agreeing, right) + 0.5 * entropy)
    scores = agreeing.clone().requires_grad_()
    Teacher(Known(), scale=2.0, share=1.0).loss(scores, right, ASKED, STATED).backward()
    assert scores.grad is not None and scores.grad.abs().max() < 1e-6
    assert teacher.loss(agreeing.flip(0), right, ASKED, STATED) > least


def test_a_share_of_nothing_is_the_truth_alone() -> None:
    scores, right = torch.randn(2, 3), torch.tensor([2, 0])
    loss = Teacher(Known(), share=0.0).loss(scores, right, ASKED, STATED)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(scores, right))


def test_texts_are_read_once_and_without_polite_words() -> None:
    known = Known()
    teacher = Teacher(known)
    for _ in range(2):
        teacher.loss(torch.zeros(2, 3), torch.tensor([0, 1]), ASKED, STATED)
        teacher.loss(torch.zeros(2, 3), torch.tensor([0, 1]), ["Hi, Where does it lie?", ASKED[1]], STATED)
    assert sorted(known.read) == sorted(["Where does it lie?", "Who made it?", *STATED])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_training_listens_to_the_teacher(lessons: Lessons, share: float) -> None:
    class Random(Known):
        def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
            self.read += texts
            return np.random.default_rng(len(texts)).normal(size=(len(texts), 3)).astype(np.float32)

    def trained(teacher: Teacher | None) -> torch.Tensor:
        plan = LowRankPlan(steps=2, batch=0, masked=4, statements=4, defined=0, rank=2)
        model = load_sentence_model("all-MiniLM-L6-v2")
        updates, _ = train_question_encoder(model, lessons.practice(), plan, lambda step, loss: None, teacher=teacher)
        return torch.cat([up.flatten() for _, up in updates.values()])

    random = Random()
    same = torch.equal(trained(None), trained(Teacher(random, share=share)))
    assert same == (share == 0.0) and random.read
