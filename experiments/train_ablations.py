"""Ablations that need training: each variant of an adapter is trained and measured, and one table says how they compare.

Takes about half an hour of a core for each variant with the model that ships: `python train_ablations.py --help`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kblam import train
from kblam.doors import run_door
from kblam.errors import InputError
from kblam.experiments.ablations import HEAD, WHOLE, measured
from kblam.experiments.sections import Table
from kblam.experiments.world import Setting, World
from kblam.knowledge.aside import replace_file

HERE = Path(__file__).resolve().parent
VARIANTS = {
    "every layer": ["--kb_token_layer_frequency", "1"],
    "every third layer": ["--kb_token_layer_frequency", "3"],
    "every tenth layer": ["--kb_token_layer_frequency", "10"],
    "no value slots": ["--no-value_slots"],
    "no unanswerable questions": ["--outlier_ratio", "-1"],
    "no length invariance": ["--no-length_invariance"],
    "another encoder": [],
}
"""Name and what it is trained with, beside the options that all share; "another encoder" takes --encoder."""


def main(arguments: Sequence[str]) -> None:
    """Train what is not trained yet, measure what is not measured yet, and write OUTPUT/ablations.md."""
    options = _parser().parse_args(arguments)
    names = options.only or [name for name in VARIANTS if name != "another encoder" or options.encoder]
    if "another encoder" in names and not options.encoder:
        raise InputError("another encoder needs a name: give --encoder, a sentence-transformers model, or OAI")
    options.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in names:
        folder = options.output / name.replace(" ", "_")
        if not folder.exists():
            _train(name, folder, options)
        setting = Setting(
            folder.with_name(folder.name + ".results"), str(folder), (options.size,), options.questions, (0,)
        )
        rows.append((name, *measured(World(setting), WHOLE, options.size)))
        _write(options, rows)
    print(f"-> {options.output / 'ablations.md'}")


def _train(name: str, folder: Path, options: argparse.Namespace) -> None:
    print(f"{name} ...", file=sys.stderr)
    given = [
        "--model",
        options.model,
        "--dataset",
        options.dataset,
        "--total_steps",
        str(options.steps),
        *VARIANTS[name],
    ]
    if options.encoder and name == "another encoder":
        given += ["--encoder_spec", options.encoder]
    going_on = ["--resume"] if folder.with_name(folder.name + ".training").exists() else []
    train.main([*given, "--output", str(folder), *going_on])


def _write(options: argparse.Namespace, rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(
        "Variants, each trained anew", (f"{options.steps:,} steps, {options.size:,} facts", *HEAD), tuple(rows)
    )
    with replace_file(options.output / "ablations.md") as aside:
        aside.write_text(f"`{' '.join(map(str, sys.argv))}`\n\n{table}", encoding="utf-8", newline="\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python train_ablations.py --only 'every layer' 'every third layer' --steps 400",
    )
    add = parser.add_argument
    add("--model", default="default", help="the base model (default)")
    add("--dataset", default="synthetic_data", help="what kblam synthesize wrote; made when it is not there")
    add("--steps", type=int, default=601, metavar="N", help="of training (601)")
    add("--only", nargs="+", choices=VARIANTS, metavar="NAME", help=f"some of: {', '.join(VARIANTS)}")
    add("--encoder", metavar="NAME", help="for the variant with another encoder")
    add("--size", type=int, default=1000, metavar="N", help="facts to measure with (1,000)")
    add("--questions", type=int, default=100, metavar="N", help="of each kind (100); half of them are asked")
    add("--output", type=Path, default=HERE / "results" / "trained", metavar="DIR", help="adapters and results")
    return parser


if __name__ == "__main__":
    raise SystemExit(run_door(lambda: main(sys.argv[1:])))
