"""The command `kblam`: a table of commands, each a module with main(arguments) that is imported when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from kblam.doors import run_door
from kblam.errors import InputError
from kblam.version import __version__

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "ask": ("kblam.ask", "answer a question from facts, and name the facts"),
    "embed": ("kblam.knowledge.embed", "turn a file of facts into key and value vectors"),
    "kb": ("kblam.kb", "keep facts that change: create, add, set, remove, import, history, rollback ..."),
    "integrate": ("kblam.integrate", "put a file of knowledge into a model directory"),
    "evaluate": ("kblam.evaluate", "answer questions from the knowledge in a model directory"),
    "serve": ("kblam.serve", "answer over HTTP: OpenAI's protocol, the knowledge API and a page"),
    "synthesize": ("kblam.synthesize", "make facts and questions to train on"),
    "train": ("kblam.train", "train an adapter for a model"),
    "benchmark": ("kblam.benchmark", "measure time and memory beside the alternatives"),
    "experiment": ("kblam.experiment", "rerun the paper's experiments beside their rivals"),
    "test": ("kblam.test", "check this installation"),
}
"""Name, module, and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return the exit code."""
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    return run_door(lambda: _run(name, rest))


def _run(name: str, arguments: Sequence[str]) -> None:
    if name in ("-h", "--help", "help"):
        print(_help())
    elif name == "--version":
        print(f"kblam {__version__}")
    elif name in COMMANDS:
        import_module(COMMANDS[name][0]).main(arguments)
    else:
        raise InputError(f"kblam has no command {name!r}: take one of {', '.join(COMMANDS)}")


def _help() -> str:
    commands = "\n".join(f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items())
    return (
        "usage: kblam COMMAND ...\n\nA language model that answers from your own facts.\n\n"
        f"commands:\n{commands}\n\n"
        'example:\n  kblam ask "What is the capital of Mongolia?"\n\n'
        "`kblam COMMAND --help` explains a command."
    )
