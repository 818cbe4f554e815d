"""The queue of questions and the one thread that answers them: those that wait together are answered as one batch.

Everything that computes with torch runs in this thread; the event loop only hands over and takes back.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kblam.answering.answer import Answer
from kblam.answering.decoding import Generation
from kblam.answering.model import KBLaM
from kblam.answering.speech import Speech
from kblam.serving.metrics import Metrics
from kblam.serving.problems import RequestError

__all__ = ["WITHOUT_KNOWLEDGE", "Desk", "Question", "Reply", "Said", "Wishes"]

WITHOUT_KNOWLEDGE = "none"
"""The grounding that asks the base model alone."""


@dataclass(frozen=True)
class Said:
    """One choice of a reply."""

    text: str
    finish: str
    """`stop`, or `length` when it was cut."""
    answer: Answer | None
    """None without knowledge."""


@dataclass(frozen=True)
class Reply:
    """What comes back for a question."""

    said: tuple[Said, ...]
    prompt_tokens: int
    completion_tokens: int


class Job:
    """Something that waits for the worker thread and for which a coroutine waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Any] = self._loop.create_future()
        self.done.add_done_callback(_look_at)
        self.gone = threading.Event()
        """Set when nobody waits any longer."""
        self.rows = 1

    def tell(self, call: Callable[..., object], *arguments: object) -> None:
        """Run something in the event loop, from the worker thread."""
        with suppress(RuntimeError):  # the loop is closed: the server did not wait for this any longer
            self._loop.call_soon_threadsafe(call, *arguments)

    def finish(self, result: object) -> None:
        """Hand over the result, or the error."""

        def settle() -> None:
            if not self.done.done():
                if isinstance(result, BaseException):
                    self.done.set_exception(result)
                else:
                    self.done.set_result(result)

        self.tell(settle)


def _look_at(done: asyncio.Future[Any]) -> None:
    """Keep asyncio from complaining of an error for which nobody waits any longer."""
    if not done.cancelled():
        done.exception()


class Call(Job):
    """A function to be run in the worker thread."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__()
        self.function = function


@dataclass(frozen=True)
class Wishes:
    """How a question is to be answered; questions with equal wishes can share a batch."""

    base: str
    """The name of the knowledge base."""
    grounding: str = "quote"
    version: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


class Question(Job):
    """A question on its way."""

    def __init__(
        self,
        text: str,
        wishes: Wishes,
        copies: int = 1,
        stop: Sequence[str] = (),
        most_tokens: int | None = None,
        prompt: str = "",
        streamed: bool = False,
        earlier: Sequence[str] = (),
    ) -> None:
        """earlier: what was asked before in the conversation."""
        super().__init__()
        self.earlier = tuple(earlier)
        self.text, self.wishes, self.copies, self.prompt = text, wishes, copies, prompt or text
        self.stop, self.most_tokens = tuple(text for text in stop if text), most_tokens
        self.pieces: asyncio.Queue[tuple[int, str]] | None = asyncio.Queue() if streamed else None
        """(choice, piece of its text) as they come."""
        self.draws = wishes.temperature > 0
        # Without drawing, all choices are one.
        self.rows = copies if self.draws else 1

    def cut(self, text: str, speech: Speech) -> tuple[str, bool]:
        """The text up to the first stop sequence, and no more tokens than wanted; whether tokens were cut off."""
        for stop in self.stop:
            text = text.split(stop, 1)[0]
        short = text if self.most_tokens is None else speech.cut(text, self.most_tokens)
        return short, short != text


@dataclass(eq=False)
class Outlet:
    """Passes on one choice's text as it is made, as far as it can no longer be cut off."""

    question: Question
    choice: int
    speech: Speech
    heard: str = ""
    sent: str = ""

    def hear(self, piece: str) -> None:
        """Take the next piece."""
        self.heard += piece
        held = max((len(stop) for stop in self.question.stop), default=1) - 1
        text, cut = self.question.cut(self.heard, self.speech)
        self._send(text if cut or len(text) < len(self.heard) else text[: len(text) - held])

    def close(self, text: str) -> None:
        """Pass on what is left of the final text."""
        self._send(text)

    def _send(self, text: str) -> None:
        pieces = self.question.pieces
        if pieces is None or len(text) <= len(self.sent) or not text.startswith(self.sent):
            return
        piece, self.sent = text[len(self.sent) :], text
        choices = (self.choice,) if self.question.draws else range(self.question.copies)
        for choice in choices:
            self.question.tell(pieces.put_nowait, (choice, piece))


