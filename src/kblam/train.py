"""Train an adapter for a frozen model: `kblam train`, and `train.py` at the root of a checkout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kblam.doors import run_door
from kblam.errors import InputError

if TYPE_CHECKING:
    from kblam.training.options import Options

__all__ = ["main"]

EXAMPLE = """example:
  kblam train
  kblam train --prior encoder --total_steps 300
  kblam train --resume --output output
  kblam train --dataset synthetic_data --N 120000 --B 20 --total_steps 601 --encoder_spec all-MiniLM-L6-v2 --use_data_aug
  torchrun --standalone --nproc_per_node 2 train.py --model meta-llama/Llama-3.2-1B-Instruct --precision bfloat16

Flags that microsoft/KBLaM's train.py has too keep their names here."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says, write a model directory, and print one line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    resume = options.resume is not None or options.model_dir_to_resume is not None
    output = next((where for where in (options.resume, options.model_dir_to_resume) if where), options.output)
    from kblam.training.options import Options
    from kblam.training.run import train

    chosen = _options(options, parser, Options)
    if resume:
        chosen = _resumed(chosen, output)
    elif options.use_oai_embd and options.encoder_spec == "all-MiniLM-L6-v2":
        print("--use_oai_embd changes nothing beside --encoder_spec all-MiniLM-L6-v2, which runs here", file=sys.stderr)
    measured = train(chosen, resume)
    shown = ", ".join(f"{name} {measured[name]:.3f}" for name in ("top-1", "refusal", "token accuracy"))
    print(f"on facts of the validation half: {shown} -> {chosen.output}")


def _options(given: argparse.Namespace, parser: argparse.ArgumentParser, kind: type[Options]) -> Options:
    names = {field.name for field in fields(kind)}
    chosen: dict[str, Any] = {name: value for name, value in vars(given).items() if name in names}
    if given.dataset_dir is not None:
        chosen["dataset"] = str(_dataset_in(Path(given.dataset_dir), given.dataset))
    return kind(**chosen)


def _dataset_in(folder: Path, name: str) -> Path:
    """The original keeps DATASET.json in a folder of datasets."""
    paths = [folder / f"{name}{suffix}" for suffix in ("", ".json", ".jsonl")]
    return next((path for path in paths if path.exists()), paths[0])


def _resumed(chosen: Options, output: str) -> Options:
    """The options of the run that goes on; others given beside it must be the same."""
    from kblam.training.checkpoints import load_progress
    from kblam.training.options import Options
    from kblam.training.run import work_folder

    saved = Options(**load_progress(work_folder(output) / "checkpoint").options)
    for field in fields(Options):
        wanted, had = getattr(chosen, field.name), getattr(saved, field.name)
        if field.name != "output" and wanted not in (field.default, had):
            raise InputError(
                f"--{field.name} {wanted} cannot be changed in a run that goes on: it was started with {had}"
            )
    return saved


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kblam train",
        description="Train an adapter for a frozen Hugging Face decoder, and write a model directory.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for group, rows in _FLAGS.items():
        part = parser.add_argument_group(group)
        for names, settings in rows:
            part.add_argument(*names.split(), **settings)
    return parser


def _number(names: str, default: object, text: str, kind: type = int) -> tuple[str, dict[str, Any]]:
    return names, {"type": kind, "default": default, "metavar": "X" if kind is float else "N", "help": text}


def _choice(names: str, default: bool, text: str) -> tuple[str, dict[str, Any]]:
    return names, {"action": argparse.BooleanOptionalAction, "default": default, "help": text}


