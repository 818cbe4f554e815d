"""A language model as judge, against a server on this machine that fails in every way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_chat import Endpoint, open_endpoint

from kblam.cli import main
from kblam.experiments.judge import parse_score


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with open_endpoint(monkeypatch, lambda number: '{"score": 4, "reason": "..."}') as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the answers that are judged are measured once."""
    return tmp_path_factory.mktemp("judged")


def judge(folder: Path, endpoint: Endpoint) -> int:
    size = "--sizes 20 --questions 2 --seeds 3 --judge_most 1 --judge_model m --output".split()
    return main(["experiment", "judge", *size, str(folder), "--judge_endpoint", endpoint.address])


def section(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["experiments"]["judge"]
    return found


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"score": 5}', 5.0),
        ('Sure:\n```json\n{"score": 2.5, "reason": "half"}\n```', 2.5),
        ('{"score": 0}', 0.0),
        ('{"score": 6}', None),
        ('{"score": -1}', None),
        ('{"score": NaN}', None),
        ('{"score": true}', None),
        ('{"score": "4"}', None),
        ('{"mark": 4}', None),
        ("[4]", None),
        ("4 of 5", None),
        ("{4}", None),
        ("", None),
    ],
)
def test_a_score_is_read_or_it_is_none(reply: str, score: float | None) -> None:
    assert parse_score(reply) == score


def test_malformed_replies_are_counted_and_nothing_is_paid_for_twice(folder: Path, endpoint: Endpoint) -> None:
    # A server that is busy, one that hangs up and one that breaks are asked again; words without a score are not.
    endpoint.script = [429, "drop", 500, "I would say four.", {"choices": []}]
    assert judge(folder, endpoint) == 0
    (note,) = section(folder)["notes"]
    asked = len({request["messages"][0]["content"] for request in endpoint.requests})
    assert asked > 4 and f"{asked} replies paid for in this run, 2 malformed and skipped, 0 failed" in note
    assert len(endpoint.requests) == asked + 3
    # Which answers were left without a score depends on which thread came first; all others have the one that was given.
    means = [mean for chart in section(folder)["charts"] for points in chart["lines"].values() for _, mean in points]
    assert means and {mean["value"] for mean in means} == {4.0}
    question = endpoint.requests[0]["messages"][0]["content"]
    assert "Question: " in question and "Expected: " in question and "Answer: " in question

    sent = len(endpoint.requests)
    assert judge(folder, endpoint) == 0
    (note,) = section(folder)["notes"]
    assert len(endpoint.requests) == sent and "0 replies paid for in this run, 2 malformed" in note


def test_a_run_that_broke_off_goes_on(folder: Path, endpoint: Endpoint) -> None:
    journal = folder / "judge.replies.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    assert judge(folder, endpoint) == 0
    assert len(endpoint.requests) == len(lines) - 2
    assert "0 failed" in section(folder)["notes"][0]


def test_a_judge_that_refuses_is_one_sentence(
    folder: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "judge.replies.jsonl").unlink()
    endpoint.script = [401] * 50
    assert judge(folder, endpoint) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "HTTP 401" in said and "judge.replies.jsonl" in said


def test_a_judge_that_never_scores_is_one_sentence(
    folder: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "judge.replies.jsonl").unlink(missing_ok=True)
    endpoint.script = ["no"] * 50
    assert judge(folder, endpoint) == 2
    assert "no score that can be read" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["judge"], "give --judge_endpoint URL and --judge_model NAME"),
        (["judge", "--judge_model", "m"], "give both"),
        (["answers", "--judge_endpoint", "http://127.0.0.1:1/v1"], "give both"),
        (["answers", "--judge_most", "0"], "at least 1"),
    ],
)
def test_half_a_judge_is_one_sentence(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiment", *given, "--output", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_judge_without_a_key_is_one_sentence(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert judge(tmp_path / "out", endpoint) == 2
    assert "set OPENAI_API_KEY, or leave --judge_endpoint out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
