"""The ways to have a question answered: by vectors, by quoting, in context, with nothing, and by retrieval."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kblam.answering.model import KBLaM
from kblam.answering.prompts import REFUSAL, chat_prompt, quoting_prompt
from kblam.knowledge import KnowledgeBase

__all__ = ["IN_CONTEXT", "WAYS", "Said", "TooLongError", "Way", "prepare"]

NEW_TOKENS = 128
IN_CONTEXT = "in context"
LONG = 2000
"""Tokens of a batch of prompts from which on they are read one by one."""
_REFUSES = re.compile(
    rf"{re.escape(REFUSAL.rstrip('.'))}|\b(?:i (?:do not|don't) know|i am sorry|i'm sorry|cannot (?:find|answer)|no information)\b",
    re.I,
)


@dataclass(frozen=True)
class Said:
    """What came of one question."""

    text: str
    refused: bool
    corrected: bool = False
    cited: tuple[tuple[str, str], ...] = ()
    """The facts cited, best first; none where the way cites none."""
    confidence: float | None = None


Way = Callable[[Sequence[str]], list[Said]]


class TooLongError(Exception):
    """A prompt beyond the model's window."""


WAYS = ("quote", "tokens", IN_CONTEXT, "no knowledge", "RAG, top 1", "RAG, top 5")
"""quote and tokens are ours; the others give the same decoder its facts, or none, as text."""


def prepare(name: str, model: KBLaM, base: KnowledgeBase) -> Way:
    """The way of this name over these facts; in context raises TooLongError where they do not fit the window."""
    if name in ("quote", "tokens"):
        return _ours(name, model, base)
    if name == "no knowledge":
        return lambda questions: _read(model, list(questions))
    if name == IN_CONTEXT:
        facts = base.triples
        return lambda questions: _read(model, [quoting_prompt(question, facts) for question in questions])
    count = int(name.rpartition(" ")[2])
    return lambda questions: _retrieved(model, base, questions, count)


def _ours(grounding: str, model: KBLaM, base: KnowledgeBase) -> Way:
    model.attach(base)

    def ask(questions: Sequence[str]) -> list[Said]:
        return [
            Said(answer.text, answer.refused, answer.corrected, tuple(item.triple.identity for item in answer.citations), answer.confidence)
            for answer in model.ask(list(questions), grounding=grounding)  # type: ignore[call-overload]
        ]  # fmt: skip

    return ask


def _retrieved(model: KBLaM, base: KnowledgeBase, questions: Sequence[str], count: int) -> list[Said]:
    scores = base.encoder.encode(list(questions)) @ base.keys.astype("float32").T
    best = (-scores).argsort(1, kind="stable")[:, :count]
    shown = [[base.triples[row] for row in rows] for rows in best]
    prompts = [quoting_prompt(question, facts) for question, facts in zip(questions, shown, strict=True)]
    return [
        Said(said.text, said.refused, cited=tuple(fact.identity for fact in facts))
        for said, facts in zip(_read(model, prompts), shown, strict=True)
    ]


@torch.no_grad()
def _read(model: KBLaM, prompts: list[str]) -> list[Said]:
    """What the bare model says to each prompt, greedily."""
    tokenizer: Any = model.tokenizer
    texts = [chat_prompt(tokenizer, prompt) for prompt in prompts]
    lengths = [len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]
    window = getattr(model.base.config, "max_position_embeddings", None)
    if window is not None and max(lengths) + NEW_TOKENS > window:
        raise TooLongError(f"{max(lengths):,} tokens, beyond the window of {window:,}")
    step = 1 if max(lengths) > LONG // 4 else len(texts)
    return [said for at in range(0, len(texts), step) for said in _generate(model, texts[at : at + step])]


def _generate(model: KBLaM, texts: list[str]) -> list[Said]:
    tokenizer: Any = model.tokenizer
    bare = tokenizer.chat_template is not None
    inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=not bare)
    given = {name: inputs[name].to(model.base.device) for name in ("input_ids", "attention_mask")}
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    made = model.base.generate(**given, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=pad)  # type: ignore[operator]
    said = tokenizer.batch_decode(made[:, given["input_ids"].shape[1] :], skip_special_tokens=True)
    return [Said(text.strip(), _REFUSES.search(text) is not None) for text in said]
