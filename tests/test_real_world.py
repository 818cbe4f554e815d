from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "real_world"
PAIRS = [("knowledge.jsonl", "questions.jsonl"), ("knowledge_cjk.jsonl", "questions_cjk.jsonl")]


def load(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def identity(entity: str, name: str) -> tuple[str, str]:
    return entity.casefold(), name.casefold()


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_real_world", FOLDER / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rebuilding_gives_the_committed_files(build: ModuleType, tmp_path: Path) -> None:
    assert build.main(["--output", str(tmp_path)]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(name for pair in PAIRS for name in pair)
    for name in names:
        assert (tmp_path / name).read_text(encoding="utf-8") == (FOLDER / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize(("knowledge", "_"), PAIRS)
def test_every_fact_is_whole_and_appears_once(knowledge: str, _: str) -> None:
    rows = load(knowledge)
    for row in rows:
        assert set(row) == {"entity", "property", "value"}
        assert all(isinstance(text, str) and text and text == text.strip() for text in row.values()), row
    counts = Counter(identity(row["entity"], row["property"]) for row in rows)
    assert [key for key, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(("knowledge", "questions"), PAIRS)
def test_answerable_questions_have_their_facts(knowledge: str, questions: str) -> None:
    known = {(row["entity"], row["property"]) for row in load(knowledge)}
    sizes = {"plain": 1, "paraphrased": 1, "two": 2}
    rows = [row for row in load(questions) if row["kind"] != "unanswerable"]
    assert rows
    for row in rows:
        facts = {tuple(fact) for fact in row["facts"]}
        assert len(facts) == sizes[row["kind"]], row
        assert facts <= known, row


@pytest.mark.parametrize(("knowledge", "questions"), PAIRS)
def test_unanswerable_questions_have_no_fact(knowledge: str, questions: str) -> None:
    rows = load(knowledge)
    known = {identity(row["entity"], row["property"]) for row in rows}
    entities = {entity for entity, _ in known}
    for row in load(questions):
        if row["kind"] != "unanswerable":
            continue
        assert row["facts"] == []
        [[entity, name]] = row["asked"]
        assert identity(entity, name) not in known, row
        assert (entity.casefold() in entities) == (row["reason"] == "missing property"), row
        assert row["reason"] in ("missing entity", "missing property")


def test_held_out_entities_are_asked_for_known_properties() -> None:
    properties = {row["property"] for row in load("knowledge.jsonl")}
    asked = [row["asked"][0][1] for row in load("questions.jsonl") if row.get("reason") == "missing entity"]
    assert set(asked) <= properties


def test_paraphrases_avoid_the_words_of_their_property(build: ModuleType) -> None:
    templates = Counter[tuple[str, str]]()
    for row in build.read_table("paraphrases"):
        templates[row["table"], row["property"]] += 1
        asked = set(row["template"].lower().rstrip("?").replace(",", "").split())
        assert not asked & (set(row["property"].lower().split()) - {"of"}), row
    known, _ = build.split_facts()
    assert all(templates[fact.table, fact.property] >= 3 for fact in known)


def test_no_question_is_asked_twice_and_no_template_is_left_unfilled() -> None:
    for _, name in PAIRS:
        questions = [row["question"] for row in load(name)]
        assert len(set(questions)) == len(questions)
        assert not any("{" in question or "}" in question for question in questions)


def test_counts() -> None:
    assert 2000 <= len(load("knowledge.jsonl")) <= 2500
    assert len(load("knowledge_cjk.jsonl")) >= 60
    assert len(load("questions_cjk.jsonl")) >= 60
    rows = load("questions.jsonl")
    kinds = Counter(row["kind"] for row in rows)
    assert kinds["plain"] >= 300 and kinds["paraphrased"] >= 300 and kinds["two"] >= 100
    refused = Counter((row["reason"], row["phrasing"]) for row in rows if row["kind"] == "unanswerable")
    assert len(refused) == 4 and min(refused.values()) >= 75
