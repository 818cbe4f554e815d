"""The answer to a question from what was said of each of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from kblam.answering.answer import Answer, cited
from kblam.answering.clauses import is_stated
from kblam.answering.forms import in_form
from kblam.answering.given import grounded
from kblam.answering.prompts import REFUSAL
from kblam.answering.quotes import quotes
from kblam.answering.speech import Choice
from kblam.knowledge import Snapshot

__all__ = ["Check", "composed"]

Check = Literal["value", "words"]
"""What a model's words must be to stay: hardly more than the value (`quotes`), or nothing that is not given (`grounded`)."""


def composed(
    question: str,
    spoken: Sequence[tuple[Choice, str | None]],
    snapshot: Snapshot,
    check: Check | None,
    grounding: str,
    model: str,
) -> Answer:
    """The answer to a question of one or more clauses.

    spoken: what was chosen for each clause, and what was said; None for one that is refused. check: put the stored value in
    place of words that are not so (see `AdapterConfig.check_quotes`); None keeps all words.
    """
    choices, trusted = [choice for choice, _ in spoken], [_trusted(*each, snapshot, check) for each in spoken]
    final = [
        REFUSAL if text is None else _in_place(choice, text, snapshot, trust) if check else text
        for (choice, text), trust in zip(spoken, trusted, strict=True)
    ]
    refused = all(text == REFUSAL for text in final)
    said = [
        f"{REFUSAL.rstrip('.')}: {choice.clause}" if text == REFUSAL else text
        for choice, text in zip(choices, final, strict=True)
        if text != REFUSAL or is_stated(choice.clause, question)
    ]
    answering = [choice for choice in choices if choice.rows] or choices
    weights = torch.stack([choice.weights for choice in answering]).mean(0)
    resting = list(dict.fromkeys(row for choice in answering for row in choice.answering))
    return Answer(
        question=question,
        text=REFUSAL if refused else "\n".join(dict.fromkeys(said)),
        refused=refused,
        corrected=not all(trusted),
        citations=cited(weights[:-1], resting, snapshot.triples),
        resting=0 if refused else len(resting),
        confidence=1 - float(weights[-1]),
        grounding=grounding,
        rows=len(snapshot.triples),
        version=snapshot.version,
        model=model,
    )


def _trusted(choice: Choice, text: str | None, snapshot: Snapshot, check: Check | None) -> bool:
    """Whether words, if any were said, may stay; things are listed as they are stored."""
    if text is None or choice.form == "thing" or check is None:
        return True
    facts = [snapshot.triples[row] for row in choice.answering]
    return quotes(text, facts[0]) if check == "value" else grounded(text, facts, choice.clause)


def _in_place(choice: Choice, text: str, snapshot: Snapshot, trusted: bool) -> str:
    """The words, or the value that they should have held, in the form that is asked for."""
    fact = snapshot.triples[choice.rows[0]]
    return in_form(text if trusted else fact.value, fact, choice.form)
