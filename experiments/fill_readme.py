"""Write the index of README.md from the results of a run, and keep them: `python fill_readme.py [RESULTS]`.

RESULTS is the folder that run_synthetic_experiments.py wrote (results beside this file). Its summary.json is kept as
benchmarks/results/experiments.json, so that every number of the index can be looked up; after a change of claims.py alone that
file can be named instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kblam.doors import run_door
from kblam.errors import InputError
from kblam.experiments.index import write_index
from kblam.knowledge.aside import replace_file

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / "benchmarks" / "results" / "experiments.json"


def main(arguments: list[str]) -> None:
    """Write the index, keep the summary, and say so."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        raise InputError("usage: python fill_readme.py [RESULTS], a folder that run_synthetic_experiments.py wrote")
    results = Path(arguments[0]) if arguments else HERE / "results"
    summary = results / "summary.json" if results.suffix != ".json" else results
    write_index(HERE / "README.md", summary)
    if summary.resolve() != KEPT:
        with replace_file(KEPT) as aside:
            aside.write_bytes(summary.read_bytes())
    print(f"-> {HERE / 'README.md'}, {KEPT}")


if __name__ == "__main__":
    raise SystemExit(run_door(lambda: main(sys.argv[1:])))
