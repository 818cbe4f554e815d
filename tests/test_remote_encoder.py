"""Encoders behind an embeddings endpoint."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fake_endpoint import Endpoint, vector

from kblam.errors import EncoderError
from kblam.knowledge import endpoint as endpoint_module
from kblam.knowledge.encoders import load_encoder


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for variable in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    server = Endpoint()
    yield server
    server.close()


def test_texts_go_in_batches_and_come_back_in_order(endpoint: Endpoint) -> None:
    texts = [f"fact {row} 事実" for row in range(600)]
    got = load_encoder("OAI", endpoint_url=endpoint.address + "/v1").encode(texts, progress=True)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [vector(text, 1536) for text in texts])
    assert [len(request["input"]) for request in endpoint.requests] == [256, 256, 88]
    for request in endpoint.requests:
        assert request["path"] == "/v1/embeddings"
        assert request["model"] == "text-embedding-ada-002"
        assert request["headers"]["authorization"] == "Bearer test-key"


def test_long_texts_are_spread_over_requests(endpoint: Endpoint) -> None:
    texts = ["a" * 60_000, "b" * 60_000, "c" * 40_000, "d" * 100_000, "e"]
    load_encoder("OAI", endpoint_url=endpoint.address).encode(texts)
    assert [[text[0] for text in request["input"]] for request in endpoint.requests] == [
        ["a"],
        ["b", "c"],
        ["d"],
        ["e"],
    ]


def test_the_environment_names_the_endpoint(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.address + "/proxy/v1")
    assert load_encoder("text-embedding-3-small").encode(["x"]).shape == (1, 1536)
    assert endpoint.requests[0]["path"] == "/proxy/v1/embeddings"


def test_a_server_of_ones_own(endpoint: Endpoint) -> None:
    endpoint.width = 12
    encoder = load_encoder("bge-m3", endpoint_url=endpoint.address, deployment="bge-m3-q8")
    assert encoder.width == 12 and encoder.name == "bge-m3"
    assert encoder.encode([]).shape == (0, 12)
    assert endpoint.requests[0]["model"] == "bge-m3-q8"


@pytest.mark.parametrize("failures", [[429], [500, 503, 429], [429] * 5])
def test_a_busy_server_is_asked_again(endpoint: Endpoint, failures: list[int]) -> None:
    endpoint.failures = list(failures)
    got = load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    np.testing.assert_array_equal(got[0], vector("x", 1536))
    assert len(endpoint.requests) == len(failures) + 1


def test_a_server_that_never_recovers(endpoint: Endpoint) -> None:
    endpoint.failures = [500] * 100
    with pytest.raises(EncoderError) as caught:
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    message = str(caught.value)
    assert (
        "the embeddings endpoint at 127.0.0.1 refused text-embedding-ada-002 with HTTP 500 after 5 retries" in message
    )
    assert "not now" in message and "\n" not in message
    assert len(endpoint.requests) == 6


def test_a_refusal_is_not_repeated(endpoint: Endpoint) -> None:
    endpoint.failures = [401]
    with pytest.raises(EncoderError, match="with HTTP 401: ") as caught:
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    assert "test-key" not in str(caught.value)
    assert len(endpoint.requests) == 1


def test_nobody_listens(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.close()
    monkeypatch.setattr(endpoint_module, "RETRIES", 0)
    with pytest.raises(EncoderError, match=r"endpoint at 127\.0\.0\.1 could not be reached for text-embedding-ada-002"):
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    monkeypatch.delenv("OPENAI_API_KEY") if key is None else monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(EncoderError, match=r"needs a key: set OPENAI_API_KEY, or choose the local encoder"):
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", endpoint.address)
    with pytest.raises(EncoderError, match="set AZURE_OPENAI_API_KEY"):
        load_encoder("OAI").encode(["x"])
    assert endpoint.requests == []


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(EncoderError, match=r"needs the openai package: run pip install .*\[openai\]'"):
        load_encoder("OAI").encode(["x"])


def first_left_out(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "data": body["data"][:-1]}


def one_too_many(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "data": [*body["data"], {**body["data"][0], "index": 99}]}


def with_nan(body: dict[str, Any]) -> dict[str, Any]:
    packed = base64.b64encode(np.array([np.nan] * 1536, dtype=np.float32).tobytes()).decode()
    return {**body, "data": [{**item, "embedding": packed} for item in body["data"]]}


def short_vectors(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "data": [{**item, "embedding": [0.5, 0.5]} for item in body["data"]]}


def ragged(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "data": [{**item, "embedding": [0.5] * (item["index"] + 1)} for item in body["data"]]}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (first_left_out, "answered 2 vectors for 3 texts"),
        (one_too_many, "answered 4 vectors for 3 texts"),
        (with_nan, "answered vectors that hold NaN or infinity"),
        (short_vectors, "answered vectors of 2 numbers instead of 1536"),
        (ragged, "answered no list of vectors"),
        (lambda body: {**body, "data": []}, "answered no list of vectors"),
        (lambda body: {"hello": "world"}, "answered no list of vectors"),
        (lambda body: "<html>", "answered no list"),
        (lambda body: {**body, "data": [{"embedding": "?!", "index": row} for row in range(3)]}, "answered no list"),
        (lambda body: {**body, "data": [{"index": row} for row in range(3)]}, "answered no list"),
    ],
)
def test_nonsense_is_refused(endpoint: Endpoint, spoil: Any, message: str) -> None:
    endpoint.spoil = spoil
    with pytest.raises(
        EncoderError, match=f"the embeddings endpoint at 127.0.0.1 {message}.* for text-embedding-ada-002"
    ):
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["a", "b", "c"])


@pytest.mark.parametrize("deployment", [None, "my-ada"])
def test_azure(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, deployment: str | None) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", endpoint.address)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    encoder = load_encoder("OAI", deployment=deployment)
    np.testing.assert_array_equal(encoder.encode(["x"])[0], vector("x", 1536))
    (request,) = endpoint.requests
    name = deployment or "text-embedding-ada-002"
    assert request["path"] == f"/openai/deployments/{name}/embeddings?api-version={endpoint_module.AZURE_API_VERSION}"
    assert request["headers"]["api-key"] == "azure-key"
    assert encoder.name == "text-embedding-ada-002"


def test_azure_by_the_only_key_and_another_version(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    monkeypatch.setenv("OPENAI_API_VERSION", "2030-01-01")
    load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    assert endpoint.requests[0]["path"].endswith("/embeddings?api-version=2030-01-01")


@pytest.mark.parametrize(
    ("address", "azure"),
    [
        ("https://mine.openai.azure.com/", True),
        ("https://mine.cognitiveservices.azure.com", True),
        ("https://api.openai.com/v1", False),
        ("https://openai.azure.com.example.org", False),
    ],
)
def test_azure_by_its_address(endpoint: Endpoint, address: str, azure: bool) -> None:
    assert endpoint_module.is_azure(address) is azure
