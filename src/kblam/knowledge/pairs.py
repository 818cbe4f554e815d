"""The original's files: `DATASET_ENCODER_embd_key.npy` and `..._embd_value.npy` beside the facts in `DATASET.json`."""

from __future__ import annotations

from pathlib import Path

from kblam.errors import KnowledgeError
from kblam.knowledge.embeddings import load_array
from kblam.knowledge.encoders import DEFAULT_ENCODER, canonical_name
from kblam.knowledge.files import TEXT_SUFFIXES, read_rows, rows_that_stay
from kblam.knowledge.snapshot import Snapshot, checked_vectors, nameless_triples

__all__ = ["find_pair", "is_pair", "load_pair"]

_KEY, _VALUE = "_embd_key.npy", "_embd_value.npy"
_TAGS = (DEFAULT_ENCODER, "OAI", "BigOAI")


def is_pair(path: Path) -> bool:
    """Return whether the path is named like one half of a pair."""
    return path.name.endswith((_KEY, _VALUE))


def find_pair(facts: Path, encoder: str | None) -> Path | None:
    """Return the key file of the pair beside a file of facts, of this encoder if one is asked for; None: there is none.

    Raises KnowledgeError when there are several and no encoder is named.
    """
    found = []
    for tag in ("", *_TAGS):
        path = facts.with_name(f"{facts.stem}{'_' if tag else ''}{tag}{_KEY}")
        wanted = encoder is None or not tag or canonical_name(tag) == encoder
        if wanted and path.is_file():
            found.append(path)
    if len(found) > 1:
        raise KnowledgeError(
            f"{facts} has vectors of several encoders beside it ({found[0].name}, ...): name the encoder"
        )
    return found[0] if found else None


def load_pair(path: Path, facts: Path | None, encoder: str | None) -> Snapshot:
    """Return the vectors of a pair, given either half, and the facts they belong to, row for row.

    facts: their file; None looks for DATASET.json, .jsonl or .csv beside the pair, and without one the rows are only
    numbered. encoder: what made the vectors, when the file's name does not say it.
    """
    stem = path.name.removesuffix(_KEY).removesuffix(_VALUE)
    key_path, value_path = path.with_name(stem + _KEY), path.with_name(stem + _VALUE)
    keys, values = checked_vectors(load_array(key_path), load_array(value_path), str(key_path))
    tag = next((tag for tag in _TAGS if stem.endswith("_" + tag)), None)
    if tag is not None:
        encoder = canonical_name(tag)
    facts = facts or _facts_beside(path, [stem] if tag is None else [stem, stem.removesuffix("_" + tag)])
    if facts is None:
        return Snapshot(nameless_triples(len(keys)), keys, values, encoder_name=encoder, has_texts=False)
    triples = read_rows(facts)
    if len(triples) != len(keys):
        raise KnowledgeError(
            f"{key_path} has {len(keys):,} vectors and {facts} {len(triples):,} facts: "
            "make the vectors again, or delete them"
        )
    rows = rows_that_stay(triples, str(facts))
    return Snapshot(tuple(triples[row] for row in rows), keys[rows], values[rows], encoder_name=encoder)


def _facts_beside(path: Path, stems: list[str]) -> Path | None:
    candidates = (path.with_name(stem + suffix) for stem in stems for suffix in TEXT_SUFFIXES)
    return next((candidate for candidate in candidates if candidate.is_file()), None)
