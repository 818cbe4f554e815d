"""Write the index of README.md from the results of a run: `python fill_readme.py`, or with their folder named."""

from __future__ import annotations

import sys
from pathlib import Path

from kblam.doors import run_door
from kblam.errors import InputError
from kblam.experiments.index import write_index

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> None:
    """Read RESULTS/summary.json (results/summary.json beside this file) and say what was written."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        raise InputError("usage: python fill_readme.py [RESULTS], a folder that run_synthetic_experiments.py wrote")
    results = Path(arguments[0]) if arguments else HERE / "results"
    write_index(HERE / "README.md", results / "summary.json")
    print(f"-> {HERE / 'README.md'}")


if __name__ == "__main__":
    raise SystemExit(run_door(lambda: main(sys.argv[1:])))
