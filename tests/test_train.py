"""What a run of training leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_training import WIDTH, WordsEncoder, logged, steps, tiny_options, vector_training

from kblam.errors import InputError
from kblam.models.adapter import Adapter
from kblam.models.pretrained import load_pretrained
from kblam.training.lessons import Lessons
from kblam.training.run import VALIDATION_ROWS, _share_null, train, work_folder

ENCODER = WordsEncoder()


def test_a_run_leaves_a_model_a_checkpoint_a_log_and_a_picture(folder: Path) -> None:
    options = tiny_options(folder, "whole")
    measured = train(options, encoder=ENCODER)
    rows = logged(options)
    assert [row["step"] for row in rows if "validation" not in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "validation" in row] == [3, 6]
    assert "answer, shuffled" in rows[3]["validation"]
    work = work_folder(options.output)
    assert (work / "training.png").stat().st_size > 1000 and any((work / "tensorboard").iterdir())
    parts = load_pretrained(options.output)
    assert parts.adapter is not None and parts.base_model == str(folder / "model")
    assert parts.adapter.provenance["options"]["seed"] == 0 and parts.adapter.provenance["measured"] == measured
    assert not list(folder.rglob("*.part"))


def test_a_run_repeats_itself(folder: Path) -> None:
    options = [tiny_options(folder, name, total_steps=3) for name in ("one", "other")]
    results = [train(each, encoder=ENCODER) for each in options]
    assert results[0] == results[1] and steps(options[0]) == steps(options[1])


def test_training_stops_when_nothing_gets_better(folder: Path) -> None:
    options = tiny_options(folder, "stopped", total_steps=40, validate_every=1, patience=2, lr=3.0)
    train(options, encoder=ENCODER)
    measured = [row["validation"]["loss"] for row in logged(options) if "validation" in row]
    assert len(measured) < 40 and min(measured[-2:]) >= min(measured)
    about = json.loads((Path(options.output) / "kblam.json").read_text(encoding="utf-8"))["provenance"]
    assert measured[about["best_step"] - 1] == min(measured)


def test_stages_can_be_left_out(folder: Path) -> None:
    options = tiny_options(folder, "prior only", stages=("prior",))
    train(options, encoder=ENCODER)
    adapter = Adapter.load(options.output)
    assert adapter.question_key is not None and not torch.equal(adapter.question_key, torch.eye(WIDTH))
    again = tiny_options(folder, "vectors only", stages=("vectors",), adapter=options.output, total_steps=2)
    train(again, encoder=ENCODER)
    after = Adapter.load(again.output)
    assert after.question_key is not None and torch.equal(after.question_key, adapter.question_key)
    assert not torch.equal(after.key_weight, adapter.key_weight)
    other = WordsEncoder()
    other.name = "letters"
    with pytest.raises(InputError, match="by words, not by letters: use --encoder_spec words"):
        train(tiny_options(folder, "other", adapter=options.output), encoder=other)


def test_one_file_is_divided_by_entity(folder: Path) -> None:
    options = tiny_options(folder, "one file", dataset=str(folder / "data" / "train.jsonl"), total_steps=1)
    assert "top-1" in train(options, encoder=ENCODER)


def test_low_rank_query_heads_are_trained_and_written(folder: Path) -> None:
    options = tiny_options(folder, "low rank", query_rank=2, total_steps=3)
    train(options, encoder=ENCODER)
    adapter = Adapter.load(options.output)
    assert adapter.query_weight is None and adapter.low_rank_query is not None
    assert adapter.low_rank_query.up.abs().sum() > 0


def test_the_null_row_is_set_anew_when_the_query_counts_for_less(lessons: Lessons) -> None:
    run = vector_training(lessons, rate=1e-2)
    for step in range(6):
        run.step(step)
    offset = run.adapter.null_offset
    assert offset is not None
    with torch.no_grad():
        offset[0] -= 100.0
    assert run.measure(lessons, VALIDATION_ROWS, 60, seed="share")["refusal"] == 0.5
    _share_null(run, lessons, 60)
    best = run.measure(lessons, VALIDATION_ROWS, 60, seed="share")["refusal"]
    for other in (-3.0, -1.0, 1.0, 3.0):
        with torch.no_grad():
            offset[0] += other
        assert run.measure(lessons, VALIDATION_ROWS, 60, seed="share")["refusal"] <= best
        with torch.no_grad():
            offset[0] -= other
    assert best > 0.5
