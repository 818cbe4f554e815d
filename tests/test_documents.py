"""Facts out of documents, asked of a local stand-in for an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fake_encoder import FakeEncoder

from kblam.errors import InputError, KnowledgeError
from kblam.knowledge import KnowledgeBase, Triple
from kblam.knowledge import endpoint as protocol
from kblam.knowledge.documents import CHARACTERS, facts_of_document

HANDBOOK = """# Handbook

The **office** in Ulaanbaatar opens at
9:30 and closes at 18:00.

## Holidays

Everybody has [28 days](rules.md) of leave. 休暇は28日です。
"""


class Endpoint:
    """Answers each request with the next of `answers`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answers: list[Any] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                answer = server.answers.pop(0)
                self.send_response(200 if isinstance(answer, str) else answer)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                message = {"role": "assistant", "content": answer}
                body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [
                    {"index": 0, "finish_reason": "stop", "message": message}]}  # fmt: skip
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for variable in ("OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setattr(protocol, "RETRIES", 0)
    server = Endpoint()
    yield server
    server.close()


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    path = tmp_path / "handbook.md"
    path.write_text(HANDBOOK, encoding="utf-8")
    return path


def said(*facts: tuple[str, str, str]) -> str:
    return json.dumps(
        [dict(zip(("entity", "property", "value"), fact, strict=True)) for fact in facts], ensure_ascii=False
    )


def test_facts_are_found_section_by_section_and_checked_against_the_text(endpoint: Endpoint, handbook: Path) -> None:
    endpoint.answers = [
        "Here you are:\n```json\n"
        + said(
            ("the office", "opening time", "opens at 9:30"),
            ("the office", "telephone", "555-1234"),
            ("the office", "", "18:00"),
        )
        + "\n```",
        said(("employees", "leave", "28 days of leave"), ("休暇", "日数", "28日")),
    ]
    facts, rejected = facts_of_document(handbook, "any-model", endpoint.url)
    assert facts == [
        Triple("the office", "opening time", "opens at 9:30", id="handbook.md:3"),
        Triple("employees", "leave", "28 days of leave", id="handbook.md:8"),
        Triple("休暇", "日数", "28日", id="handbook.md:8"),
    ]
    assert [rejection.line for rejection in rejected] == [3, 3]
    assert "property is empty" in rejected[0].reason and "does not say '555-1234'" in rejected[1].reason
    first, second = (request["messages"][1]["content"] for request in endpoint.requests)
    assert "Section: Handbook" in first and "9:30 and closes" in first and "28日" not in first
    assert "Section: Handbook\nSection: Holidays" in second and endpoint.requests[0]["model"] == "any-model"


def test_a_document_becomes_one_version_of_a_store(endpoint: Endpoint, handbook: Path, tmp_path: Path) -> None:
    answers = [said(("the office", "opening time", "9:30")), said(("nobody", "leave", "29 days"))]
    with KnowledgeBase.open(tmp_path / "facts", create=True, encoder=FakeEncoder()) as store:
        endpoint.answers = [*answers, *answers]
        assert store.import_file(handbook, dry_run=True, llm="m", endpoint_url=endpoint.url).added == 1
        report = store.import_file(handbook, llm="m", endpoint_url=endpoint.url)
        assert (report.added, len(report.rejected), report.version) == (1, 1, 1)
        assert store.page() == [Triple("the office", "opening time", "9:30", id="handbook.md:3")]


def test_an_answer_that_is_no_array_is_a_rejection(endpoint: Endpoint, handbook: Path) -> None:
    endpoint.answers = ["I found no facts.", "[{]"]
    facts, rejected = facts_of_document(handbook, "m", endpoint.url)
    assert facts == [] and [rejection.line for rejection in rejected] == [3, 8]
    assert "no JSON array but 'I found no facts.'" in rejected[0].reason


def test_long_sections_are_asked_about_in_parts(endpoint: Endpoint, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    paragraphs = [f"Paragraph {row}: " + "word " * 150 for row in range(9)]
    path.write_text("\n\n".join(paragraphs), encoding="utf-8")
    endpoint.answers = ["[]"] * 9
    assert facts_of_document(path, "m", endpoint.url) == ([], [])
    asked = [request["messages"][1]["content"] for request in endpoint.requests]
    assert 1 < len(asked) < 9 and max(map(len, asked)) < CHARACTERS + 100
    assert [row for row in range(9) if any(f"Paragraph {row}:" in text for text in asked)] == list(range(9))


def test_an_endpoint_that_refuses_is_one_sentence(endpoint: Endpoint, handbook: Path) -> None:
    endpoint.answers = [403]
    with pytest.raises(InputError, match=r"m at 127\.0\.0\.1 could not be asked for facts"):
        facts_of_document(handbook, "m", endpoint.url)


def test_no_key_and_no_file_are_said_at_once(handbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError, match="set OPENAI_API_KEY"):
        facts_of_document(handbook, "m")
    with pytest.raises(KnowledgeError, match=r"none\.md does not exist"):
        facts_of_document(tmp_path / "none.md", "m")
