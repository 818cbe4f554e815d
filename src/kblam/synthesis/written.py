"""Facts and questions written by a language model at an endpoint, many at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kblam.errors import InputError, KnowledgeError
from kblam.knowledge import Triple
from kblam.synthesis.asking import language_of
from kblam.synthesis.questions import Question, sentence
from kblam.synthesis.replies import Journal, Reply, ask_all, request_name

if TYPE_CHECKING:
    import openai

__all__ = ["Bill", "Written", "parse_reply", "write_facts"]

SUBJECTS = (
    "companies;software tools;people of a small town;rivers and mountains;museum pieces;ships;medicines;plants;animals;"
    "laboratory instruments;court cases;schools;festivals;restaurants;sports clubs;novels;films;songs;buildings;bridges;"
    "satellites;chemical compounds;board games;programming languages;railway lines;farms;hospitals;airports;treaties;"
    "research projects;machines;vehicles;recipes;newspapers;banks;museums;islands;computer networks;wines;theories"
).split(";")
LANGUAGES = ("English",) * 8 + ("Chinese", "Japanese")
PROMPT = """Invent {entities} {subject} that do not exist in reality, and {facts} facts about each, in {language}.
Vary the kinds of facts and of values (names, numbers with units, dates, codes, lists, short descriptions).
For each fact write one plain question that names the property, and two that avoid its words; every question holds the
entity's name. Answer with a JSON array and nothing else:
[{{"entity": "...", "aliases": ["..."], "facts": [{{"property": "...", "value": "...", "plain": "...",
"paraphrased": ["...", "..."]}}]}}]
This is request {number}; choose names unlike those of other requests."""
ENTITIES, FACTS = 5, 4
"""Asked for in one request."""
SPARE = 2
"""Requests are sent for so many times the facts wanted before giving up on malformed replies."""


@dataclass(frozen=True)
class Bill:
    """What the replies cost."""

    requests: int
    """Replies paid for in this run."""
    kept: int
    """Replies of earlier runs, not asked for again."""
    malformed: int
    """Replies of either kind that were skipped."""
    failed: int
    """Requests without a reply; another run sends them again."""
    input_tokens: int
    output_tokens: int
    """Of all replies, earlier ones included."""
    price: float | None
    """Of these tokens, in the currency of the prices given; None without prices."""

    def __str__(self) -> str:
        cost = "" if self.price is None else f", cost {self.price:.4f}"
        return (
            f"{self.requests:,} requests paid for, {self.kept:,} replies kept from earlier runs, {self.malformed:,} malformed and "
            f"skipped, {self.failed:,} failed; {self.input_tokens:,} tokens in, {self.output_tokens:,} out{cost}"
        )


@dataclass(frozen=True)
class Written:
    """What a language model wrote."""

    facts: list[Triple]
    questions: dict[tuple[str, str], tuple[Question, ...]]
    """Those about one fact, by its identity."""
    bill: Bill


def write_facts(
    client: openai.OpenAI,
    model: str,
    journal: Path,
    facts: int,
    seed: int = 0,
    workers: int = 8,
    prices: tuple[float, float] | None = None,
    report: Callable[[int, int], None] = lambda written, failed: None,
) -> Written:
    """Ask `model` for facts, several requests at once, until there are `facts` or SPARE times the requests were sent.

    journal: where every reply is kept; those of the same model and seed found there are not asked for again.
    prices: of a million tokens read and written. report: called with the facts there are and the requests that failed.
    Raises KnowledgeError when the endpoint refuses, or fails several times in a row; what came before is kept.
    """
    kept = Journal(journal)
    known = set(kept.replies)
    gathered = _Gathered(facts)
    failed = 0
    try:
        for prompt, reply in ask_all(client, model, kept, _prompts(facts, seed), workers, lambda: gathered.full):
            failed += reply is None
            if reply is not None:
                gathered.add(prompt, reply)
            report(len(gathered.facts), failed)
    finally:
        kept.close()
    if not gathered.facts:
        raise KnowledgeError(
            f"{model} wrote no fact that can be used ({gathered.malformed} replies were malformed, see {journal})"
        )
    used = gathered.replies
    tokens = sum(reply.input_tokens for reply in used.values()), sum(reply.output_tokens for reply in used.values())
    price = None if prices is None else (tokens[0] * prices[0] + tokens[1] * prices[1]) / 1e6
    old = sum(request_name(model, prompt) in known for prompt in used)
    bill = Bill(len(used) - old, old, gathered.malformed, failed, *tokens, price)
    return Written(list(gathered.facts.values())[:facts], gathered.questions, bill)


class _Gathered:
    """The facts of the replies so far."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.facts: dict[tuple[str, str], Triple] = {}
        self.questions: dict[tuple[str, str], tuple[Question, ...]] = {}
        self.replies: dict[str, Reply] = {}
        self.malformed = 0

    @property
    def full(self) -> bool:
        return len(self.facts) >= self.wanted

    def add(self, prompt: str, reply: Reply) -> None:
        self.replies[prompt] = reply
        try:
            found = parse_reply(reply.text)
        except KnowledgeError:
            self.malformed += 1
            return
        for fact, questions in found:
            if fact.identity not in self.facts:
                self.facts[fact.identity] = fact
                self.questions[fact.identity] = questions


def _prompts(facts: int, seed: int) -> list[str]:
    count = -(-facts * SPARE // (ENTITIES * FACTS))
    return [
        PROMPT.format(
            entities=ENTITIES,
            facts=FACTS,
            subject=SUBJECTS[(seed + number) % len(SUBJECTS)],
            language=LANGUAGES[number % len(LANGUAGES)],
            number=f"{seed}-{number}",
        )
        for number in range(count)
    ]


def parse_reply(text: str) -> list[tuple[Triple, tuple[Question, ...]]]:
    """The facts in a reply, and the questions about each that hold its entity's name.

    Raises KnowledgeError when the reply is no JSON of the form asked for; single facts of another form are left out.
    """
    found = re.search(r"\[.*\]", text, re.DOTALL)
    try:
        entities = json.loads(found[0]) if found else None
    except ValueError as error:
        raise KnowledgeError(f"the reply is not JSON: {error}") from error
    if not isinstance(entities, list):
        raise KnowledgeError("the reply holds no JSON array")
    parsed = [pair for entity in entities if isinstance(entity, dict) for pair in _facts(entity)]
    if not parsed:
        raise KnowledgeError("the reply holds no fact of the form asked for")
    return parsed


def _facts(entity: dict[str, Any]) -> Iterator[tuple[Triple, tuple[Question, ...]]]:
    aliases, rows = entity.get("aliases") or [], entity.get("facts")
    if not isinstance(aliases, list) or not isinstance(rows, list):
        return
    for row in rows:
        try:
            fact = Triple(entity["entity"], row["property"], row["value"], tuple(aliases))
            plain, paraphrased = row["plain"], row["paraphrased"]
        except (InputError, KeyError, TypeError, AttributeError):
            continue
        asked = [("plain", plain), *(("paraphrased", text) for text in paraphrased if isinstance(paraphrased, list))]
        answer = sentence(fact) if language_of(str(plain)) == "English" else fact.value
        questions = tuple(
            Question(text, answer if kind == "plain" else fact.value, (fact.identity,), kind)
            for kind, text in asked
            if isinstance(text, str) and fact.entity in text
        )
        if questions:
            yield fact, questions
