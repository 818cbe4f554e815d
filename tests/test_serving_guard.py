"""Who gets in, and how much of what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving_client import QUESTION, make_library, serving

from kblam.errors import InputError
from kblam.serving.library import Library
from kblam.serving.settings import Settings

KEYS = ("first-secret-key", "second-secret-key")
ASKED = {"model": "kblam", "messages": [{"role": "user", "content": QUESTION}]}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return make_library(tmp_path)


@pytest.fixture
def guarded(library: Library) -> Iterator[httpx.Client]:
    settings = {"keys": KEYS, "origins": ("https://chat.example.org",), "most_body": 2000, "most_import": 5000}
    with serving(library, **settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_keys(guarded: httpx.Client) -> None:
    for headers in ({}, bearer("x"), bearer("first-secret-ke"), bearer(KEYS[0] + "x"), {"Authorization": KEYS[0]}):
        for path in ("/v1/models", "/api/knowledge", "/metrics"):
            answer = guarded.get(path, headers=headers)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"]["code"] == "invalid_api_key"
    for key in KEYS:
        assert guarded.get("/v1/models", headers=bearer(key)).status_code == 200
    assert (
        guarded.get("/health").status_code == guarded.get("/ready").status_code == guarded.get("/").status_code == 200
    )


def test_what_is_too_large_is_refused_by_its_word_and_while_it_comes(guarded: httpx.Client) -> None:
    def pieces(size: int) -> Iterator[bytes]:
        yield from (b"x" * 100 for _ in range(size // 100))

    large: dict[str, Any] = {"headers": {**bearer(KEYS[0]), "Content-Type": "text/csv"}}
    assert guarded.post("/v1/chat/completions", content=b"x" * 2001, **large).status_code == 413
    assert guarded.post("/v1/chat/completions", content=pieces(3000), **large).status_code == 413
    assert guarded.post("/api/knowledge/facts/import", content=pieces(6000), **large).status_code == 413
    assert guarded.post("/api/knowledge/facts/import", content=b"a,b\n" * 600, **large).status_code != 413


def test_other_pages_may_not_call_unless_allowed(guarded: httpx.Client) -> None:
    def call(origin: str) -> httpx.Response:
        return guarded.get("/v1/models", headers={**bearer(KEYS[0]), "Origin": origin})

    allowed = call("https://chat.example.org")
    assert allowed.headers["access-control-allow-origin"] == "https://chat.example.org"
    assert call(str(guarded.base_url).rstrip("/")).status_code == 200
    for origin in ("https://evil.example", "null", "https://chat.example.org.evil.example"):
        refused = call(origin)
        assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers
    asked = {"Origin": "https://chat.example.org", "Access-Control-Request-Method": "POST"}
    assert guarded.options("/v1/chat/completions", headers=asked).status_code == 200


def test_without_keys_only_this_machine_is_answered(library: Library) -> None:
    with serving(library) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert client.get("/v1/models").status_code == 200
        for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
            assert client.get("/v1/models", headers={"Host": host}).status_code == 421
        assert client.get("/v1/models", headers={"Host": "localhost:1"}).status_code == 200
        assert client.get("/v1/models", headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.options("/v1/models", headers={"Origin": url}).headers.get("access-control-allow-origin") is None


def test_who_asks_too_often_waits(library: Library) -> None:
    with serving(library, rate=100) as url, httpx.Client(base_url=url, timeout=60) as client:
        statuses = [client.get("/v1/models").status_code for _ in range(30)]
        assert statuses[:10] == [200] * 10 and 429 in statuses
        late = client.get("/v1/models")
        assert late.status_code == 429 and int(late.headers["retry-after"]) >= 1


def test_every_answer_carries_the_security_headers(guarded: httpx.Client) -> None:
    for path in ("/", "/page/main.js", "/health", "/nothing", "/v1/models"):
        headers = guarded.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert "server" not in headers and len(headers["x-request-id"]) == 16
    assert guarded.get("/docs").status_code == guarded.get("/page/../app.py").status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_a_server_open_to_the_network_needs_a_key(host: str) -> None:
    with pytest.raises(InputError, match="needs an API key"):
        Settings(host=host)
    assert not Settings(host=host, keys=("long enough",)).local


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_loopback_needs_none(host: str) -> None:
    assert Settings(host=host).local


@pytest.mark.parametrize(
    "changes", [{"port": 70000}, {"keys": ("short",)}, {"keys": ("schlüssel",)}, {"most_waiting": 0}]
)
def test_settings_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Settings(**changes)


@pytest.mark.parametrize("shown", [False, True])
def test_the_log_holds_no_question_unless_asked_for(
    library: Library, capfd: pytest.CaptureFixture[str], shown: bool
) -> None:
    with serving(library, log_questions=shown) as url:
        httpx.post(f"{url}/v1/chat/completions", json=ASKED, timeout=60)
        httpx.get(f"{url}/api/knowledge/facts/fact?entity=Mongolia&property=capital", timeout=60)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["route"] for line in requests] == ["/v1/chat/completions", "/api/knowledge/{base}/fact"]
    assert all(line["status"] == 200 and line["seconds"] > 0 for line in requests)
    assert ("Mongolia" in json.dumps(lines)) is shown


def test_metrics_count_what_happened(library: Library) -> None:
    with serving(library) as url, httpx.Client(base_url=url, timeout=60) as client:
        client.post("/v1/chat/completions", json=ASKED)
        client.get("/nothing")
        text = client.get("/metrics").text
    assert 'kblam_questions_total{knowledge="facts",outcome="answered"} 1.0' in text
    assert 'kblam_requests_total{method="GET",route="other",status="404"} 1.0' in text
    assert 'kblam_knowledge_facts{knowledge="facts"} 3.0' in text
    assert 'kblam_knowledge_version{knowledge="other"} 1.0' in text
