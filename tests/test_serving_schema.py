"""Schemathesis over our own OpenAPI document: no answer that it does not describe, and no failure of the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from serving_client import make_library, serving

TRIED = settings(
    max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(make_library(tmp_path_factory.mktemp("schema")), most_question=200) as url:
        yield url


def test_every_path_is_described(url: str) -> None:
    described = httpx.get(f"{url}/openapi.json").json()
    assert {path for path in described["paths"] if not path.startswith("/api/knowledge")} == {
        "/v1/models", "/v1/models/{model}", "/v1/chat/completions", "/v1/embeddings", "/health", "/ready", "/metrics",
    }  # fmt: skip
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (path, method)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_undocumented_answer(url: str, mode: str) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    document = schemathesis.openapi.from_url(f"{url}/openapi.json")
    tried = 0
    for found in document.get_all_operations():
        operation = found.ok()

        @TRIED
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
        def check(case: Any) -> None:
            nonlocal tried
            tried += 1
            try:
                answer = case.call(timeout=60)
            except requests.RequestException:
                assert mode == "negative"  # what is no HTTP at all, uvicorn hangs up on
                return
            if "x-request-id" not in answer.headers:
                assert answer.text == "Invalid HTTP request received."  # or it says so
                return
            # What a schema allows can still be no question, or name a version that never was.
            case.validate_response(answer, excluded_checks=[positive_data_acceptance])

        with suppress(Unsatisfiable):  # there is nothing to be wrong in a request without parameters
            check()
    assert tried > 40
