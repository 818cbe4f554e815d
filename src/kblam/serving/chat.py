"""OpenAI's protocol: /v1/models, /v1/chat/completions, /v1/embeddings."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import anyio
import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sse_starlette.sse import EventSourceResponse

from kblam.answering.attention_map import attention_of
from kblam.knowledge.encoders import encode_checked
from kblam.serving.problems import RequestError, answers, problem_of
from kblam.serving.protocol import (
    AttentionMap,
    ChatCompletion,
    ChatRequest,
    Embedding,
    EmbeddingRequest,
    Embeddings,
    EmbeddingUsage,
    Extension,
    KnowledgeState,
    ModelCard,
    ModelList,
    chunk,
    question_of,
)
from kblam.serving.questions import WITHOUT_KNOWLEDGE, Question, Reply, Wishes
from kblam.serving.state import State, state_of

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["OpenAI's protocol"])
MODEL = "kblam"
"""The name of the model with its first knowledge base; that with another is kblam/NAME."""
PIECE = re.compile(r"\s*[^\s]{1,12}\s*")
Result = TypeVar("Result")


def base_of(model: str, state: State) -> str:
    """Return the knowledge base that a model's name means."""
    if model == MODEL:
        return state.library.first
    name = model.removeprefix(f"{MODEL}/")
    if name == model or name not in state.library.models:
        raise RequestError(
            404, f"there is no model {model!r} here: GET /v1/models names them", "model_not_found", "model"
        )
    return name


def _cards(state: State) -> list[ModelCard]:
    names = [MODEL, *(f"{MODEL}/{name}" for name in state.library.models)]
    encoders = {store.encoder_name: None for store in state.library.stores.values() if store.encoder_name}
    return [ModelCard(id=name, created=state.began) for name in (*names, *encoders)]


@router.get("/models", responses=answers())
async def models(request: Request) -> ModelList:
    """The names that requests may give as `model`."""
    return ModelList(data=_cards(state_of(request)))


@router.get("/models/{model:path}", responses=answers(404))
async def model(model: str, request: Request) -> ModelCard:
    """One of the names."""
    for card in _cards(state_of(request)):
        if card.id == model:
            return card
    raise RequestError(404, f"there is no model {model!r} here: GET /v1/models names them", "model_not_found", "model")


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "The answer, or its events",
        },
        **answers(403, 404, 413, 503, 504),
    },
)
async def chat(asked: ChatRequest, request: Request) -> Any:
    """Answer the last question of a conversation; with `stream` as it is made."""
    state = state_of(request)
    base = base_of(asked.model, state)
    text, earlier, prompt = question_of(asked.messages)
    if len(text) > state.settings.most_question:
        raise RequestError(
            400,
            f"the question has {len(text):,} characters, {state.settings.most_question:,} are allowed: ask a shorter one",
            "question_too_long",
            "messages",
        )
    options = asked.kblam
    wishes = Wishes(
        base,
        options.grounding if options else "quote",
        options.version if options else None,
        asked.temperature or 0.0,
        1.0 if asked.top_p is None else asked.top_p,
        asked.seed if asked.temperature else None,
    )
    question = Question(text, wishes, asked.n or 1, asked.stops, asked.most_tokens, prompt, bool(asked.stream), earlier)
    about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": asked.model}
    if asked.stream:
        state.desk.put(question)  # so that a full queue is told by the status
        return EventSourceResponse(
            _events(asked, question, about, state),
            ping=15,
            sep="\n",
            shutdown_event=anyio.Event(),
            shutdown_grace_period=state.settings.grace,
        )
    reply = await while_heard(request, state.desk.ask(question, state.settings.timeout))
    extension = await _extension(asked, question, reply, state)
    choices = [
        {"index": index, "message": {"role": "assistant", "content": said.text}, "finish_reason": said.finish}
        for index, said in enumerate(reply.said)
    ]
    return JSONResponse(
        {**about, "object": "chat.completion", "choices": _full(choices), "usage": _usage(reply), **extension}
    )


def _full(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**choice, "logprobs": None} for choice in choices]


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


