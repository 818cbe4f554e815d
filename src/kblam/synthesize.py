"""Make a dataset to train on: `kblam synthesize --output synthetic_data`, offline or by a language model."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kblam.doors import run_door
from kblam.errors import InputError

if TYPE_CHECKING:
    from kblam.knowledge import Triple
    from kblam.synthesis.dataset import Entry
    from kblam.synthesis.making import Recipe
    from kblam.synthesis.written import Written

__all__ = ["main"]

EXAMPLE = """example:
  kblam synthesize
  kblam synthesize --output small --facts 2000 --seed 7
  kblam synthesize --output written --facts 5000 --endpoint_url https://api.openai.com/v1 --model_name gpt-4o-mini"""
HELD_OUT_SHARE = 0.04
"""Share of the properties that a language model invented which are kept for validation."""


def _by_language_model(output: Path, recipe: Recipe, options: argparse.Namespace) -> tuple[list[Entry], list[Entry]]:
    from rich.console import Console
    from rich.progress import Progress

    from kblam.knowledge.endpoint import open_client
    from kblam.synthesis.writing import check_dataset, write_halves
    from kblam.synthesis.written import write_facts

    check_dataset(output)
    client = open_client(options.model_name, options.endpoint_url, "leave --endpoint_url out to make a dataset offline")
    wanted = recipe.facts + recipe.validation
    prices = None if options.price_input is None else (options.price_input, options.price_output or 0.0)
    journal = output.with_name(output.name + ".replies.jsonl")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"Facts by {options.model_name}", total=wanted)
        written = write_facts(
            client,
            options.model_name,
            journal,
            wanted,
            recipe.seed,
            options.workers,
            prices,
            lambda count, failed: progress.update(task, completed=min(count, wanted)),
        )
    print(written.bill)
    halves = _split(written, recipe)
    write_halves(output, *halves, {"model": options.model_name, "bill": asdict(written.bill), "recipe": asdict(recipe)})
    return halves


def _split(written: Written, recipe: Recipe) -> tuple[list[Entry], list[Entry]]:
    """Keep some entities for validation, and every entity that has one of the properties kept for it."""
    from kblam.synthesis.making import add_questions

    share = recipe.validation / max(1, recipe.facts + recipe.validation)
    apart = {
        fact.entity
        for fact in written.facts
        if _share(fact.entity) < share or (share and _share("property " + fact.property) < HELD_OUT_SHARE)
    }
    halves: tuple[list[Triple], list[Triple]] = ([], [])
    for fact in written.facts:
        halves[fact.entity in apart].append(fact)
    train, validation = halves
    return (
        add_questions(train, recipe, "train", written.questions),
        add_questions(validation, recipe, "validation", written.questions),
    )


def _share(text: str) -> float:
    """A number between 0 and 1 that belongs to the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a dataset as the command line says, and print how varied it is."""
    options = _parser().parse_args(arguments)
    from kblam.synthesis.diversity import diversity
    from kblam.synthesis.making import Recipe
    from kblam.synthesis.writing import synthesize

    if options.model_name is not None and options.endpoint_url is None:
        raise InputError("--model_name names a model at an endpoint: give --endpoint_url too, or leave both out")
    recipe = Recipe(
        facts=options.facts,
        validation=options.facts // 20 if options.validation is None else options.validation,
        seed=options.seed,
    )
    recipe = replace(recipe, other_scripts=options.other_scripts, near=options.near)
    output = Path(options.output)
    if options.endpoint_url is None:
        from rich.console import Console

        with Console(stderr=True).status(f"Making {recipe.facts + recipe.validation:,} facts and their questions"):
            train, validation = synthesize(output, recipe)
    else:
        options.model_name = options.model_name or "gpt-4o"
        train, validation = _by_language_model(output, recipe, options)
    print(f"{output}: to train on\n{diversity(train)}\nto validate on\n{diversity(validation)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kblam synthesize",
        description="Make facts and questions about them, to train an adapter on; offline unless an endpoint is given.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--output", "--output_path", default="synthetic_data", metavar="DIR", help="where to write (synthetic_data)")
    add("--facts", type=int, default=120_000, metavar="N", help="facts to train on (120,000)")
    add("--validation", type=int, metavar="N", help="facts of other entities to validate on (a twentieth of --facts)")
    add("--seed", type=int, default=0, help="the same seed gives the same dataset (0)")
    add("--near", type=float, default=0.2, metavar="SHARE", help="share of entities named almost like another (0.2)")
    add(
        "--other_scripts", type=float, default=0.1, metavar="SHARE", help="share of Chinese and Japanese entities (0.1)"
    )
    model = parser.add_argument_group("by a language model; the key is OPENAI_API_KEY or AZURE_OPENAI_API_KEY")
    add = model.add_argument
    add("--endpoint_url", metavar="URL", help="an OpenAI-compatible or Azure OpenAI endpoint")
    add("--model_name", metavar="NAME", help="what the endpoint calls the model (gpt-4o)")
    add("--workers", type=int, default=8, metavar="N", help="requests at once (8)")
    add("--price_input", type=float, metavar="PRICE", help="of a million tokens read, to show what it cost")
    add("--price_output", type=float, metavar="PRICE", help="of a million tokens written")
    return parser


if __name__ == "__main__":
    raise SystemExit(run_door(main))
