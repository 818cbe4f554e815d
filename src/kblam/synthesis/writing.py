"""Dataset directories: two files of JSON lines and a note on how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from kblam.knowledge.aside import check_replaceable, replace_directory
from kblam.synthesis.dataset import TRAIN, VALIDATION, Entry, write_dataset
from kblam.synthesis.making import Recipe, make_dataset
from kblam.version import __version__

__all__ = ["check_dataset", "synthesize", "write_halves"]

ABOUT = "dataset.json"


def check_dataset(output: Path) -> None:
    """Raise InputError unless a dataset directory can be put there."""
    check_replaceable(output.absolute(), mark=ABOUT)


def synthesize(output: str | Path, recipe: Recipe) -> tuple[list[Entry], list[Entry]]:
    """Write a dataset directory made offline, and return its two halves."""
    check_dataset(Path(output))
    halves = make_dataset(recipe)
    write_halves(Path(output), *halves, {"recipe": asdict(recipe)})
    return halves


def write_halves(
    output: Path, train: Sequence[Entry], validation: Sequence[Entry], about: Mapping[str, object]
) -> None:
    """Write both halves and the note, whole or not at all; a dataset that was there is replaced."""
    record = {"format": "kblam-dataset", "kblam_version": __version__, **about}
    with replace_directory(output, mark=ABOUT) as aside:
        write_dataset(aside / TRAIN, train)
        write_dataset(aside / VALIDATION, validation)
        (aside / ABOUT).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
