"""How an adapter learns to read questions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny_training import WordsEncoder, tiny_options, vector_training
from torch import Tensor

import kblam.training.reading
from kblam.errors import InputError
from kblam.knowledge import DEFAULT_ENCODER, Triple, load_encoder
from kblam.knowledge.sentence_model import load_sentence_model
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.shipped import shipped_adapter
from kblam.training.lessons import Lessons
from kblam.training.low_rank_updates import averaged
from kblam.training.options import Options
from kblam.training.question_encoder import LowRankPlan, _read, _stated_loss, train_question_encoder
from kblam.training.questions import make_practice
from kblam.training.reading import (
    CROSS_SHARES,
    FACT_SHARES,
    MASKED_SHARES,
    calibrate_names,
    learn_to_read,
    learn_to_read_together,
)
from kblam.training.run import train

ENCODER = WordsEncoder()


def test_the_weight_of_the_question_without_its_names_is_the_one_that_finds_most(lessons: Lessons) -> None:
    adapter = vector_training(lessons).adapter
    assert adapter.name_bonus is not None
    found = calibrate_names(adapter, lessons, ENCODER, 150, 60, 0)
    best = float(adapter.name_bonus[2])
    assert best in MASKED_SHARES and 0 < found <= 1
    for share in set(MASKED_SHARES) - {best}:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(kblam.training.reading, "MASKED_SHARES", (share,))
            assert calibrate_names(adapter, lessons, ENCODER, 150, 60, 0) <= found


@pytest.mark.slow
def test_the_encoder_itself_learns_to_read(folder: Path) -> None:
    fresh = {"prior": "encoder", "prior_steps": 3, "cross_encoder": "new", "cross_steps": 2}
    options = tiny_options(folder, "encoder", **fresh, total_steps=2, N=60)
    train(options)
    adapter = Adapter.load(options.output)
    assert adapter.question_updates and adapter.cross_weights is not None
    assert not torch.equal(adapter.cross_weights.head, shipped_adapter().cross_weights.head)  # type: ignore[union-attr]
    with pytest.raises(InputError, match="does not run here"):
        train(tiny_options(folder, "not here", prior="encoder"), encoder=ENCODER)


def test_questions_are_read_as_shipped_in_any_model_with_that_encoder(lessons: Lessons, tmp_path: Path) -> None:
    shape = {"heads": 2, "head_dim": 3, "value_head_dim": 5, "hidden_size": 7}
    adapter = Adapter(AdapterConfig(DEFAULT_ENCODER, 384, "other", (0, 2), **shape)).requires_grad_(False)  # type: ignore[arg-type]
    learn_to_read(adapter, lessons, load_encoder(DEFAULT_ENCODER), tmp_path, "shipped", 1, 0)
    shipped = shipped_adapter()
    keys, values, question = torch.randn(3, 5, 384).unbind()
    ours, theirs = (each.prior_scores(question, each.latents(keys, values)) for each in (adapter, shipped))
    assert torch.equal(ours, theirs) and adapter.question_updates.keys() == shipped.question_updates.keys()
    assert adapter.beta_key is not None and (adapter.beta_key == adapter.beta_key[0]).all()
    assert torch.equal(adapter.refusal_weight, shipped.refusal_weight)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not by words: use --prior encoder or"):
        learn_to_read(adapter, lessons, ENCODER, tmp_path, "shipped", 1, 0)


def test_what_is_taken_over_keeps_what_it_was_calibrated_to(lessons: Lessons, tmp_path: Path) -> None:
    shipped = shipped_adapter()
    same_width = Adapter(shipped.config)
    learn_to_read(same_width, lessons, load_encoder(DEFAULT_ENCODER), tmp_path, "shipped", 1, 0)
    learn_to_read_together(same_width, lessons, "shipped", 1, 0)
    assert same_width.evidence == shipped.evidence and same_width.fact_weights is not None
    assert torch.equal(same_width.refusal_weight, shipped.refusal_weight)  # type: ignore[arg-type]
    assert torch.equal(same_width.name_bonus, shipped.name_bonus)  # type: ignore[arg-type]


def test_the_cross_encoder_is_the_shipped_one_or_none(lessons: Lessons) -> None:
    adapter = vector_training(lessons).adapter  # of an encoder that is not the shipped one's
    learn_to_read_together(adapter, lessons, "shipped", 1, 0)
    assert adapter.config.cross_encoder == adapter.config.fact_encoder == DEFAULT_ENCODER
    assert calibrate_names(adapter, lessons, ENCODER, 60, 10, 0) > 0
    assert adapter.name_bonus is not None and float(adapter.name_bonus[3]) in CROSS_SHARES
    assert float(adapter.name_bonus[4]) in FACT_SHARES
    learn_to_read_together(adapter, lessons, "none", 1, 0)
    assert adapter.config.cross_encoder is adapter.cross_weights is adapter.config.fact_encoder is None
    assert calibrate_names(adapter, lessons, ENCODER, 60, 10, 0) > 0 and adapter.name_bonus[3:].tolist() == [0, 0]
    for wrong in ({"cross_encoder": "other"}, {"cross_steps": 0}):
        with pytest.raises(InputError, match="--cross_"):
            Options(**wrong)  # type: ignore[arg-type]


def test_how_questions_are_read_unless_it_is_said() -> None:
    assert Options().reading(DEFAULT_ENCODER) == "shipped"
    assert Options().reading("text-embedding-ada-002") == "maps"
    assert Options(adapter="x").reading(DEFAULT_ENCODER) == "kept"
    assert Options(adapter="x", prior="encoder").reading("words") == "encoder"


def test_the_mean_of_two_runs_changes_weights_by_the_mean_of_their_changes() -> None:
    runs = [{"layer": (torch.randn(2, 5), torch.randn(3, 2))} for _ in range(2)]
    down, up = averaged(runs)["layer"]
    changes = [up @ down for down, up in (run["layer"] for run in runs)]
    torch.testing.assert_close(up @ down, (changes[0] + changes[1]) / 2)


def test_training_goes_on_from_updates(lessons: Lessons) -> None:
    name = "encoder.layer.0.attention.self.query"
    start = {name: (torch.randn(2, 384), torch.randn(384, 2))}
    model = load_sentence_model(DEFAULT_ENCODER)
    updates, _ = train_question_encoder(model, lessons.practice(), LowRankPlan(steps=0), print, start=start)
    assert updates.keys() == start.keys()
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(updates[name], start[name], strict=True))


@pytest.mark.parametrize("english", [True, False])
def test_the_encoder_learns_from_the_english_that_it_will_read(english: bool) -> None:
    read: list[str] = []

    def encode(texts: Sequence[str]) -> torch.Tensor:
        read.extend(texts)
        return torch.ones(len(texts), 3)

    practice = make_practice([Triple("蒙古", "电话", "110")], ENCODER, 0, progress=False)
    plan = LowRankPlan(paraphrased=0.0, unvalued=1.0, english=english)
    _stated_loss(encode, practice, [[[0]]], torch.ones(4), plan, random.Random(0))
    assert ("the phone number of it" in read) == english and ("the 电话 of it" in read) != english


def test_texts_are_read_by_length_with_the_results_and_gradients_of_one_batch() -> None:
    model = load_sentence_model("all-MiniLM-L6-v2")
    name = "encoder.layer.5.intermediate.dense"
    down, up = torch.randn(2, 384) / 20, torch.randn(1536, 2, requires_grad=True)
    texts = ["a capital", "what is the long name of it, and why?", "it", "the end of the day", "one two three"] * 3

    def outcome(read: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = torch.autograd.grad(read.square().mul(torch.arange(384)).sum(), up)
        return read, gradient

    with torch.autocast("cpu", torch.bfloat16):
        whole = outcome(model.vectors(texts, model.updated({name: (down, up)})).float())
    parts = outcome(_read(model, texts, model.updated({name: (down, up)}), together=4))
    for part, expected in zip(parts, whole, strict=True):
        assert torch.nn.functional.cosine_similarity(part.flatten(), expected.flatten(), dim=0) > 0.999
