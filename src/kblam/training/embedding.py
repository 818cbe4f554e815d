"""A dataset's embeddings, kept beside it: what was embedded once is read the next time, also after a run broke off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kblam.errors import KnowledgeError
from kblam.knowledge import Encoder
from kblam.knowledge.aside import replace_file
from kblam.knowledge.encoders import tracked
from kblam.knowledge.pairs import find_pair, load_pair
from kblam.synthesis.dataset import Entry
from kblam.training.lessons import Lessons, lay_out

__all__ = ["cached_pair", "embed_lessons", "embed_texts"]

CHUNK = 2048
"""Texts in one file of the cache."""


def embed_lessons(
    entries: Sequence[Entry], encoder: Encoder, cache: Path, pair: tuple[Tensor, Tensor] | None = None
) -> Lessons:
    """Embed facts, or take their vectors of the pair; questions stay text alone (see `with_questions`)."""
    if pair is None:
        keys = embed_texts([entry.fact.key_text for entry in entries], encoder, cache)
        values = embed_texts([entry.fact.value_text for entry in entries], encoder, cache)
    else:
        keys, values = pair
    return lay_out(entries, keys, values)


def cached_pair(dataset: Path, entries: Sequence[Entry], encoder: str) -> tuple[Tensor, Tensor] | None:
    """The key and value vectors that microsoft/KBLaM's scripts left beside a dataset; None without them.

    Raises KnowledgeError when they are of other facts.
    """
    path = find_pair(dataset, encoder)
    if path is None:
        return None
    snapshot = load_pair(path, dataset, encoder)
    rows = {fact.identity: row for row, fact in enumerate(snapshot.triples)}
    if any(entry.fact.identity not in rows for entry in entries):
        raise KnowledgeError(f"{path} has no vectors for some facts of {dataset}: make both again, or delete it")
    order = [rows[entry.fact.identity] for entry in entries]
    keys, values = (np.asarray(array, dtype=np.float16)[order] for array in (snapshot.keys, snapshot.values))
    return torch.from_numpy(keys), torch.from_numpy(values)


def embed_texts(texts: Sequence[str], encoder: Encoder, cache: Path) -> Tensor:
    """The texts' vectors, (n, D) in half precision; each chunk of them is a file in the folder `cache`."""
    chunks = [list(texts[at : at + CHUNK]) for at in range(0, len(texts), CHUNK)]
    if not chunks:
        return torch.empty(0, encoder.width, dtype=torch.float16)
    cache.mkdir(parents=True, exist_ok=True)
    return torch.cat([torch.from_numpy(_chunk(chunk, encoder, cache)) for chunk in tracked(chunks, True)])


def _chunk(texts: list[str], encoder: Encoder, cache: Path) -> NDArray[np.float16]:
    name = hashlib.sha256("\0".join((encoder.name, *texts)).encode()).hexdigest()[:32]
    path = cache / f"{name}.npy"
    if path.exists():
        try:
            kept = np.load(path, allow_pickle=False)
            if kept.dtype == np.float16 and kept.shape == (len(texts), encoder.width):
                return np.asarray(kept)
        except (ValueError, OSError, EOFError):
            pass  # damaged: made again
    vectors = encoder.encode(texts).astype(np.float16)
    with replace_file(path) as aside, aside.open("wb") as file:
        np.save(file, vectors, allow_pickle=False)
    return vectors
