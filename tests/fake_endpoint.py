"""A server on this machine in place of an embeddings endpoint."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from numpy.typing import NDArray


def vector(text: str, width: int) -> NDArray[np.float32]:
    """Return what the server below answers for a text: of unit length, and its own for each text."""
    numbers = np.random.default_rng(sum(text.encode())).standard_normal(width).astype(np.float32)
    return numbers / np.linalg.norm(numbers)


class Endpoint:
    """A server on this machine that speaks the embeddings protocol, or misbehaves as it is told to."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.failures: list[int] = []
        self.width = 1536
        self.spoil: Callable[[dict[str, Any]], Any] = lambda body: body
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        self.requests.append({"path": path, "headers": headers, **body})
        if self.failures:
            return self.failures.pop(0), {"error": {"message": "not\nnow", "type": "server_error"}}
        data = []
        for index, text in enumerate(body["input"]):
            numbers = vector(text, self.width)
            packed = base64.b64encode(numbers.tobytes()).decode()
            as_text = body.get("encoding_format") == "base64"
            data.append({"object": "embedding", "index": index, "embedding": packed if as_text else numbers.tolist()})
        data.reverse()  # the protocol orders by index, not by place
        return 200, self.spoil({"object": "list", "data": data, "model": "m", "usage": {}})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, answer = endpoint.answer(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.send_header("retry-after-ms", "1")  # the client waits as long as it is told
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: Any) -> None:
                pass

        return Handler
