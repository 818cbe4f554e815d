"""The text a model reads: the question alone, or the facts its attention chose and then the question."""

from __future__ import annotations

from collections.abc import Sequence

from kblam.knowledge import Triple

__all__ = ["REFUSAL", "fact_line", "quoting_prompt"]

REFUSAL = "Not in the knowledge base."
"""What the shipped model says, and every answer's text, when nothing in the knowledge base answers the question."""

INSTRUCTION = "Answer from these facts and quote them exactly."


def fact_line(triple: Triple) -> str:
    """One fact as one line of context."""
    return f"- {triple.key_text}: {triple.value}"


def quoting_prompt(question: str, facts: Sequence[Triple]) -> str:
    """The facts, then the question."""
    lines = "\n".join(fact_line(fact) for fact in facts)
    return f"{INSTRUCTION}\n{lines}\nQuestion: {question}"
