"""Ask a model directory questions: --model enhanced_model --question "AI是什么?"."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    # Run as a file, Python looks for modules in this folder first, where they would hide packages of the same names.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from kblam.ask import add_model_options, open_model, show
from kblam.doors import run_door

__all__ = ["main"]

EXAMPLE = """example:
  kblam evaluate --model enhanced_model --question "AI是什么?"
  kblam evaluate --model enhanced_model --question "AI是什么?" --question "KBLaM是什么?" --json"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer the questions on the command line from the model's knowledge, all in one batch."""
    parser = argparse.ArgumentParser(
        prog="kblam evaluate",
        description="Answer questions from the knowledge in a model directory, and name the facts.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--question", action="append", required=True, metavar="TEXT", help="what to ask; may be given several times"
    )
    add_model_options(parser)
    options = parser.parse_args(arguments)
    model = open_model(options.model, options.kb)
    answers = model.ask(options.question, grounding=options.grounding, version=options.version)
    for number, answer in enumerate(answers):
        if number and not options.json:
            print()
        show(answer, options.json)


if __name__ == "__main__":
    raise SystemExit(run_door(main))
