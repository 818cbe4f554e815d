"""Ask a question from the shell: `kblam ask "QUESTION"`; and what it shares with evaluate."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kblam import Answer, KBLaM
    from kblam.answering.vectors import Scan

__all__ = ["EXAMPLE_FACTS", "add_model_options", "main", "open_model", "show"]

EXAMPLE_FACTS = Path(__file__).parent / "default" / "example.json"
"""A dozen facts for a first question."""

EXAMPLE = """example:
  kblam ask "AI是什么?"
  kblam ask "What is the capital of Mongolia?" --kb knowledge.json --json"""
BAR_WIDTH = 8
SHOWN = 3
"""Citations that are printed; --json gives all."""
LEAST_WEIGHT = 0.005
"""Facts with a smaller share of the attention are not printed."""


class Once(argparse.Action):
    """An option of which two would contradict each other."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the value; end the command when there is one already."""
        if getattr(namespace, self.dest) is not None:
            parser.error(
                f"{option_string} is given twice: bring both together in a store, `kblam kb import DIR {values}`, or serve them with kblam serve"
            )
        setattr(namespace, self.dest, values)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command that asks questions takes."""
    parser.add_argument(
        "--model",
        default="default",
        metavar="NAME",
        help="default or default-large (which ship), a directory that integrate wrote, or a Hugging Face folder or hub name",
    )
    parser.add_argument(
        "--kb",
        metavar="FILE",
        action=Once,
        help="facts (a file or a store) to answer from, beside those that the model has",
    )
    parser.add_argument(
        "--grounding",
        choices=("quote", "tokens"),
        default="quote",
        help="quote (default): the model also reads the facts that its attention chose; tokens: only their vectors",
    )
    parser.add_argument(
        "--version", type=int, metavar="N", help="answer as of version N of the store (the present one)"
    )
    parser.add_argument(
        "--scan",
        choices=("exact", "int8", "ann"),
        default="exact",
        help="how rows are compared with a question: exact (default), by 8-bit codes first, or by an index (faiss)",
    )
    parser.add_argument("--json", action="store_true", help="print each answer as one JSON object on a line")


def open_model(reference: str, kb: str | None, scan: Scan) -> KBLaM:
    """Load a model and attach its own knowledge with the facts of the file `kb` in it; scan: as for `KBLaM.attach`.

    Raises ModelError, KnowledgeError or EncoderError; a bad file is found before the base weights are read.
    """
    from kblam import KBLaM
    from kblam.integrate import combine
    from kblam.models.pretrained import find_encoders, read_enhancement

    knowledge = None
    if kb is not None:
        enhancement = read_enhancement(reference)
        find_encoders(enhancement.adapter)
        knowledge = combine(enhancement, kb)[0]
    model = KBLaM.from_pretrained(reference)
    if knowledge is None:
        knowledge = model.knowledge
    if knowledge is not None:
        model.attach(knowledge, scan)
    if model.notice:
        print(model.notice, file=sys.stderr)
    return model


def show(answer: Answer, as_json: bool = False, streamed: bool = False) -> None:
    """Print an answer and the facts it rests on; of one whose text was already `streamed`, the facts only."""
    if as_json:
        print(json.dumps(answer.to_json(), ensure_ascii=False))
        return
    print("" if streamed else answer.text)
    cited = [
        citation
        for at, citation in enumerate(answer.citations[: max(SHOWN, answer.resting)])
        if at < answer.resting or citation.weight >= LEAST_WEIGHT
    ]
    if cited:
        print("\n  nearest facts, none of which answers:" if answer.refused else "")
    for citation in cited:
        triple = citation.triple
        fact = f"{triple.entity} · {triple.property}: {triple.value}"
        print(f"  {_bar(citation.weight)} {citation.weight:4.0%}  {_brief(fact)}")


def _bar(weight: float) -> str:
    eighths = round(weight * BAR_WIDTH * 8)
    bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
    return bar.ljust(BAR_WIDTH)[:BAR_WIDTH]


def _brief(text: str, characters: int = 140) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1] + "…"


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer the question on the command line; on a terminal the text appears as it is written."""
    parser = argparse.ArgumentParser(
        prog="kblam ask",
        description="Answer a question from facts, and name the facts.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("question", metavar="QUESTION", help="what to ask")
    add_model_options(parser)
    options = parser.parse_args(arguments)
    from kblam import KnowledgeBase

    model = open_model(options.model, options.kb, options.scan)
    example = model.knowledge is None
    if example:
        model.attach(KnowledgeBase.from_file(EXAMPLE_FACTS), options.scan)
    pieces: list[str] = []

    def write(piece: str) -> None:
        pieces.append(piece)
        print(piece, end="", flush=True)

    live = sys.stdout.isatty() and not options.json
    answer = model.ask(
        options.question, grounding=options.grounding, on_text=write if live else None, version=options.version
    )
    show(answer, options.json, streamed=bool(pieces))
    if example:
        print(f"\nThese are {answer.rows} example facts; give your own with --kb FILE.", file=sys.stderr)
