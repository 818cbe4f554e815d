"""The text a model reads: the question alone, or the facts its attention chose and then the question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kblam.errors import InputError
from kblam.knowledge import Triple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["REFUSAL", "chat_prompt", "check_question", "fact_line", "quoting_prompt"]

REFUSAL = "Not in the knowledge base."
"""What the shipped model says, and every answer's text, when nothing in the knowledge base answers the question."""

MOST_CHARACTERS = 20_000
"""Longer questions are refused before anything is read."""
INSTRUCTION = "Answer from these facts and quote them exactly."


def fact_line(triple: Triple) -> str:
    """One fact as one line of context."""
    return f"- {triple.key_text}: {triple.value}"


def quoting_prompt(question: str, facts: Sequence[Triple]) -> str:
    """The facts, then the question."""
    lines = "\n".join(fact_line(fact) for fact in facts)
    return f"{INSTRUCTION}\n{lines}\nQuestion: {question}"


def check_question(question: object) -> None:
    """Raise InputError for a question that is empty or too long."""
    if not isinstance(question, str) or not question.strip():
        raise InputError('the question is empty: ask something, for example "What is the capital of Mongolia?"')
    if re.search("[\ud800-\udfff]", question):
        raise InputError("the question holds half a surrogate pair, which is no character: send it as UTF-8")
    if len(question) > MOST_CHARACTERS:
        raise InputError(
            f"the question has {len(question):,} characters, {MOST_CHARACTERS:,} are allowed: ask a shorter question"
        )


def chat_prompt(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The text as a user's turn, up to where the model answers; a plain form for models without a chat template."""
    if tokenizer.chat_template is None:
        return f"{text}\nAnswer:"
    turn = [{"role": "user", "content": text}]
    return str(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))
