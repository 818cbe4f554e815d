"""What OpenAI's protocol says, as far as it is spoken here, and what is added to it under the name `kblam`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from kblam.serving.problems import RequestError

__all__ = [
    "AttentionMap",
    "ChatCompletion",
    "ChatRequest",
    "Embedding",
    "EmbeddingRequest",
    "EmbeddingUsage",
    "Embeddings",
    "Extension",
    "KnowledgeState",
    "ModelCard",
    "ModelList",
    "chunk",
    "question_of",
]


class Options(BaseModel):
    """What `extra_body={"kblam": {...}}` picks."""

    model_config = ConfigDict(extra="forbid")

    grounding: Literal["quote", "tokens", "none"] = "quote"
    """`quote`: the model reads the facts that it attended to; `tokens`: only their vectors; `none`: no knowledge."""
    version: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Answer as of this version of the knowledge."""
    attention: StrictBool = False
    """Say how much each token of the answer attends to which facts."""


class Part(BaseModel):
    """One part of a message."""

    type: str
    text: str | None = None


class Message(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class StreamOptions(BaseModel):
    """What a stream ends with."""

    include_usage: StrictBool | None = None


class ResponseFormat(BaseModel):
    """What form the answer has: text."""

    type: Literal["text"]


class ChatRequest(BaseModel):
    """A request for an answer; fields of OpenAI's protocol that are not named here have no effect."""

    model: Annotated[str, Field(max_length=200)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=16, strict=True)] | None = 1
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31, strict=True)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31, strict=True)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Without it the likeliest words are taken."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1, strict=True)] | None = None
    response_format: ResponseFormat | None = None
    logprobs: Literal[False] | None = None
    kblam: Options | None = None

    @property
    def stops(self) -> list[str]:
        """The texts at which an answer ends."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def most_tokens(self) -> int | None:
        """The tokens of an answer at most."""
        return self.max_completion_tokens or self.max_tokens


def question_of(messages: list[Message]) -> tuple[str, list[str], str]:
    """Return the last thing that the user said, which is the question, what the user said before, and everything that was said."""
    texts = [(message.role, _text(message)) for message in messages]
    *earlier, question = [text for role, text in texts if role == "user"] or [""]
    if not question.strip():
        raise RequestError(
            400, "the messages hold no question: the last message of the role user is it", param="messages"
        )
    return question, earlier, "\n".join(text for _, text in texts)


def _text(message: Message) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    if any(part.type != "text" for part in message.content):
        raise RequestError(
            400, "a message holds something else than text, and only text is read here", param="messages"
        )
    return "\n".join(part.text or "" for part in message.content)


class CitedFact(BaseModel):
    """A fact and its share of the attention."""

    entity: str
    property: str
    value: str
    weight: float


class KnowledgeState(BaseModel):
    """Which knowledge an answer was given from."""

    name: str
    rows: int
    version: int


class AttentionMap(BaseModel):
    """How much each token of an answer attends to which facts: a row for each token, a number for each fact."""

    tokens: list[str]
    facts: list[int]
    """Which of the citations each column is."""
    weights: list[list[float]]
    """Shares of the attention to knowledge; what is missing to one is that to other facts and to none."""


class Extension(BaseModel):
    """What the answer rests on."""

    refused: bool
    corrected: bool
    """True when the model misquoted and the stored value was put in place of its words."""
    confidence: float
    """Probability that the knowledge answers the question."""
    grounding: str
    citations: list[CitedFact]
    knowledge: KnowledgeState | None = None
    attention: AttentionMap | None = None


class Usage(BaseModel):
    """Tokens that were counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(BaseModel):
    """The message that answers."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """One of the answers."""

    index: int
    message: AnswerMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class ChatCompletion(BaseModel):
    """An answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    kblam: Extension


class ModelCard(BaseModel):
    """A name that requests may give as `model`."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "kblam"


class ModelList(BaseModel):
    """All names that requests may give as `model`."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class EmbeddingRequest(BaseModel):
    """Texts to be turned into vectors."""

    model: Annotated[str, Field(max_length=200)]
    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    """Texts; lists of token numbers are not read."""
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Words that were counted."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """Vectors in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


def chunk(about: dict[str, Any], choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """One event of a stream."""
    return {**about, "object": "chat.completion.chunk", "choices": choices, **more}
