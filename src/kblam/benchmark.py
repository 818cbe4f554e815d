"""Measure ours beside the alternatives: `kblam benchmark`; one table, one JSON file, two plots."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kblam.errors import InputError
from kblam.extras import pip_install

if TYPE_CHECKING:
    from kblam.measuring.speed import Row, SpeedOptions

__all__ = ["main"]

EXAMPLE = """example:
  kblam benchmark
  kblam benchmark --preset full --output benchmarks/results/speed
  kblam benchmark --shape llama-3-8b --layers 2 --facts 1000 10000 --no-answers
  kblam benchmark --original_checkout ../KBLaM --original_python ../KBLaM/.venv/bin/python"""
ANSWERED = {"small": ((300,), 12), "full": ((100, 1000, 10_000), 200)}
"""Numbers of facts and of questions for the model that ships."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Check that all forms agree, then measure and print."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.threads < 1:
        raise InputError(f"--threads is {options.threads}: give at least 1")
    if options.output is not None and options.output.is_file():
        raise InputError(f"{options.output} is a file: name a folder for the results")
    import torch

    from kblam.measuring.answers import answers_table, measure_answers
    from kblam.measuring.checkout import bounded, measure_checkout
    from kblam.measuring.contenders import CONTENDERS
    from kblam.measuring.equality import check_equalities
    from kblam.measuring.report import about_machine, draw, save_json, speed_table
    from kblam.measuring.speed import measure_speed

    wanted, methods = _wanted(options), _methods(options.methods, list(CONTENDERS))
    torch.set_num_threads(options.threads)
    with _progress() as report:
        report("checking that all forms agree")
        equalities = check_equalities(wanted.device)
        theirs: list[Row] = []
        if options.original_checkout is not None:
            theirs, apart = measure_checkout(options.original_checkout, options.original_python, wanted, report)
            equalities["ours and the original's code"] = apart
        rows, machine = measure_speed(wanted, methods, report)
        rows += [bounded(row, machine) for row in theirs]
        sizes, questions = ANSWERED[options.preset]
        answers = [] if options.no_answers else measure_answers(sizes, questions, report)
    print(speed_table(rows))
    read, weights = machine["bytes a second"] / 1e9, machine["weight bytes"] / 1e9
    print(f"\n{wanted.shape}: weights {weights:.2f} GB; memory is read at {read:.1f} GB/s, which bounds a token")
    if answers:
        print("\nthe model that ships, on synthetic facts:\n" + answers_table(answers))
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        about: dict[str, Any] = {"command": ["kblam", "benchmark", *(sys.argv[2:] if arguments is None else arguments)]}
        about |= {"options": asdict(wanted), "machine": about_machine() | machine, "differences": equalities}
        save_json(options.output / "speed.json", rows, about | {"answers": [asdict(row) for row in answers]})
        drawn = draw(options.output, rows)
        print(f"\n-> {options.output}" + ("" if drawn else f" (plots need matplotlib: {pip_install('evaluation')})"))


def _wanted(options: argparse.Namespace) -> SpeedOptions:
    """The preset with what the command line says otherwise."""
    from kblam.measuring.speed import PRESETS

    given = {name: getattr(options, name) for name in ("shape", "layers", "rounds", "device", "dtype")}
    given["facts"] = tuple(options.facts) if options.facts else None
    given["most_bytes"] = int(options.memory * 1e9) if options.memory else None
    given["most_seconds"] = options.seconds
    return replace(PRESETS[options.preset], **{name: value for name, value in given.items() if value is not None})


def _methods(wanted: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise InputError(f"there is no method {unknown[0]!r}: choose among {'; '.join(known)}")
    return list(wanted or known)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what is being measured."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:
        yield lambda what: status.update(what)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kblam benchmark",
        description="Measure time and memory against the number of facts: ours, the original's algorithm, facts in the "
        "prompt, retrieval. Nothing is printed unless all forms of the computation agree.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--preset", choices=tuple(ANSWERED), default="small", help="small: a minute or two; full: up to a million facts"
    )
    add("--shape", metavar="NAME", help="whose layers, with random weights: llama-3.2-1b (default), llama-3-8b, tiny")
    add("--layers", type=int, metavar="N", help="decoder layers, instead of the preset's or the shape's number")
    add("--facts", type=int, nargs="+", metavar="N", help="numbers of facts, ascending")
    add("--methods", nargs="+", metavar="NAME", help="some only, by their names in the table")
    add("--rounds", type=int, metavar="N", help="repetitions, of which the median counts")
    add("--threads", type=int, default=1, metavar="N", help="threads (default: 1, timed by the processor's own clock)")
    add("--seconds", type=float, metavar="S", help="leave out what would take longer for one prompt")
    add("--memory", type=float, metavar="GB", help="leave out what would take more memory for its facts")
    add("--dtype", help="bfloat16 (default) or float32")
    add("--device", help="cpu (default) or cuda")
    add("--no-answers", action="store_true", help="skip the real answers of the model that ships")
    add(
        "--original_checkout", type=Path, metavar="DIR",
        help="a checkout of microsoft/KBLaM, whose own code is measured as well",
    )  # fmt: skip
    add(
        "--original_python", default=sys.executable, metavar="PYTHON",
        help="a Python with torch and the transformers that the checkout needs (4.46); default: this one",
    )  # fmt: skip
    add("--output", type=Path, metavar="DIR", help="a folder for speed.json, time.png and memory.png")
    return parser
