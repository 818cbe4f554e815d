"""What a step of training the question encoder compares, and what it asks of the scores."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch
from tiny_training import WordsEncoder

from kblam.knowledge import Triple
from kblam.synthesis.facts import make_facts
from kblam.synthesis.properties import PROPERTIES
from kblam.training.question_encoder import LowRankPlan, _whole_themes, _withheld_loss
from kblam.training.questions import Practice, make_practice
from kblam.training.themes import UNKNOWN, by_theme

PLAN = LowRankPlan(statements=60)


@pytest.fixture(scope="module")
def practice() -> Practice:
    themed = [item for item in PROPERTIES if item.theme]
    return make_practice(make_facts(3000, 5, properties=themed[:400]), WordsEncoder(), 0, progress=False)


def test_a_step_takes_each_property_of_a_few_themes_once(practice: Practice) -> None:
    rows, theme = _whole_themes(by_theme(practice), practice, PLAN, random.Random(1))
    names = [practice.facts[row].property for row in rows]
    assert len(set(names)) == len(names) == len(theme) == PLAN.statements
    of_each = Counter(theme.tolist())
    assert 4 <= len(of_each) <= 8 and max(of_each.values()) <= PLAN.theme
    theme_of = {item.name: item.theme for item in PROPERTIES}
    english = [(number, theme_of[name]) for number, name in zip(theme.tolist(), names, strict=True) if name in theme_of]
    assert len(set(english)) == len({number for number, _ in english}) > 3


def test_things_whose_properties_are_in_no_table_come_a_few_at_a_time() -> None:
    facts = [Triple(f"thing {number}", f"quality {number}", "good") for number in range(3 * UNKNOWN)]
    practice = make_practice(facts, WordsEncoder(), 0, progress=False)
    rows, theme = _whole_themes(by_theme(practice), practice, LowRankPlan(), random.Random(1))
    assert sorted(rows) == list(range(len(facts))) and sorted(Counter(theme.tolist()).values()) == [UNKNOWN] * 3


def test_an_answer_must_score_enough_and_what_is_there_without_it_less() -> None:
    theme, right, enough = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 3]), torch.tensor(5.0)

    def loss(own: float, sibling: float, stranger: float) -> float:
        scores = torch.full((2, 5), stranger)
        scores[0, :3], scores[1, 3:] = sibling, sibling
        scores[0, 0], scores[1, 3] = own, own
        return _withheld_loss(scores, right, theme, enough).item()

    assert loss(50.0, -50.0, 50.0) < 1e-3, "what is said of other kinds of thing does not count"
    assert loss(5.0, -50.0, 0.0) == pytest.approx(torch.tensor(2.0).log().item() / 2, abs=1e-3)
    torch.manual_seed(0)
    assert max(loss(50.0, 50.0, 0.0) for _ in range(8)) > 10
    assert loss(-50.0, -50.0, 0.0) > 10
