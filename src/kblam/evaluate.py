"""Ask a model directory questions: --model enhanced_model --question "AI是什么?"; or grade it on a dataset of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run as a file, Python looks for modules in this folder first, where they would hide packages of the same names.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from kblam.ask import add_model_options, open_model, show
from kblam.doors import run_door
from kblam.errors import InputError

__all__ = ["main"]

EXAMPLE = """example:
  kblam evaluate --model enhanced_model --question "AI是什么?"
  kblam evaluate --model enhanced_model --question "AI是什么?" --question "KBLaM是什么?" --json
  kblam evaluate --dataset synthetic_data/validation.jsonl --facts 1000"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer the questions on the command line, all in one batch, or print a table of a dataset's."""
    parser = argparse.ArgumentParser(
        prog="kblam evaluate",
        description="Answer questions from the knowledge in a model directory and name the facts, or grade a model on a "
        "dataset: what its attention finds, what it says and what it refuses, by kind of question, beside BM25 and dense retrieval.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--question", action="append", metavar="TEXT", help="what to ask; may be given several times")
    add_model_options(parser)
    add = parser.add_argument_group("a dataset").add_argument
    add("--dataset", metavar="FILE", help="facts with questions, as kblam synthesize writes them (see docs/data.md)")
    add("--questions_file", metavar="FILE", help="more questions about the dataset's facts, in a file of their own")
    add("--facts", type=int, metavar="N", help="use the first N facts, and the questions that these answer")
    add("--questions", type=int, default=500, metavar="N", help="most questions of each kind (500)")
    add("--causal", type=int, default=200, metavar="N", help="right answers whose fact is taken away (200)")
    add("--seed", type=int, default=0, help="chooses the questions (0)")
    add("--output", metavar="FILE", help="write the numbers as JSON too")
    options = parser.parse_args(arguments)
    if (options.dataset is None) == (not options.question):
        raise InputError(
            "give either --question TEXT or --dataset FILE: kblam evaluate --help shows an example of each"
        )
    if options.dataset is not None:
        _grade(options)
        return
    model = open_model(options.model, options.kb, options.scan)
    answers = model.ask(options.question, grounding=options.grounding, version=options.version)
    for number, answer in enumerate(answers):
        if number and not options.json:
            print()
        show(answer, options.json)


def _grade(options: argparse.Namespace) -> None:
    from kblam import KBLaM
    from kblam.evaluation.rivals import load_bm25
    from kblam.evaluation.suite import evaluate
    from kblam.evaluation.table import table
    from kblam.knowledge import DEFAULT_ENCODER
    from kblam.knowledge.aside import check_replaceable, replace_file
    from kblam.synthesis.dataset import find_dataset, read_dataset

    if options.kb is not None:
        raise InputError("a dataset is graded against its own facts: leave --kb out")
    if options.scan != "exact":
        raise InputError("a dataset is graded with exact scans: leave --scan out")
    output = None if options.output is None else Path(options.output).absolute()
    if output is not None:
        check_replaceable(output)
    load_bm25()
    train, validation = find_dataset(options.dataset)
    entries = read_dataset(validation or train, options.questions_file, options.facts)
    model = KBLaM.from_pretrained(options.model)
    encoder = DEFAULT_ENCODER if model.adapter is None else model.adapter.config.encoder
    numbers = evaluate(
        model, entries, options.questions, options.causal, options.grounding, options.seed, encoder, _track
    )
    if output is not None:
        with replace_file(output) as aside:
            aside.write_text(json.dumps(numbers, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(numbers, ensure_ascii=False) if options.json else table(numbers))


def _track(parts: Sequence[Any], what: str) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(parts, what, console=console, transient=True, disable=not console.is_terminal)


if __name__ == "__main__":
    raise SystemExit(run_door(main))