@dataclass(eq=False)
class Desk:
    """Takes questions, answers them in batches, and turns them away when too many wait."""

    models: Mapping[str, KBLaM]
    """By the name of their knowledge base; they share their weights."""
    metrics: Metrics
    most_waiting: int
    most_together: int
    _waiting: deque[Job] = field(default_factory=deque)
    _condition: threading.Condition = field(default_factory=threading.Condition)
    _closing: bool = False
    _pace: float = 0.5
    """Seconds that a batch took lately."""

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._work, name="kblam model", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether questions are taken."""
        return self._thread.is_alive() and not self._closing

    def close(self, patience: float) -> None:
        """Take no more questions, and wait this many seconds for those that were taken."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(patience)

    async def pieces(self, question: Question, timeout: float) -> AsyncIterator[tuple[int, str]]:
        """The text of a streamed question that was put here, as it comes: (choice, piece); its reply is there after."""
        deadline = time.monotonic() + timeout
        assert question.pieces is not None
        while not (question.done.done() and question.pieces.empty()):
            piece = asyncio.ensure_future(question.pieces.get())
            try:
                remaining = max(0.0, deadline - time.monotonic())
                await asyncio.wait((piece, question.done), timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
                if piece.done():
                    yield piece.result()
                elif not question.done.done():
                    raise _late(timeout)
            finally:
                piece.cancel()

    async def ask(self, question: Question, timeout: float) -> Reply:
        """Return the reply; when the caller is cancelled, the question gives up its place."""
        self.put(question)
        reply: Reply = await self._wait(question, timeout)
        return reply

    async def run(self, function: Callable[[], Any], timeout: float) -> Any:
        """Run a function in the thread of the model."""
        call = Call(function)
        self.put(call)
        return await self._wait(call, timeout)

    def put(self, job: Job) -> None:
        """Put a job into the queue; raise RequestError when there is no place."""
        with self._condition:
            if self._closing:
                raise RequestError(503, "the server is stopping: try again in a moment", "stopping", headers=_later(5))
            self._drop_abandoned()
            if sum(waiting.rows for waiting in self._waiting) + job.rows > self.most_waiting:
                seconds = math.ceil(self._pace * len(self._waiting) / self.most_together)
                raise RequestError(
                    429, "too many questions are waiting: try again later", "queue_full", headers=_later(seconds)
                )
            self._waiting.append(job)
            self.metrics.waiting.set(len(self._waiting))
            self._condition.notify()

    async def _wait(self, job: Job, timeout: float) -> Any:
        try:
            return await asyncio.wait_for(job.done, timeout)
        except asyncio.TimeoutError:
            raise _late(timeout) from None
        finally:
            job.gone.set()

    def _drop_abandoned(self) -> None:
        for job in [job for job in self._waiting if job.gone.is_set()]:
            self._waiting.remove(job)

    # -- in the worker thread ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while batch := self._next():
            began = time.monotonic()
            try:
                self._do(batch)
            except Exception as error:
                for job in batch:
                    job.finish(error)
            self._pace += 0.2 * (time.monotonic() - began - self._pace)

    def _next(self) -> list[Job]:
        """Wait for jobs and return those to be done together; none when the desk is closed."""
        with self._condition:
            while True:
                self._drop_abandoned()
                if self._waiting:
                    break
                if self._closing:
                    return []
                self._condition.wait()
            first = self._waiting.popleft()
            batch: list[Job] = [first]
            if isinstance(first, Question) and not first.draws:
                alike = [job for job in self._waiting if isinstance(job, Question) and job.wishes == first.wishes]
                batch += alike[: self.most_together - 1]
                for job in batch[1:]:
                    self._waiting.remove(job)
            self.metrics.waiting.set(len(self._waiting))
            return batch

    def _do(self, batch: list[Job]) -> None:
        first = batch[0]
        if isinstance(first, Call):
            first.finish(first.function())
            return
        questions = [job for job in batch if isinstance(job, Question)]
        self.metrics.batch.observe(len(questions))
        try:
            self._answer(questions)
        except Exception as error:
            if len(questions) == 1:
                first.finish(error)
                return
            # One question of a batch can be too long for the model; the others are answered all the same.
            for question in questions:
                self._do([question])

    def _answer(self, questions: list[Question]) -> None:
        wishes = questions[0].wishes
        model = self.models[wishes.base]
        rows = [question for question in questions for _ in range(question.rows)]
        choices = [choice for question in questions for choice in range(question.rows)]
        outlets = [Outlet(row, choice, model.speech) for row, choice in zip(rows, choices, strict=True)]
        generation = Generation(
            wishes.temperature,
            wishes.top_p,
            wishes.seed,
            [outlet.hear if outlet.question.pieces is not None else None for outlet in outlets],
            lambda number: rows[number].gone.is_set(),
        )
        texts = [question.text for question in questions]
        if wishes.grounding != WITHOUT_KNOWLEDGE:
            texts = [
                model.in_conversation(asked.text, asked.earlier, wishes.version) if asked.earlier else asked.text
                for asked in questions
            ]
        texts = [text for text, question in zip(texts, questions, strict=True) for _ in range(question.rows)]
        answers: list[Answer | None] = [None] * len(rows)
        if wishes.grounding == WITHOUT_KNOWLEDGE:
            said = model.say(texts, generation)
        else:
            found = model.ask(texts, wishes.grounding, None, wishes.version, generation)  # type: ignore[call-overload]
            answers, said = list(found), [answer.text for answer in found]
        start = 0
        for question in questions:
            mine = slice(start, start + question.rows)
            start += question.rows
            self._reply(question, said[mine], answers[mine], outlets[mine], model.speech)

    def _reply(
        self,
        question: Question,
        texts: list[str],
        answers: list[Answer | None],
        outlets: list[Outlet],
        speech: Speech,
    ) -> None:
        said = []
        for text, answer, outlet in zip(texts, answers, outlets, strict=True):
            shown, cut = question.cut(text, speech)
            outlet.close(shown)
            said.append(Said(shown, "length" if cut else "stop", answer))
        said *= question.copies // len(said)
        tokens = sum(speech.count(choice.text) for choice in said)
        question.finish(Reply(tuple(said), speech.count(question.prompt), tokens))


def _late(timeout: float) -> RequestError:
    return RequestError(504, f"the answer took longer than {timeout:g} seconds: try again later", "timeout")


def _later(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
