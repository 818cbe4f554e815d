"""The clients that people use: openai (sync, async, streaming) and LangChain, against a real server on loopback."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from serving_client import QUESTION, make_library, serving

from kblam.knowledge.encoders import load_encoder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(make_library(tmp_path_factory.mktemp("clients"))) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, question: str = QUESTION, **options: Any) -> Any:
    given = {"model": "kblam", "messages": [{"role": "user", "content": question}]}
    return client.chat.completions.create(**given | options)


def test_models_are_the_knowledge_bases_and_the_encoder(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["kblam", "kblam/facts", "kblam/other", "all-MiniLM-L6-v2"]
    assert client.models.retrieve("kblam/other").id == "kblam/other"
    with pytest.raises(openai.NotFoundError, match="GET /v1/models"):
        client.models.retrieve("gpt-4")


def test_an_answer_with_what_it_rests_on(client: openai.OpenAI) -> None:
    completion = ask(client)
    [choice] = completion.choices
    assert "Ulaanbaatar" in choice.message.content and choice.finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 10
    rest = completion.kblam
    assert rest["refused"] is False and rest["knowledge"] == {"name": "facts", "rows": 3, "version": 1}
    assert rest["citations"][0]["value"] == "Ulaanbaatar" and rest["citations"][0]["weight"] > 0.5


def test_a_refusal_says_so(client: openai.OpenAI) -> None:
    completion = ask(client, "What is the national anthem of Zembla?")
    assert completion.kblam["refused"] is True and completion.choices[0].message.content == "Not in the knowledge base."


def test_the_last_question_of_a_conversation_counts(client: openai.OpenAI) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the capital of Iceland?"},
        {"role": "assistant", "content": "Reykjavík"},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
    ]
    assert "Ulaanbaatar" in ask(client, messages=messages).choices[0].message.content


def test_a_question_goes_back_to_the_thing_of_the_one_before(client: openai.OpenAI) -> None:
    messages = [
        {"role": "user", "content": "What is the national anthem of Mongolia?"},
        {"role": "assistant", "content": "Not in the knowledge base."},
        {"role": "user", "content": "and its capital?"},
    ]
    assert "Ulaanbaatar" in ask(client, messages=messages).choices[0].message.content


def test_another_knowledge_base_by_the_name_of_the_model(client: openai.OpenAI) -> None:
    assert "Karakorum" in ask(client, model="kblam/other").choices[0].message.content


def test_a_stream_says_the_same_and_ends_with_what_it_rests_on(client: openai.OpenAI) -> None:
    whole = ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content and len(chunks) > 4
    last, usage = chunks[-2:]
    assert last.choices[0].finish_reason == "stop" and last.kblam == whole.kblam
    assert usage.usage == whole.usage and usage.choices == []
    assert len({chunk.id for chunk in chunks}) == 1


def test_choices_lengths_stops_and_seeds(client: openai.OpenAI) -> None:
    three = ask(client, n=3)
    assert len({choice.message.content for choice in three.choices}) == 1 and three.choices[2].index == 2
    short = ask(client, max_tokens=2)
    assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens <= 2
    assert three.choices[0].message.content.startswith(short.choices[0].message.content)
    stopped = ask(client, stop=[" is", "nowhere"])
    assert stopped.choices[0].message.content == "The capital of Mongolia"
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, stop=" is", stream=True))
    assert streamed == "The capital of Mongolia"
    drawn = [ask(client, temperature=1.5, seed=seed, n=2).choices for seed in (1, 1)]
    assert [c.message.content for c in drawn[0]] == [c.message.content for c in drawn[1]]
    assert all("Ulaanbaatar" in choice.message.content for choice in drawn[0])


def test_drawing_differs_with_the_seed_and_streams(client: openai.OpenAI) -> None:
    bare = {"extra_body": {"kblam": {"grounding": "none"}}, "temperature": 2.0}
    said = [ask(client, seed=seed, **bare).choices[0].message.content for seed in (1, 1, 2, 3)]
    assert said[0] == said[1] and len(set(said)) > 1
    pieces = [chunk.choices[0].delta.content or "" for chunk in ask(client, seed=1, stream=True, **bare)]
    assert "".join(pieces).strip() == said[0]


def test_extra_body_picks_grounding_and_version(client: openai.OpenAI) -> None:
    def with_options(**options: Any) -> Any:
        return ask(client, extra_body={"kblam": options})

    assert with_options(grounding="tokens").kblam["grounding"] == "tokens"
    assert with_options(version=0).kblam["refused"] is True
    seen = with_options(attention=True).kblam["attention"]
    assert "".join(seen["tokens"]) == with_options().choices[0].message.content
    assert all(0 <= share <= 1 for row in seen["weights"] for share in row) and seen["weights"][0][0] > 0.5
    with pytest.raises(openai.BadRequestError, match="there is no version 99"):
        with_options(version=99)
    with pytest.raises(openai.BadRequestError, match=r"kblam\.grounding"):
        with_options(grounding="guess")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "gpt-4"}, "no model 'gpt-4'"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "hello"}]}, "no question"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "only text"),
        ({"messages": [{"role": "user", "content": "x" * 20_001}]}, "20,001 characters"),
        ({"n": 0}, "n:"),
        ({"temperature": 3}, "temperature"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_cannot_be_done_is_said(client: openai.OpenAI, options: dict[str, Any], message: str) -> None:
    with pytest.raises(openai.APIStatusError, match=message) as caught:
        ask(client, **options)
    assert caught.value.status_code == (404 if "model" in options else 400)
    assert caught.value.type in ("invalid_request_error", "not_found_error")


def test_embeddings_are_those_of_the_facts(client: openai.OpenAI) -> None:
    texts = ["the capital of Mongolia", "人工智能"]
    expected = load_encoder("all-MiniLM-L6-v2").encode(texts)
    for encoding in ("float", "base64"):
        found = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts, encoding_format=encoding)  # type: ignore[call-overload]
        assert encoding == "base64" or math.isclose(found.data[1].embedding[3], float(expected[1, 3]), abs_tol=1e-4)
    unpacked = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    assert math.isclose(unpacked.data[0].embedding[7], float(expected[0, 7]), abs_tol=1e-4)
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="other", input="x")


def test_many_at_once_from_the_async_client(url: str) -> None:
    async def together() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:

            async def one(country: str) -> str:
                asked = [{"role": "user", "content": f"What is the capital of {country}?"}]
                stream = await client.chat.completions.create(model="kblam", messages=asked, stream=True)  # type: ignore[call-overload]
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*(one(country) for country in ("Mongolia", "Iceland", "Atlantis") * 3))

    said = asyncio.run(together())
    for text, part in zip(said, ("Ulaanbaatar", "Reykjavík", "Not in") * 3, strict=True):
        assert part in text


def test_langchain(url: str) -> None:
    langchain = pytest.importorskip("langchain_openai", reason="pip install langchain-openai")
    model = langchain.ChatOpenAI(base_url=f"{url}/v1", api_key="unused", model="kblam", max_retries=0)
    answer = model.invoke(QUESTION)
    assert "Ulaanbaatar" in answer.content and answer.usage_metadata["total_tokens"] > 10
    assert "".join(chunk.content for chunk in model.stream(QUESTION)) == answer.content
    assert [reply.content for reply in model.batch([QUESTION, QUESTION])] == [answer.content] * 2
    asked = model.bind(extra_body={"kblam": {"version": 0}})
    assert asked.invoke(QUESTION).content == "Not in the knowledge base."
