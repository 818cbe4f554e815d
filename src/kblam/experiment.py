"""Rerun the paper's experiments on a model: `kblam experiment NAME|all`; pieces, plots, report.md and report.html."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["main"]

EXAMPLE = """experiments: retrieval, answers, refusal, several, open, unseen, ablations, edits, attention, cost, judge

example:
  kblam experiment all
  kblam experiment retrieval refusal --sizes 100 1000 --questions 20 --seeds 0
  kblam experiment edits --edits counterfact.json --model trained_adapter --output results
  kblam experiment judge --judge_endpoint https://api.openai.com/v1 --judge_model gpt-4o-mini

Each finished piece is a file in OUTPUT/pieces and is not measured again; delete it, or give --fresh, and it is."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiments named and say where the report is."""
    parser = _parser()
    options = parser.parse_args(arguments)
    from kblam.experiments.run import EXPERIMENTS, run_experiments
    from kblam.experiments.world import Setting, World

    names = list(dict.fromkeys(options.names))
    if "all" in names:
        names = [name for name in EXPERIMENTS if name != "judge" or options.judge_endpoint is not None]
    setting = Setting(
        output=options.output, model=options.model, sizes=tuple(options.sizes), questions=options.questions,
        seeds=tuple(options.seeds), dataset=options.dataset, outside=options.outside,
        outside_questions=options.outside_questions, edits=options.edits, fresh=options.fresh, bertscore=options.bertscore,
        judge_endpoint=options.judge_endpoint, judge_model=options.judge_model, judge_most=options.judge_most,
    )  # fmt: skip
    world = World(setting, _track)
    folder = run_experiments(names, world, lambda name: print(f"{name} ...", file=sys.stderr))
    pieces = world.pieces
    print(f"{pieces.measured} pieces measured in {pieces.seconds:,.0f} processor seconds, {pieces.kept} read")
    print(f"-> {folder / 'report.html'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kblam experiment",
        description="Rerun the paper's experiments beside BM25, dense retrieval, RAG, facts in context and no knowledge. With "
        "the model that ships all of them are meant to fit half an hour of one core.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="+", metavar="NAME", help="which, in the order of the report; or all")
    add("--model", default="default", help="a directory, a hub id, default or default-large, which ship (default)")
    add("--sizes", type=int, nargs="+", default=[100, 1000, 10_000], metavar="N", help="numbers of facts (100 1000 10000)")  # fmt: skip
    add("--questions", type=int, default=40, metavar="N", help="most of each kind, size and seed (40)")  # fmt: skip
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="each makes other facts (0 1 2)")  # fmt: skip
    add("--output", type=Path, default=Path("experiment_results"), metavar="DIR", help="a folder (experiment_results)")  # fmt: skip
    add("--dataset", type=Path, metavar="FILE", help="instead of synthetic facts: ours, the original's, AtlasKV's, PopQA")  # fmt: skip
    add("--outside", type=Path, metavar="FILE", help="facts unlike training's, for `unseen`")
    add("--outside_questions", type=Path, metavar="FILE", help="questions about them, if they stand apart")
    add("--edits", type=Path, metavar="FILE", help="CounterFact or zsRE, for `edits`, instead of synthetic edits")
    add("--bertscore", nargs="?", const="roberta-large", metavar="MODEL", help="BERTScore of `answers` too (roberta-large)")  # fmt: skip
    add("--judge_endpoint", metavar="URL", help="of a language model that scores answers; its key is OPENAI_API_KEY")  # fmt: skip
    add("--judge_model", metavar="NAME", help="what the endpoint calls the model")
    add("--judge_most", type=int, default=40, metavar="N", help="answers judged, of each kind, way and size (40)")
    add("--fresh", action="store_true", help="measure anew what is already there")
    return parser


def _track(parts: Sequence[Any], what: str) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(parts, what, console=console, transient=True, disable=not console.is_terminal)
