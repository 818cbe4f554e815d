"""All experiments on synthetic facts, with the real-world facts beside them: `python run_synthetic_experiments.py --help`."""

from __future__ import annotations

import sys
from pathlib import Path

from kblam.doors import run_door
from kblam.experiment import main

HERE = Path(__file__).resolve().parent
REAL = HERE.parent / "benchmarks" / "real_world"


def defaults() -> list[str]:
    """Options that stand before those of the command line, which win."""
    options = ["--output", str(HERE / "results")]
    if (REAL / "knowledge.jsonl").is_file():
        options += ["--outside", str(REAL / "knowledge.jsonl"), "--outside_questions", str(REAL / "questions.jsonl")]
    return options


if __name__ == "__main__":
    raise SystemExit(run_door(lambda: main(["all", *defaults(), *sys.argv[1:]])))
