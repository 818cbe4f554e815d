"""What a step of training does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_training import tiny_llama, vector_training

from kblam.training.lessons import Lessons
from kblam.training.losses import Weights


def test_a_batch_may_be_divided_in_any_way(lessons: Lessons) -> None:
    whole, parts = vector_training(lessons, batch=8), vector_training(lessons, batch=2, accumulate=4)
    for step in range(3):
        one, other = whole.step(step), parts.step(step)
        assert one == pytest.approx(other, rel=1e-4)
    for one, other in zip(whole.trained, parts.trained, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_teacher_is_listened_to(lessons: Lessons) -> None:
    taught = vector_training(lessons, weights=Weights(top_k=8, teacher=1000.0), rate=1e-2)
    before = taught.step(0)["teacher"]
    assert before > 0
    for _ in range(25):
        after = taught.step(0)["teacher"]
    assert after < 0.9 * before


def test_a_base_in_half_precision_is_trained(lessons: Lessons) -> None:
    half = vector_training(lessons, tiny_llama().to(torch.bfloat16))
    first = half.step(1)["answer"]
    for _ in range(12):
        last = half.step(1)["answer"]
    assert last < first and all(tensor.dtype == torch.float32 for tensor in half.trained)


def test_without_embedded_questions_the_models_own_query_is_trained(lessons: Lessons) -> None:
    blind = vector_training(replace(lessons, asked=None), weights=Weights(top_k=8, retrieval=5.0), rate=1e-2)
    first = blind.step(1)["retrieval"]
    for _ in range(12):
        last = blind.step(1)["retrieval"]
    assert last < first


def test_measuring_repeats_itself_and_shuffled_knowledge_is_other_knowledge(lessons: Lessons) -> None:
    run = vector_training(lessons, rate=1e-2)
    for step in range(8):
        run.step(step)
    once = run.measure(lessons, 40, 12)
    assert once == run.measure(lessons, 40, 12)
    assert once["answer"] != run.measure(lessons, 40, 12, shuffle=True)["answer"]
    assert once["retrieval"] == pytest.approx(run.measure(lessons, 40, 12, shuffle=True)["retrieval"], rel=0.5)


def test_low_rank_query_heads_learn(lessons: Lessons) -> None:
    run = vector_training(lessons, query_rank=2, rate=1e-2)
    assert {"low_rank_query.down", "low_rank_query.up", "low_rank_query.scale"} <= set(run.names)
    first = run.step(1)["retrieval"]
    for _ in range(12):
        last = run.step(1)["retrieval"]
    assert last < first and run.adapter.low_rank_query is not None and run.adapter.low_rank_query.up.abs().sum() > 0


def test_margins_are_those_that_refusal_is_counted_by(lessons: Lessons) -> None:
    run = vector_training(lessons, rate=1e-2)
    for step in range(4):
        run.step(step)
    found = run.margins(lessons, 40, 30, "x")
    assert found is not None
    margins, answerable = found
    accepted, refused = (margins[answerable] >= 0).float().mean(), (margins[~answerable] < 0).float().mean()
    assert run.measure(lessons, 40, 30, seed="x")["refusal"] == pytest.approx(float(accepted + refused) / 2)
