"""Synthetic facts, questions about them, and training on them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from tiny_training import WordsEncoder, tiny_llama
from transformers import AutoTokenizer

from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape
from kblam.models.shipped import SHIPPED
from kblam.synthesis.facts import HELD_OUT_PROPERTIES, make_facts
from kblam.synthesis.questions import ask_about, ask_two
from kblam.training.lessons import Mixture
from kblam.training.losses import Weights, tokenise
from kblam.training.prior import train_prior
from kblam.training.questions import Practice, make_exam, make_practice
from kblam.training.vectors import Schedule, train_vectors


def test_facts_are_distinct_and_come_from_the_seed() -> None:
    facts = make_facts(500, 3)
    assert facts == make_facts(500, 3) != make_facts(500, 4)
    assert len({fact.identity for fact in facts}) == 500
    assert not {fact.property for fact in facts} & HELD_OUT_PROPERTIES


def test_questions_name_the_entity_and_expect_the_value() -> None:
    draw = random.Random(0)
    for fact in make_facts(300, 1):
        question = ask_about(fact, draw, typo=0.0)
        assert fact.entity in question.text
        assert question.answer.endswith(fact.value)
        assert question.facts == (fact.identity,)


def test_a_question_about_two_facts_expects_both() -> None:
    draw = random.Random(0)
    facts = make_facts(100, 1, other_scripts=0.3)
    for first, second in zip(facts[::2], facts[1::2], strict=True):
        question = ask_two(first, second, draw)
        assert first.value in question.answer and second.value in question.answer
        assert question.facts == (first.identity, second.identity)


def test_an_exam_asks_for_what_is_not_there() -> None:
    exam = make_exam(make_facts(400, 2), 0, 40)
    kept = {fact.identity for fact in exam.facts}
    for question, answerable in zip(exam.questions, exam.answerable, strict=True):
        assert (question.facts[0] in kept) == answerable
    assert sum(exam.answerable) == 40


def test_practice_is_saved_and_read(tmp_path: Path) -> None:
    practice = make_practice(make_facts(30, 0), WordsEncoder(), 0, progress=False)
    practice.save(tmp_path / "practice.pt")
    again = Practice.load(tmp_path / "practice.pt")
    assert again.facts == practice.facts and again.questions == practice.questions
    assert torch.equal(again.asked, practice.asked)


@pytest.mark.parametrize("seed", [0])
def test_training_the_prior_finds_more_rows(seed: int) -> None:
    practice = make_practice(make_facts(400, seed), WordsEncoder(), seed, paraphrase=1.0, progress=False)
    adapter = Adapter(
        AdapterConfig("words", 32, "none", (0,), heads=1, head_dim=4, value_head_dim=4, hidden_size=8)
    ).requires_grad_(False)
    latents = adapter.latents(practice.keys, practice.values)

    def right() -> float:
        return (adapter.prior_scores(practice.asked, latents).argmax(-1) == torch.arange(400)).float().mean().item()

    before = right()
    train_prior(adapter, practice, seed, steps=80, rate=3e-3, dropout=0.0)
    assert right() > before + 0.1


def test_training_vectors_learns_and_leaves_the_base_alone() -> None:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED / "base")
    base = tiny_llama()
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    practice = make_practice(make_facts(60, 0), WordsEncoder(), 0, progress=False)
    config = AdapterConfig("words", 32, "tiny", (0, 1), retrieval_layer=0, **attention_shape(base, (0, 1)))
    adapter = Adapter.for_model(base, config)
    reading = {name: tensor.clone() for name, tensor in adapter.state_dict().items() if name.startswith("question_")}
    losses: list[dict[str, float]] = []
    schedule = Schedule(steps=40, batch=8, warmup=5, mixture=Mixture(first_rows=20, rows=40), weights=Weights(top_k=8))
    train_vectors(base, tokenizer, adapter, practice, schedule, lambda step, values: losses.append(values))
    assert sum(loss["answer"] for loss in losses[-5:]) < sum(loss["answer"] for loss in losses[:5])
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.state_dict().items())
    assert all(torch.equal(adapter.state_dict()[name], tensor) for name, tensor in reading.items())


def test_tokenised_batches_say_exactly_the_answer() -> None:
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED / "base")
    batch = tokenise(tokenizer, ["What is A?", "What is the capital of Zembla?"], ["人工智能 42", "Onhava"])
    for row, answer in enumerate(("人工智能 42", "Onhava")):
        said = batch.said[row]
        assert tokenizer.decode(said[said != -100], skip_special_tokens=True).strip() == answer
        assert tokenizer.decode(batch.ids[row, batch.prompt_end[row]]) == "<|assistant|>"
        assert said[said != -100][-1] == tokenizer.eos_token_id