async def _events(
    asked: ChatRequest, question: Question, about: dict[str, Any], state: State
) -> AsyncIterator[dict[str, str]]:
    """The events of a stream: the text in pieces, then what it rests on, then the usage if it was asked for."""
    try:
        for index in range(question.copies):
            delta = {"role": "assistant", "content": ""}
            yield _event(chunk(about, [{"index": index, "delta": delta, "finish_reason": None}]))
        async for index, text in state.desk.pieces(question, state.settings.timeout):
            for piece in PIECE.findall(text) or [text]:
                yield _event(chunk(about, [{"index": index, "delta": {"content": piece}, "finish_reason": None}]))
        reply: Reply = question.done.result()
        extension = await _extension(asked, question, reply, state)
        for index, said in enumerate(reply.said):
            last = index == len(reply.said) - 1
            end = [{"index": index, "delta": {}, "finish_reason": said.finish}]
            yield _event(chunk(about, end, **(extension if last else {})))
        if asked.stream_options and asked.stream_options.include_usage:
            yield _event(chunk(about, [], usage=_usage(reply)))
    except Exception as error:
        # The status is out already, so an error is the last thing in the stream.
        yield _event(problem_of(error).body())
    finally:
        question.gone.set()
    yield {"data": "[DONE]"}


def _event(body: dict[str, Any]) -> dict[str, str]:
    return {"data": json.dumps(body, ensure_ascii=False, separators=(",", ":"))}


async def while_heard(request: Request, answer: Coroutine[Any, Any, Result]) -> Result:
    """Return what a coroutine gives, or cancel it when the client leaves."""

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    answering, leaving = asyncio.create_task(answer), asyncio.create_task(left())
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise RequestError(499, "the client left")
    finally:
        answering.cancel()
        leaving.cancel()


async def _extension(asked: ChatRequest, question: Question, reply: Reply, state: State) -> dict[str, Any]:
    """The field `kblam` of an answer."""
    name, answer = question.wishes.base, reply.said[0].answer
    outcome = "no knowledge" if answer is None else "refused" if answer.refused else "answered"
    state.metrics.questions.labels(name, outcome).inc()
    if state.settings.log_questions:
        state.log("question", knowledge=name, question=question.text, answer=reply.said[0].text, outcome=outcome)
    if answer is None:
        bare = Extension(refused=False, corrected=False, confidence=0, grounding=WITHOUT_KNOWLEDGE, citations=[])
        return {"kblam": bare.model_dump()}
    told = answer.to_json()
    extension = Extension(
        **{field: told[field] for field in ("refused", "corrected", "confidence", "grounding", "citations")},
        knowledge=KnowledgeState(name=name, rows=answer.rows, version=answer.version),
    )
    if asked.kblam and asked.kblam.attention:
        seen = await state.desk.run(lambda: attention_of(state.library.models[name], answer), state.settings.timeout)
        extension.attention = seen and AttentionMap(**vars(seen))
    return {"kblam": extension.model_dump()}


@router.post("/embeddings", responses=answers(403, 404, 413, 503, 504))
async def embeddings(asked: EmbeddingRequest, request: Request) -> Embeddings:
    """Turn texts into the vectors that the facts have."""
    state = state_of(request)
    encoder = next((s.encoder for s in state.library.stores.values() if s.encoder_name == asked.model), None)
    if encoder is None:
        raise RequestError(
            404, f"there is no encoder {asked.model!r} here: GET /v1/models names it", "model_not_found", "model"
        )
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    if any(not text or len(text) > state.settings.most_question for text in texts):
        raise RequestError(400, f"each text has 1 to {state.settings.most_question:,} characters", param="input")
    if asked.dimensions not in (None, encoder.width):
        raise RequestError(
            400, f"{encoder.name} gives {encoder.width} numbers, not {asked.dimensions}", param="dimensions"
        )
    vectors = await while_heard(request, state.desk.run(lambda: encode_checked(encoder, texts), state.settings.timeout))
    written = [_written(vector, asked.encoding_format == "base64") for vector in vectors]
    # Its tokens are words here: an encoder need not have a tokenizer.
    tokens = sum(len(text.split()) for text in texts)
    data = [Embedding(index=index, embedding=vector) for index, vector in enumerate(written)]
    return Embeddings(data=data, model=asked.model, usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens))


def _written(vector: np.ndarray[Any, Any], packed: bool) -> str | list[float]:
    if packed:
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(number) for number in vector]
