"""Breaking off changes nothing; several processes do what one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import WordsEncoder, logged, steps, tiny_options

import kblam.training.reading
from kblam.errors import InputError, ModelError
from kblam.models.adapter import Adapter
from kblam.training.run import train, work_folder
from kblam.training.vectors import VectorTraining

ENCODER = WordsEncoder()
SCRIPT = Path(__file__).with_name("tiny_training.py")


def test_a_run_that_broke_off_goes_on_as_if_it_had_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tiny_options(folder, "unbroken"), tiny_options(folder, "broken")
    result = train(whole, encoder=ENCODER)
    with monkeypatch.context() as patched:
        step = VectorTraining.step
        patched.setattr(VectorTraining, "step", lambda self, number: 1 / 0 if number == 5 else step(self, number))
        with pytest.raises(ZeroDivisionError):
            train(broken, encoder=ENCODER)
    assert not Path(broken.output).exists() and [row["step"] for row in steps(broken)] == [1, 2, 3, 4, 5]
    monkeypatch.setattr(kblam.training.reading, "train_prior", lambda *_, **__: pytest.fail("it was learnt before"))
    assert train(broken, resume=True, encoder=ENCODER) == result
    assert logged(broken) == logged(whole)
    weights = [Adapter.load(options.output).state_dict() for options in (whole, broken)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_ctrl_c_ends_a_run_behind_its_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = tiny_options(folder, "interrupted", save_every=100)
    step = VectorTraining.step

    def interrupted(self: VectorTraining, number: int) -> dict[str, float]:
        if number == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number)

    with monkeypatch.context() as patched:
        patched.setattr(VectorTraining, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(options, encoder=ENCODER)
    assert len(steps(options)) == 4
    with pytest.raises(InputError, match="stopped after 4 of 6 steps: go on with --resume"):
        train(options, encoder=ENCODER)
    train(options, resume=True, encoder=ENCODER)
    whole = tiny_options(folder, "not interrupted", save_every=100)
    train(whole, encoder=ENCODER)
    assert steps(options) == steps(whole)


def run_script(folder: Path, changed: dict[str, Any], launcher: list[str] | None = None) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), *sys.path]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *(launcher or []), str(SCRIPT), str(folder), json.dumps(changed)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_killed_process_goes_on(folder: Path) -> None:
    many = {"total_steps": 40, "save_every": 1, "name": "killed"}
    process = run_script(folder, many)
    state = work_folder(folder / "killed") / "checkpoint" / "state.json"
    deadline = time.monotonic() + 120
    while not (state.exists() and json.loads(state.read_text(encoding="utf-8"))["step"] >= 3):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "killed").exists()
    assert run_script(folder, many | {"resume": True}).wait() == 0
    assert run_script(folder, many | {"name": "never killed"}).wait() == 0
    killed, whole = (tiny_options(folder, name) for name in ("killed", "never killed"))
    assert steps(killed) == steps(whole) and len(steps(whole)) == 40


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_twice_the_batch(folder: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    assert run_script(folder, {"name": "two", "B": 4, "total_steps": 4}, torchrun).wait() == 0
    assert run_script(folder, {"name": "single", "B": 8, "total_steps": 4}).wait() == 0
    two, single = (steps(tiny_options(folder, name)) for name in ("two", "single"))
    assert len(two) == len(single) == 4
    for one, other in zip(two, single, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_nothing_to_resume(folder: Path) -> None:
    with pytest.raises(ModelError, match="there is no checkpoint"):
        train(tiny_options(folder, "new"), resume=True, encoder=ENCODER)
