"""The ways to give a decoder its facts, each behind the same three steps: prepare, attend, ask.

Shapes: T tokens of the question, M rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from kblam.attention.approximate import NUMBERS_OF_A_CODE, index_rows
from kblam.attention.latent import Latents
from kblam.attention.scan import products
from kblam.measuring.decoders import WIDTH, random_rows
from kblam.measuring.original import OriginalAlgorithm, built_bytes
from kblam.models.active import ActiveKnowledge
from kblam.models.adapter import Adapter
from kblam.models.inject import inject

__all__ = ["CONTENDERS", "INDEXED", "Bench", "Contender", "kept_bytes"]

INDEXED = "ours, retrieve once, ann"
TOKENS_OF_A_FACT = 20
"""In a prompt; the paper's synthetic facts have about as many."""
RETRIEVED = 5
"""Facts that retrieval puts into the prompt."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What all contenders share."""

    decoder: Any
    exact: Adapter
    """All rows in every so-manieth layer, as in the paper."""
    retrieving: Adapter
    """Rows chosen once for the upper half of the layers."""
    question: Tensor
    """(1, T) token ids."""
    vector: Tensor
    """(1, WIDTH), the question's embedding."""
    dtype: torch.dtype

    @property
    def device(self) -> str:
        """Where it runs."""
        return str(self.decoder.device)

    def prompt(self, extra: int) -> Tensor:
        """The question behind so many other tokens."""
        generator = torch.Generator().manual_seed(9)
        ids = torch.randint(3, self.decoder.config.vocab_size, (1, extra), generator=generator)
        return torch.cat([ids.to(self.question.device), self.question], 1)


class Contender(Protocol):
    """One way, prepared for a number of facts; closed after use."""

    def attend(self) -> AbstractContextManager[object]:
        """A block in which one question is asked."""

    def prompt(self) -> Tensor:
        """Its tokens; what is done for every question before the model reads is done here."""

    def close(self) -> None:
        """Give back what was prepared."""


class Plain:
    """The question alone, or behind facts written out."""

    def __init__(self, bench: Bench, facts: int = 0) -> None:
        self._ids = bench.prompt(facts * TOKENS_OF_A_FACT)

    def attend(self) -> AbstractContextManager[object]:
        """Nothing to attend to."""
        return nullcontext()

    def prompt(self) -> Tensor:
        """The same each time."""
        return self._ids

    def close(self) -> None:
        """Nothing to give back."""


class Retrieved(Plain):
    """The best rows of a dense index, written out in front of the question."""

    def __init__(self, bench: Bench, rows: int) -> None:
        super().__init__(bench, min(RETRIEVED, rows))
        self._keys = random_rows(rows, torch.float16, bench.device)[0]
        self._vector = bench.vector

    def prompt(self) -> Tensor:
        """Search, then the prompt."""
        products(self._vector.float(), self._keys).topk(min(RETRIEVED, len(self._keys)))
        return self._ids


class Ours:
    """Knowledge in latent form, attended to through the adapter."""

    def __init__(self, bench: Bench, adapter: Adapter, latents: Latents, folder: Any = None) -> None:
        self._bench, self._adapter, self._latents, self._folder = bench, adapter, latents, folder

    @contextmanager
    def attend(self) -> Iterator[None]:
        """An attend block of its own for each question."""
        injection = inject(self._bench.decoder, self._adapter)
        question = self._bench.vector if self._adapter.config.question_prior else None
        try:
            with injection.attend(ActiveKnowledge(self._latents, question)):
                yield
        finally:
            injection.remove()

    def prompt(self) -> Tensor:
        """The question alone."""
        return self._bench.question

    def close(self) -> None:
        """Remove the rows' files, if there are any."""
        del self._latents
        if self._folder is not None:
            self._folder.cleanup()


class Original(Plain):
    """The original's algorithm."""

    def __init__(self, bench: Bench, rows: int) -> None:
        super().__init__(bench)
        latents = bench.exact.latents(*random_rows(rows, bench.dtype, bench.device))
        self._algorithm = OriginalAlgorithm(bench.decoder, bench.exact, latents)

    def attend(self) -> AbstractContextManager[object]:
        """With the rows' keys and values built before."""
        return self._algorithm.attend()

    def close(self) -> None:
        """Forget the keys and values."""
        del self._algorithm


def _exact(bench: Bench, rows: int) -> Contender:
    return Ours(bench, bench.exact, bench.exact.latents(*random_rows(rows, bench.dtype, bench.device)))


def _kept(bench: Bench, rows: int) -> Contender:
    latents = bench.exact.latents(*random_rows(rows, bench.dtype, bench.device))
    return Ours(bench, bench.exact, bench.exact.built(latents))


def _once(bench: Bench, rows: int) -> Contender:
    return Ours(bench, bench.retrieving, bench.retrieving.latents(*random_rows(rows, bench.dtype, bench.device)))


def _mapped(bench: Bench, rows: int) -> tuple[Latents, Any]:
    """Rows in files, of which only those that are proposed are read; and the folder of the files."""
    # On Windows a file that is still mapped cannot be removed; the system's own cleaning will.
    folder = tempfile.TemporaryDirectory(prefix="kblam-benchmark-", ignore_cleanup_errors=True)
    tensors = []
    for name, made in zip(("keys.npy", "values.npy"), random_rows(rows, torch.float16), strict=True):
        path = Path(folder.name) / name
        np.save(path, made.numpy(), allow_pickle=False)
        tensors.append(torch.from_numpy(np.load(path, mmap_mode="c")).to(bench.device))
    return bench.retrieving.latents(*tensors), folder


def _coarse(bench: Bench, rows: int) -> Contender:
    latents, folder = _mapped(bench, rows)
    return Ours(bench, bench.retrieving, latents.quantised(), folder)


def _indexed(bench: Bench, rows: int) -> Contender:
    latents, folder = _mapped(bench, rows)
    return Ours(bench, bench.retrieving, index_rows(latents), folder)


CONTENDERS: dict[str, Callable[[Bench, int], Contender]] = {
    "no knowledge": lambda bench, rows: Plain(bench),
    "ours, exact": _exact,
    "ours, exact, keys kept": _kept,
    "ours, retrieve once": _once,
    "ours, retrieve once, int8": _coarse,
    INDEXED: _indexed,
    "original's algorithm": Original,
    "in context": Plain,
    "RAG, top 5": Retrieved,
}
"""Name and how it is prepared for a number of facts."""


def kept_bytes(name: str, bench: Bench, rows: int) -> int:
    """What a contender keeps in memory for the facts while it is asked, by arithmetic."""
    size = torch.empty(0, dtype=bench.dtype).element_size()
    config = bench.decoder.config
    cache: int = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * size
    return {
        "no knowledge": 0,
        "ours, exact": rows * (2 * WIDTH * size + 8),
        "ours, exact, keys kept": rows * (2 * WIDTH * size + 8) + built_bytes(bench.exact, rows),
        "ours, retrieve once": rows * (2 * WIDTH * size + 16),
        "ours, retrieve once, int8": rows * (2 * WIDTH + 24),
        INDEXED: rows * (2 * WIDTH // NUMBERS_OF_A_CODE // 2 + 16),
        "original's algorithm": built_bytes(bench.exact, rows),
        "in context": rows * TOKENS_OF_A_FACT * cache,
        "RAG, top 5": rows * WIDTH * 2,
    }[name]
