"""Real answers of the model that ships, on synthetic facts that it never saw, by each way to give it the facts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kblam.answering.model import KBLaM
from kblam.answering.prompts import quoting_prompt
from kblam.knowledge import DEFAULT_ENCODER, KnowledgeBase, Triple
from kblam.measuring.clock import median, seconds
from kblam.synthesis.facts import make_facts, split_properties

__all__ = ["AnswerRow", "answers_table", "measure_answers"]


@dataclass(frozen=True)
class AnswerRow:
    """One way, on one number of facts."""

    method: str
    facts: int
    questions: int
    right: float | None
    """Share of the answers that hold the exact value; None when it was left out."""
    seconds: float | None
    """The median of a question."""
    left_out: str | None = None


@torch.no_grad()
def measure_answers(
    sizes: Sequence[int], questions: int, report: Callable[[str], None] = lambda what: None
) -> list[AnswerRow]:
    """Ask the same questions in every way, at each number of facts."""
    rows: list[AnswerRow] = []
    model = KBLaM.from_pretrained("default")
    known: KnowledgeBase | None = None
    for size in sizes:
        report(f"encoding {size:,} facts")
        facts = make_facts(size, 17, split_properties(held_out=True), other_scripts=0.0)
        known = KnowledgeBase.from_triples(facts, DEFAULT_ENCODER, known=known)
        asked = random.Random(5).sample(facts, min(questions, size))
        for name, answer in _ways(model, known).items():
            report(f"{name}, {size:,} facts")
            rows.append(_graded(name, size, asked, answer, str(model.base.device)))
    return rows


def _ways(model: KBLaM, base: KnowledgeBase) -> dict[str, Callable[[str], str]]:
    exact = KBLaM.from_pretrained("default").attach(base)
    coarse = KBLaM.from_pretrained("default").attach(base, scan="int8")
    keys = torch.from_numpy(base.keys.astype("float32"))

    def retrieved(question: str, count: int) -> str:
        best = (keys @ torch.from_numpy(base.encoder.encode([question])[0])).topk(min(count, len(base))).indices
        return _read(model, quoting_prompt(question, [base.triples[row] for row in best.tolist()]))

    return {
        "no knowledge": lambda question: _read(model, question),
        "ours": lambda question: exact.ask(question).text,
        "ours, int8": lambda question: coarse.ask(question).text,
        "in context": lambda question: _read(model, quoting_prompt(question, base.triples)),
        "RAG, top 1": lambda question: retrieved(question, 1),
        "RAG, top 5": lambda question: retrieved(question, 5),
    }


def _graded(name: str, size: int, asked: Sequence[Triple], answer: Callable[[str], str], device: str) -> AnswerRow:
    right, times = 0, []
    said: dict[str, str] = {}

    def ask(question: str) -> None:
        said["text"] = answer(question)

    for fact in asked:
        try:
            times.append(seconds(lambda question=f"What is {fact.key_text}?": ask(question), device))  # type: ignore[misc]
        except _TooLongError as error:
            return AnswerRow(name, size, len(asked), None, None, str(error))
        right += fact.value in said["text"]
    return AnswerRow(name, size, len(asked), right / len(asked), median(times))


class _TooLongError(Exception):
    """A prompt beyond the model's window."""


def _read(model: KBLaM, prompt: str) -> str:
    """What the bare model says to a prompt."""
    words: Any = model.tokenizer
    text = words.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False)
    inputs = words(text, return_tensors="pt", add_special_tokens=False, verbose=False).to(model.base.device)
    length, window = inputs["input_ids"].shape[1], model.base.config.max_position_embeddings
    if length + 64 > window:
        raise _TooLongError(f"{length:,} tokens, longer than the window of {window:,}")
    made = model.base.generate(  # type: ignore[operator]
        **inputs, max_new_tokens=64, do_sample=False, pad_token_id=words.pad_token_id
    )
    return str(words.decode(made[0, length:], skip_special_tokens=True))


def answers_table(rows: Sequence[AnswerRow]) -> str:
    """The rows as text, one line each."""
    lines = [f"{'':<14}{'facts':>9}{'exact value':>13}{'a question':>12}"]
    for row in rows:
        if row.right is None or row.seconds is None:
            lines.append(f"{row.method:<14}{row.facts:>9,}{'-':>13}{'-':>12}  ({row.left_out})")
        else:
            lines.append(f"{row.method:<14}{row.facts:>9,}{row.right:>13.3f}{row.seconds * 1e3:>9.0f} ms")
    return "\n".join(lines)
