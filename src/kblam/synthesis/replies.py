"""Replies of a language model at an endpoint: asked for many at a time, each on disk when it comes, so that a run that
broke off goes on without paying twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kblam.errors import KnowledgeError
from kblam.knowledge.encoders import one_line

if TYPE_CHECKING:
    import openai

__all__ = ["Journal", "Reply", "ask_all", "request_name"]

FAILURES = 5
"""Requests that fail one after the other before the run stops."""


@dataclass
class Reply:
    """What came back, and what it cost."""

    text: str
    input_tokens: int
    output_tokens: int


class Journal:
    """A file of replies, one a line, each on disk before it counts; a line that a crash cut short is ignored."""

    def __init__(self, path: Path) -> None:
        self.path, self.replies, self._lock = path, dict[str, Reply](), threading.Lock()
        torn = b""
        if path.exists():
            *lines, torn = path.read_bytes().split(b"\n")
            for line in [*lines, torn]:
                self._take(line)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        if torn:
            self._file.write(b"\n")

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            self.replies[row["request"]] = Reply(row["reply"], int(row["input_tokens"]), int(row["output_tokens"]))
        except (ValueError, KeyError, TypeError):
            return

    def add(self, request: str, reply: Reply) -> None:
        """Keep a reply; it is on disk when this returns."""
        line = json.dumps(
            {
                "request": request,
                "reply": reply.text,
                "input_tokens": reply.input_tokens,
                "output_tokens": reply.output_tokens,
            },
            ensure_ascii=False,
        )
        with self._lock:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.replies[request] = reply

    def close(self) -> None:
        """Nothing more is added."""
        self._file.close()


def request_name(model: str, prompt: str) -> str:
    """What a journal calls a request."""
    return hashlib.sha256(f"{model}\n{prompt}".encode()).hexdigest()[:24]


def ask_all(
    client: openai.OpenAI, model: str, kept: Journal, prompts: Sequence[str], workers: int, enough: Callable[[], bool]
) -> Iterator[tuple[str, Reply | None]]:
    """Each prompt with its reply, None where the request failed; kept ones first, then as they come.

    workers: requests at once. enough: true when no more are to be sent. Raises KnowledgeError when the endpoint refuses,
    or fails FAILURES times in a row; what came before is kept.
    """
    fresh = []
    for prompt in prompts:
        if (reply := kept.replies.get(request_name(model, prompt))) is not None:
            yield prompt, reply
        else:
            fresh.append(prompt)
    waiting, sent, in_a_row = iter(fresh), dict[Future[Reply], str](), 0
    pool = ThreadPoolExecutor(workers)
    try:
        while True:
            while len(sent) < workers and not enough() and (prompt := next(waiting, "")):
                sent[pool.submit(_ask, client, model, prompt, kept)] = prompt
            if not sent:
                return
            for future in wait(tuple(sent), return_when=FIRST_COMPLETED).done:
                answered, error = sent.pop(future), future.exception()
                in_a_row = 0 if error is None else in_a_row + 1
                if error is not None:
                    _stop_if_hopeless(error, in_a_row, client, model, kept.path)
                yield answered, None if error is not None else future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # replies on their way are paid for, so they are kept too


def _ask(client: openai.OpenAI, model: str, prompt: str, kept: Journal) -> Reply:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
    usage = getattr(answer, "usage", None)
    choices: Any = getattr(answer, "choices", None)
    text = str(choices[0].message.content or "") if choices else ""
    reply = Reply(text, *(int(getattr(usage, name, 0) or 0) for name in ("prompt_tokens", "completion_tokens")))
    kept.add(request_name(model, prompt), reply)
    return reply


def _stop_if_hopeless(error: BaseException, in_a_row: int, client: openai.OpenAI, model: str, journal: Path) -> None:
    from openai import APIConnectionError, APIStatusError, OpenAIError

    status = error.status_code if isinstance(error, APIStatusError) else None
    if not isinstance(error, (OpenAIError, ValueError, TypeError, AttributeError)):
        raise error
    refused = status is not None and 400 <= status < 500 and status not in (408, 409, 429)
    if refused or in_a_row >= FAILURES:
        what = (
            f"refused {model} with HTTP {status}"
            if status is not None
            else "could not be reached"
            if isinstance(error, APIConnectionError)
            else "answered nonsense"
        )
        raise KnowledgeError(
            f"the endpoint at {client.base_url.host} {what} ({one_line(error)}): what it wrote so far is kept in {journal}, "
            "and the same command goes on from there"
        ) from error
