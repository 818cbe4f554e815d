"""Answers scored by a language model at an OpenAI-compatible endpoint, as the paper scores its open-ended ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kblam.errors import KnowledgeError
from kblam.experiments.claims import CLAIMS
from kblam.experiments.figures import ONE, OPEN, gathered
from kblam.experiments.grading import Record
from kblam.experiments.metrics import Mean, mean
from kblam.experiments.sections import Chart, Section, across, chart_table, of_sizes
from kblam.experiments.world import World
from kblam.synthesis.replies import Journal, Reply, ask_all, request_name

__all__ = ["Verdicts", "judged_answers", "parse_score"]

WAYS = ("quote", "tokens", "no knowledge", "RAG, top 5")
PROMPT = """Score an answer to a question from 0 to 5, by what it says and not by its style.
5: it says what the expected answer says, and nothing that contradicts it. 3: it holds a part of it. 0: it says something
else, or refuses to answer.

Question: {question}
Expected: {expected}
Answer: {said}

Reply with a JSON object and nothing else: {{"score": 4, "reason": "..."}}"""
BEST = 5
WORKERS = 8


@dataclass(frozen=True)
class Verdicts:
    """What the judge said of some answers."""

    scores: dict[str, float]
    """By prompt; only what could be read."""
    paid: int
    """Replies asked for in this run."""
    malformed: int
    failed: int


def judged_answers(world: World) -> Section:
    """Scores of all ways against the number of facts; every reply is kept in OUTPUT/judge.replies.jsonl."""
    found, _ = gathered(world, WAYS, ONE)
    open_ended, _ = gathered(world, WAYS, OPEN)
    sizes, most = world.sizes(), world.setting.judge_most
    asked = {
        (kind, way, size): _drawn([row for row in records.get(size, []) if row["kind"] == kind], most)
        for kind, source in (("plain", found), ("paraphrased", found), ("open", open_ended))
        for way, records in source.items()
        for size in sizes
    }
    verdicts = _judge(world, [_prompt(row) for rows in asked.values() for row in rows])
    charts = [_chart(kind, asked, verdicts, sizes) for kind in ("plain", "paraphrased", "open")]
    return Section(
        "Answers scored by a language model",
        CLAIMS["open"].paper,
        (of_sizes(sizes), *(f"{chart.file.removeprefix('judge-')}, {way}: {across(chart, way)}" for chart in charts for way in WAYS[:2])),
        [chart_table(chart) for chart in charts],
        charts,
        notes=[
            f"Judge: {world.setting.judge_model} at {world.setting.judge_endpoint}, at most {most} answers of each kind, way and size; "
            f"{verdicts.paid:,} replies paid for in this run, {verdicts.malformed:,} malformed and skipped, {verdicts.failed:,} failed."
        ],
    )  # fmt: skip


def _drawn(records: Sequence[Record], most: int) -> list[Record]:
    """At most so many, spread over all seeds."""
    return list(records[:: max(1, -(-len(records) // most))])


def _prompt(record: Record) -> str:
    return PROMPT.format(question=record["question"], expected=record["expected"], said=record["said"] or "(nothing)")


def _judge(world: World, prompts: Sequence[str]) -> Verdicts:
    """Ask about each prompt once, whoever gave the answer."""
    client, judge = world.judge, str(world.setting.judge_model)
    journal = Journal(world.setting.output / "judge.replies.jsonl")
    wanted = list(dict.fromkeys(prompts))
    before = set(journal.replies)
    try:
        replies = ask_all(client, judge, journal, wanted, WORKERS, lambda: False)
        given = dict(_tracked(world, replies, len(wanted)))
    finally:
        journal.close()
    scores = {
        prompt: score for prompt, text in given.items() if text is not None and (score := parse_score(text)) is not None
    }
    failed = sum(text is None for text in given.values())
    paid = sum(request_name(judge, prompt) not in before for prompt in given) - failed
    if not scores:
        raise KnowledgeError(
            f"{judge} gave no score that can be read ({len(given):,} replies, see {journal.path}): try another judge"
        )
    return Verdicts(scores, paid, len(given) - failed - len(scores), failed)


def _tracked(world: World, replies: Iterator[tuple[str, Reply | None]], count: int) -> Iterator[tuple[str, str | None]]:
    for (prompt, reply), _ in zip(replies, world.track(range(count), "Judging"), strict=False):
        yield prompt, None if reply is None else reply.text


def parse_score(text: str) -> float | None:
    """The score in a reply; None when there is none from 0 to 5."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        score = json.loads(found[0])["score"] if found else None
    except (ValueError, KeyError, TypeError):
        return None
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= BEST:
        return None
    return float(score)


def _chart(
    kind: str, asked: dict[tuple[str, str, int], list[Record]], verdicts: Verdicts, sizes: Sequence[int]
) -> Chart:
    lines: dict[str, list[tuple[int, Mean]]] = {}
    for (of_kind, way, size), rows in asked.items():
        scores = [verdicts.scores[prompt] for prompt in map(_prompt, rows) if prompt in verdicts.scores]
        if of_kind == kind and scores:
            lines.setdefault(way, []).append((size, mean(scores)))
    return Chart(
        f"judge-{kind}", f"Scored by a language model, {kind} questions", f"score, 0 to {BEST}", lines, top=BEST
    )