def _text(names: str, default: str | None, metavar: str, text: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return names, {"default": default, "metavar": metavar, "help": text, **more}


_FLAGS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "what": [
        _text("--dataset --train_dataset", "synthetic_data", "NAME", "a directory that kblam synthesize wrote, or a file; synthetic_data is made when it is not there"),
        _text("--dataset_dir", None, "DIR", "a folder in which NAME or NAME.json is looked for"),
        _number("--N", 13_000, "facts of the dataset that are used, the first ones (13,000)"),
        _text("--model --hf_model_spec", "default", "NAME", "the base model, which stays as it is: default, a Hugging Face folder or hub name"),
        _text("--precision", "auto", "TYPE", "of the base: auto (as it is stored), bfloat16, float32, or 8bit or 4bit, which need the extra `quantised`"),
        _text("--adapter", None, "DIR", "go on from this adapter instead of a new one"),
        _text("--output --model_save_dir", "output", "DIR", "the model directory to write (output); checkpoints and logs are in DIR.training"),
        _text("--resume", None, "DIR", "go on with the run that was to write DIR (or --output)", nargs="?", const=""),
        _text("--model_dir_to_resume", None, "DIR", "the same"),
        _number("--seed", 0, "the same seed gives the same run (0)"),
    ],
    "encoder": [
        _text("--encoder_spec", "all-MiniLM-L6-v2", "NAME", "all-MiniLM-L6-v2 (default), a sentence-transformers model, OAI (text-embedding-ada-002), BigOAI (text-embedding-3-large)"),
        _text("--endpoint_url", None, "URL", "an OpenAI-compatible or Azure OpenAI endpoint for embeddings; keys come from the environment"),
        ("--use_oai_embd", {"action": "store_true", "help": "embed by OpenAI, which --encoder_spec OAI says already"}),
        ("--use_cached_embd", {"action": "store_true", "help": "insist on the vectors DATASET_ENCODER_embd_key.npy and ..._value.npy beside the dataset (used when there in any case)"}),
        _text("--key_embd_src", "key", "key", "what a fact's key vector embeds: `the PROPERTY of ENTITY`, as everywhere in kblam", choices=["key"]),
    ],
    "steps": [
        _number("--total_steps", 601, "steps (601)"),
        _number("--B", 20, "questions in one forward pass of one process (20)"),
        _number("--gradient_accm_step", 1, "forward passes a step (1)"),
        _number("--lr", None, "highest learning rate (3e-3 for a hidden size of 256, less by its root for wider models)", float),
        _number("--warmup", 50, "steps in which the rate rises (50)"),
        _choice("--use_lr_decay", True, "let the rate fall to a fiftieth (default)"),
        _number("--clip", 1.0, "norm that gradients are cut to (1)", float),
        _number("--validate_every", 50, "steps between two measurements on the validation half (50)"),
        _number("--save_every", 100, "steps between two checkpoints (100)"),
        _number("--patience", 8, "measurements without a better loss before training stops (8)"),
        _text("--prior", None, "HOW", "how questions are read: shipped (as the shipped adapter does; default with all-MiniLM-L6-v2), encoder (trains the encoder for questions) or maps (of its embeddings; default with others)"),
        _number("--prior_steps", 600, "steps in which reading questions is learnt, before, unless it is shipped (600)"),
        _text("--cross_encoder", "shipped", "WHICH", "what reads questions and facts together: the shipped ones (default; fit every encoder and base), a new one, or none", choices=["shipped", "new", "none"]),
        _number("--cross_steps", 600, "steps of a new cross-encoder (600)"),
        _text("--stages", ("prior", "vectors", "calibration"), "STAGE", "some of prior, vectors, calibration", nargs="+"),  # type: ignore[arg-type]
    ],
    "questions": [
        _choice("--use_data_aug", True, "ask paraphrased and misspelt questions too (default)"),
        _choice("--use_extended_qa", True, "ask open questions too (default)"),
        _number("--multi_entities", 3, "most facts in one question: 1, 2 or 3 (3)"),
        _number("--outlier_ratio", 1, "this and one more of twenty questions have no answer; -1 for none (1)"),
        _number("--kb_size", 2048, "facts around a step's questions; they grow up to here (2,048)"),
        _number("--negatives", 8, "near-duplicates among them for each fact asked about (8)"),
    ],
    "knowledge in the model": [
        _number("--retrieval_layer", None, "first layer with knowledge, which chooses the rows (a third of the way up)"),
        _number("--kb_token_layer_frequency", None, "knowledge enters each N-th layer from there on (1 up to 8 layers, else 3)"),
        _number("--top_k", 24, "facts attended to behind the retrieval layer while training (24)"),
        _number("--query_rank", 0, "rank of the query heads, as updates of the model's own query projection, which saves memory in wide models; 0 gives each layer a whole matrix (0)"),
        _choice("--value_slots", True, "let the tokens of chosen values enter as vectors too, so that they are said exactly (default)"),
        _choice("--length_invariance", False, "shift knowledge scores by log 100 - log facts, the paper's C"),
        _number("--retrieval_weight", 0.5, "of the retrieval layer's loss, beside the answer's (0.5)", float),
        _number("--teacher_weight", 0.0, "of self-distillation from the same model reading the facts as text (0)", float),
    ],
    "logs": [_text("--wandb", None, "PROJECT", "log to this project at Weights & Biases as well")],
}  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run_door(main))
