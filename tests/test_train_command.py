"""The command line of training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import WordsEncoder, tiny_options

import kblam.training.run
from kblam.cli import main
from kblam.errors import InputError
from kblam.training.options import Options
from kblam.training.run import train

ENCODER = WordsEncoder()
MEASURED = {"top-1": 1.0, "refusal": 1.0, "token accuracy": 1.0}


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["train", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--B", "0"], "--B is at least 1"),
        (["--lr", "0"], "greater than 0"),
        (["--stages", "bed"], "--stages is some of"),
        (["--precision", "int3"], "--precision is"),
        (["--query_rank", "-1"], "--query_rank is"),
        (["--prior", "bed"], "--prior is shipped, encoder or maps"),
        (["--multi_entities", "4"], "--multi_entities is"),
        (["--outlier_ratio", "19"], "--outlier_ratio is"),
        (["--dataset", "nowhere"], "there is no dataset nowhere"),
        (["--resume", "nowhere"], "there is no checkpoint"),
        (["--wandb", "x"], "pip install wandb"),
    ],
)
def test_options_that_make_no_sense(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in sentence(capsys, *arguments) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--tune_llm_q", "--total_step", "--key_embd_src=answer"])
def test_unknown_flags_are_errors(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", flag])
    assert stopped.value.code == 2 and flag.split("=")[0] in capsys.readouterr().err


def test_a_run_that_goes_on_keeps_its_options(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = tiny_options(folder, "kept", total_steps=2)
    train(options, encoder=ENCODER)
    seen: list[tuple[Options, bool]] = []
    monkeypatch.setattr(
        kblam.training.run,
        "train",
        lambda *given: seen.append(given) or MEASURED,
    )  # type: ignore[func-returns-value]
    for given in (
        ["--resume", options.output],
        ["--resume", "--output", options.output],
        ["--model_dir_to_resume", options.output],
    ):
        assert main(["train", *given]) == 0
    assert seen == [(options, True)] * 3
    capsys.readouterr()
    assert "--B 7 cannot be changed" in sentence(capsys, "--resume", options.output, "--B", "7")


def test_flags_reach_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Options] = []
    monkeypatch.setattr(kblam.training.run, "train", lambda options, resume: seen.append(options) or MEASURED)  # type: ignore[func-returns-value]
    (tmp_path / "enron.json").touch()
    main(
        [
            "train",
            "--train_dataset",
            "enron",
            "--dataset_dir",
            str(tmp_path),
            "--no-use_data_aug",
            "--multi_entities",
            "1",
        ]
    )
    assert seen[0].dataset == str(tmp_path / "enron.json")
    assert set(seen[0].schedule(256).mixture.kinds) == {"plain", "open"}
    assert seen[0].schedule(1024).rate == pytest.approx(1.5e-3)
    with pytest.raises(InputError, match="retrieval_layer"):
        Options(retrieval_layer=9).layers(4)
    assert Options().layers(4) == (1, 2, 3) and Options().layers(32) == (10, 13, 16, 19, 22, 25, 28, 31)


@pytest.mark.parametrize("script", ["train.py", "dataset_generation/gen_synthetic_data.py"])
def test_the_pages_scripts_run_as_files(script: str) -> None:
    root = Path(__file__).parents[1]
    shown = subprocess.run([sys.executable, root / script, "--help"], capture_output=True, text=True, check=True).stdout
    assert "example" in shown and ("--use_oai_embd" in shown or "--endpoint_url" in shown)
