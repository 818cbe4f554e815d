"""Encoders behind the embeddings protocol: OpenAI, Azure OpenAI, and every server that speaks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from kblam.errors import EncoderError
from kblam.knowledge.encoders import known_width, one_line, tracked
from kblam.knowledge.endpoint import RETRIES, open_client

if TYPE_CHECKING:
    import openai

__all__ = ["RemoteEncoder"]

TEXTS_A_REQUEST = 256
CHARACTERS_A_REQUEST = 100_000
"""The service refuses a request of more than 300,000 tokens, and a character can be more than one."""


@dataclass(frozen=True)
class RemoteEncoder:
    """A model at an endpoint, reached through the `openai` client (the extra `openai`).

    Which server that is, and its key, says kblam.knowledge.endpoint.
    The client itself tries five times more on HTTP 408, 409, 429, 5xx and lost connections, and waits longer each time
    or as long as the server says.
    """

    name: str
    endpoint_url: str | None = None
    deployment: str | None = None
    """The name under which the endpoint knows the model; None: the model's own."""

    def __post_init__(self) -> None:
        if self.endpoint_url is not None and urlsplit(self.endpoint_url).scheme not in ("http", "https"):
            raise EncoderError(f"the endpoint {self.endpoint_url!r} is no address: it starts with https:// or http://")

    @cached_property
    def width(self) -> int:
        """How many numbers a vector has; asks the endpoint unless the model's name says it."""
        return known_width(self.name) or self._request(["width"]).shape[1]

    def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        """Return (n, width) float32 vectors as the service gives them (OpenAI's are of unit length).

        Raises EncoderError without a key, when the endpoint refuses or cannot be reached, and when it answers nonsense.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts, not one text")
        if not texts:
            return np.empty((0, self.width), dtype=np.float32)
        vectors = [self._request(batch) for batch in tracked(_batches(texts), progress)]
        if len({part.shape[1] for part in vectors}) != 1:
            raise self._nonsense("vectors of different widths")
        return np.concatenate(vectors)

    def _request(self, texts: list[str]) -> NDArray[np.float32]:
        client = self._client
        from openai import APIStatusError, OpenAIError

        found: dict[int, list[float]] = {}
        try:
            answer = client.embeddings.create(model=self.deployment or self.name, input=texts)
            found = {item.index: item.embedding for item in answer.data}
            vectors = np.array([found[row] for row in range(len(texts))], dtype=np.float32)
        except APIStatusError as error:
            raise EncoderError(self._refusal(error)) from error
        except OpenAIError as error:
            raise EncoderError(f"{self._where} could not be reached for {self.name}: {one_line(error)}") from error
        except KeyError:
            raise self._nonsense(f"{len(found)} vectors for {len(texts)} texts") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise self._nonsense("no list of vectors") from error
        return self._checked(vectors, len(found), len(texts))

    def _checked(self, vectors: NDArray[np.float32], found: int, asked: int) -> NDArray[np.float32]:
        if found != asked:
            raise self._nonsense(f"{found} vectors for {asked} texts")
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise self._nonsense("no list of vectors")
        expected = known_width(self.name)
        if expected is not None and vectors.shape[1] != expected:
            raise self._nonsense(f"vectors of {vectors.shape[1]} numbers instead of {expected}")
        if not np.isfinite(vectors).all():
            raise self._nonsense("vectors that hold NaN or infinity")
        return vectors

    @cached_property
    def _client(self) -> openai.OpenAI:
        return open_client(self.name, self.endpoint_url, "choose the local encoder all-MiniLM-L6-v2")

    @property
    def _where(self) -> str:
        return f"the embeddings endpoint at {self._client.base_url.host}"

    def _refusal(self, error: openai.APIStatusError) -> str:
        tried = f" after {RETRIES} retries" if error.status_code in (408, 409, 429) or error.status_code >= 500 else ""
        return f"{self._where} refused {self.name} with HTTP {error.status_code}{tried}: {one_line(error)}"

    def _nonsense(self, what: str) -> EncoderError:
        return EncoderError(
            f"{self._where} answered {what} for {self.name}: check the address and the model's name there"
        )


def _batches(texts: Sequence[str]) -> list[list[str]]:
    """Return the texts in order, in parts that one request may carry."""
    batches: list[list[str]] = []
    characters = 0
    for text in texts:
        characters += len(text)
        if not batches or len(batches[-1]) == TEXTS_A_REQUEST or characters > CHARACTERS_A_REQUEST:
            batches.append([])
            characters = len(text)
        batches[-1].append(text)
    return batches
