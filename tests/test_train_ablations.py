"""The script that trains variants of an adapter."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from kblam.errors import InputError
from kblam.synthesis.making import Recipe
from kblam.synthesis.writing import synthesize
from kblam.train import main as train

SCRIPT = Path(__file__).resolve().parents[1] / "experiments" / "train_ablations.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_every_variant_is_made_of_options_that_training_has(
    script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train(["--help"])
    known = capsys.readouterr().out
    flags = [word for words in script["VARIANTS"].values() for word in words if word.startswith("--")]
    assert flags and all(flag in known for flag in flags)


def test_another_encoder_needs_a_name(script: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --encoder"):
        script["main"](["--only", "another encoder", "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_variants_are_trained_measured_and_not_trained_again(
    script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(script["VARIANTS"], "every layer", ["--kb_token_layer_frequency", "1", "--prior_steps", "2"])
    synthesize(tmp_path / "data", Recipe(facts=120, validation=80))
    given = [
        "--dataset",
        str(tmp_path / "data"),
        "--steps",
        "2",
        "--size",
        "20",
        "--questions",
        "4",
        "--output",
        str(tmp_path / "out"),
    ]
    script["main"]([*given, "--only", "every layer", "no value slots"])
    table = (tmp_path / "out" / "ablations.md").read_text(encoding="utf-8")
    assert "| every layer |" in table and "| no value slots |" in table and "top-1, paraphrased" in table
    trained = (tmp_path / "out" / "every_layer" / "adapter.safetensors").stat().st_mtime_ns
    script["main"]([*given, "--only", "every layer"])
    assert (tmp_path / "out" / "every_layer" / "adapter.safetensors").stat().st_mtime_ns == trained
