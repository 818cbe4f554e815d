"""The original's code in a process of its own; a small package written by us stands in for it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from kblam.cli import main
from kblam.errors import InputError
from kblam.measuring.checkout import METHOD, bounded, measure_checkout
from kblam.measuring.equality import UnequalError
from kblam.measuring.speed import SpeedOptions

STAND_IN = Path(__file__).with_name("stand_in_checkout")
TINY = SpeedOptions(shape="tiny", facts=(30, 60, 300), tokens=5, made=1, rounds=2, dtype="float32", every=2)
MACHINE = {"weight bytes": 1000.0, "bytes a second": 1e9}


def test_a_checkout_is_compared_then_measured() -> None:
    said: list[str] = []
    kept = 30 * 2 * 3 * 64 * 4  # rows, keys and values, blocks (one of them spare), width, bytes
    options = SpeedOptions(**{**TINY.__dict__, "most_bytes": 2 * kept})
    rows, difference = measure_checkout(STAND_IN, sys.executable, options, said.append)
    assert 0 < difference < 1e-4
    assert [(row.method, row.facts, row.kept_bytes) for row in rows] == [
        (METHOD, facts, facts * kept // 30) for facts in TINY.facts
    ]
    assert rows[2].left_out == "would take 0.0 GB" and rows[2].prefill is None
    for row in rows[:2]:
        assert row.prefill is not None and row.decode is not None and row.prefill_ratio is not None
        assert 0 < row.prefill < 10 and 0 < row.decode < 10 and row.prefill_ratio > 0
        assert bounded(row, MACHINE).decode_bound == (1000 + row.kept_bytes) / 1e9
    assert bounded(rows[2], MACHINE) is rows[2]
    assert said[0].startswith(METHOD) and len(said) == 5


def changed(folder: Path, old: str, new: str) -> Path:
    shutil.copytree(STAND_IN, folder / "copy")
    file = folder / "copy" / "src" / "kblam" / "models" / "llama3_model.py"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    return folder / "copy"


def test_a_checkout_that_computes_something_else_shows_no_speed(tmp_path: Path) -> None:
    wrong = changed(tmp_path, "of_rows + shift", "of_rows - shift")
    with pytest.raises(UnequalError, match="differ by"):
        measure_checkout(wrong, sys.executable, TINY)


def test_a_checkout_that_needs_another_transformers_says_so(tmp_path: Path) -> None:
    old = changed(tmp_path, "import LlamaAttention,", "import LlamaAttention, NotThereAnyMore,")
    with pytest.raises(InputError, match=r"NotThereAnyMore.*transformers 4\.46.*--original_python"):
        measure_checkout(old, sys.executable, TINY)


def test_a_folder_or_a_python_that_is_none_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["benchmark", "--shape", "tiny", "--facts", "10", "--no-answers", "--methods", "no knowledge"]
    assert main([*command, "--original_checkout", str(tmp_path)]) == 2
    assert "give a checkout of microsoft/KBLaM" in capsys.readouterr().err
    with pytest.raises(InputError, match="--original_python"):
        measure_checkout(STAND_IN, str(tmp_path / "python"), TINY)


def test_the_command_writes_its_rows_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["benchmark", "--shape", "tiny", "--facts", "10", "--rounds", "1", "--methods", "no knowledge"]
    output = ["--no-answers", "--dtype", "float32", "--original_checkout", str(STAND_IN), "--output", str(tmp_path)]
    assert main([*command, *output]) == 0
    assert METHOD in capsys.readouterr().out
    record = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in record["rows"]] == ["no knowledge", METHOD]
    assert record["differences"]["ours and the original's code"] < 1e-4
    assert record["options"]["shape"] == "tiny"
