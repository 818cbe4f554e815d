"""A language model's endpoint on this machine, which can fail in every way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Endpoint:
    """A server that speaks the chat protocol, or misbehaves: an item of `script` is a status, a text, "drop" (closes the
    connection), "hang" (never answers), bytes that are no JSON, or another answer than the protocol's."""

    def __init__(self, usual: Callable[[int], str]) -> None:
        """usual: the text of a reply when the script is at its end, by the number of the request."""
        self.usual = usual
        self.script: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Any:
        with self._lock:
            self.requests.append({"path": path, "headers": headers, **body})
            return self.script.pop(0) if self.script else self.usual(len(self.requests))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                said = endpoint.answer(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                if said in ("drop", "hang"):
                    if said == "hang":
                        endpoint.over.wait(5)
                    self.close_connection = True
                    return
                status = said if isinstance(said, int) else 200
                answer: Any = {"error": {"message": "no\nway"}}
                if isinstance(said, str):
                    message = {"role": "assistant", "content": said}
                    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
                    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
                    answer["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
                elif isinstance(said, dict):
                    answer = said
                data = said if isinstance(said, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in (("content-type", "application/json"), ("content-length", str(len(data)))):
                    self.send_header(name, value)
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: Any) -> None:
                pass

        return Handler


@contextmanager
def open_endpoint(monkeypatch: pytest.MonkeyPatch, usual: Callable[[int], str]) -> Iterator[Endpoint]:
    """A server, and an environment in which the client finds a key and no other endpoint."""
    for variable in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    server = Endpoint(usual)
    yield server
    server.close()
