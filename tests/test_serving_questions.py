"""The queue: batches, a full queue, clients that leave, time that runs out, and the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from kblam import Answer, Citation, Triple
from kblam.answering.decoding import Generation
from kblam.errors import InputError
from kblam.serving.metrics import Metrics
from kblam.serving.problems import RequestError
from kblam.serving.questions import Desk, Question, Reply, Wishes

PATIENCE = 20.0


class FakeSpeech:
    def count(self, text: str) -> int:
        return len(text.split())

    def cut(self, text: str, tokens: int) -> str:
        return " ".join(text.split(" ")[:tokens])


class FakeModel:
    """Says the question back, word by word; waits for `go` first, and notes what was asked together."""

    def __init__(self) -> None:
        self.speech = FakeSpeech()
        self.go = threading.Event()
        self.begun = threading.Event()
        self.batches: list[list[str]] = []
        self.stopped: list[bool] = []

    def in_conversation(self, question: str, earlier: Sequence[str], version: int | None) -> str:
        return f"{question} after {earlier[-1]}"

    def ask(
        self, questions: Sequence[str], grounding: str, on_text: None, version: int | None, generation: Generation
    ) -> list[Answer]:
        self.batches.append(list(questions))
        self.begun.set()
        assert self.go.wait(PATIENCE)
        self.stopped.append(generation.abandoned(0))
        if "bad" in questions:
            raise InputError("one of the questions is bad")
        for number, question in enumerate(questions):
            listener = generation.listener(number)
            for word in question.split(" ") if listener else ():
                listener(word if word == question.split(" ")[0] else f" {word}")
        return [answered(question) for question in questions]


def answered(question: str) -> Answer:
    citation = Citation(Triple("a", "b", "c"), 1.0)
    return Answer(question, question, False, (citation,), False, 0.9, "quote", 1, 3, "fake")


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def desk(model: FakeModel) -> Iterator[Desk]:
    desk = Desk({"facts": model, "other": model}, Metrics(), most_waiting=6, most_together=4)  # type: ignore[dict-item]
    desk.start()
    yield desk
    model.go.set()
    desk.close(PATIENCE)


def run(scene: Callable[[], Any]) -> Any:
    return asyncio.run(scene())


def question(text: str, base: str = "facts", **options: Any) -> Question:
    wishes = {name: options.pop(name) for name in ("version", "temperature") if name in options}
    return Question(text, Wishes(base, **wishes), **options)


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE)


async def busy(desk: Desk, model: FakeModel) -> asyncio.Task[Reply]:
    """Let the worker be occupied with a first question."""
    first = asyncio.create_task(desk.ask(question("first"), PATIENCE))
    await until(model.begun)
    return first


def test_questions_that_wait_together_are_one_batch(desk: Desk, model: FakeModel) -> None:
    async def scene() -> list[Reply]:
        first = await busy(desk, model)
        texts = ["a", "b", "elsewhere", "past", "c", "d"]
        waiting = [
            question(text, "other" if text == "elsewhere" else "facts", **({"version": 1} if text == "past" else {}))
            for text in texts
        ]
        tasks = [asyncio.create_task(desk.ask(one, PATIENCE)) for one in waiting]
        await asyncio.sleep(0.05)
        model.go.set()
        return [await first, *[await task for task in tasks]]

    replies = run(scene)
    assert model.batches == [["first"], ["a", "b", "c", "d"], ["elsewhere"], ["past"]]
    assert [reply.said[0].text for reply in replies] == ["first", "a", "b", "elsewhere", "past", "c", "d"]


def test_what_goes_back_to_an_earlier_question_is_understood_in_the_thread_of_the_model(
    desk: Desk, model: FakeModel
) -> None:
    async def scene() -> Reply:
        model.go.set()
        return await desk.ask(question("and its size?", earlier=["What is it?"]), PATIENCE)

    assert run(scene).said[0].text == "and its size? after What is it?"


def test_a_full_queue_says_when_to_come_back(desk: Desk, model: FakeModel) -> None:
    async def scene() -> None:
        first = await busy(desk, model)
        tasks = [asyncio.create_task(desk.ask(question(str(number)), PATIENCE)) for number in range(6)]
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError) as caught:
            desk.put(question("one too many"))
        assert caught.value.status_code == 429 and int((caught.value.headers or {})["Retry-After"]) >= 1
        tasks[0].cancel()  # a client that leaves gives up its place
        await asyncio.sleep(0.05)
        last = asyncio.create_task(desk.ask(question("in its place"), PATIENCE))
        await asyncio.sleep(0.05)
        model.go.set()
        assert (await last).said[0].text == "in its place"
        await asyncio.gather(first, *tasks[1:])

    run(scene)
    assert "0" not in [text for batch in model.batches for text in batch]


def test_generation_is_stopped_for_a_client_that_leaves(desk: Desk, model: FakeModel) -> None:
    async def scene() -> None:
        first = await busy(desk, model)
        first.cancel()
        await asyncio.sleep(0.05)
        model.go.set()
        await desk.run(lambda: None, PATIENCE)

    run(scene)
    assert model.stopped == [True]


def test_time_that_runs_out(desk: Desk, model: FakeModel) -> None:
    async def scene() -> None:
        with pytest.raises(RequestError) as caught:
            await desk.ask(question("slow"), 0.05)
        assert caught.value.status_code == 504
        streamed = question("slow too", streamed=True)
        desk.put(streamed)
        with pytest.raises(RequestError, match="longer than"):
            [piece async for piece in desk.pieces(streamed, 0.05)]

    run(scene)


def test_a_bad_question_leaves_the_others_of_its_batch_alone(desk: Desk, model: FakeModel) -> None:
    async def scene() -> list[Any]:
        first = await busy(desk, model)
        tasks = [asyncio.create_task(desk.ask(question(text), PATIENCE)) for text in ("good", "bad", "fine")]
        await asyncio.sleep(0.05)
        model.go.set()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)

    good, bad, fine = run(scene)
    assert good.said[0].text == "good" and fine.said[0].text == "fine" and isinstance(bad, InputError)


def test_pieces_come_as_they_are_made_and_never_run_past_the_end(desk: Desk, model: FakeModel) -> None:
    async def scene(**options: Any) -> tuple[list[str], str, str]:
        model.go.set()
        asked = question("one two three STOP four", streamed=True, **options)
        desk.put(asked)
        pieces = [piece async for _, piece in desk.pieces(asked, PATIENCE)]
        [said] = asked.done.result().said
        return pieces, said.text, said.finish

    whole, text, finish = run(scene)
    assert whole == ["one", " two", " three", " STOP", " four"] and "".join(whole) == text and finish == "stop"
    pieces, text, finish = run(lambda: scene(stop=[" STOP"]))
    assert "".join(pieces) == text == "one two three" and len(pieces) > 1 and finish == "stop"
    pieces, text, finish = run(lambda: scene(most_tokens=2))
    assert "".join(pieces) == text == "one two" and finish == "length"


def test_choices_are_one_unless_they_are_drawn(desk: Desk, model: FakeModel) -> None:
    async def scene(**options: Any) -> Reply:
        return await desk.ask(question("x y", copies=3, **options), PATIENCE)

    model.go.set()
    same, drawn = run(scene), run(lambda: scene(temperature=1.0))
    assert model.batches == [["x y"], ["x y"] * 3]
    assert len(same.said) == len(drawn.said) == 3 and same.completion_tokens == 6 and same.prompt_tokens == 2


def test_at_the_end_what_was_taken_is_answered_and_nothing_more_is_taken(desk: Desk, model: FakeModel) -> None:
    async def scene() -> None:
        first = await busy(desk, model)
        second = asyncio.create_task(desk.ask(question("second"), PATIENCE))
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(asyncio.to_thread(desk.close, PATIENCE))
        await asyncio.sleep(0.05)
        assert not desk.ready
        with pytest.raises(RequestError) as caught:
            desk.put(question("too late"))
        assert caught.value.status_code == 503
        model.go.set()
        assert [(await task).said[0].text for task in (first, second)] == ["first", "second"]
        await closing

    run(scene)
