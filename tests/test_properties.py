"""The table of synthetic properties: its shape, questions that avoid its words, nothing of the evaluation set."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

import kblam.synthesis
from kblam.synthesis.facts import HELD_OUT_PROPERTIES
from kblam.synthesis.more_values import MORE_KINDS
from kblam.synthesis.properties import CHINESE_PROPERTIES, JAPANESE_PROPERTIES, PROPERTIES, Property
from kblam.synthesis.values import KINDS

TABLE = Path(kblam.synthesis.__file__).with_name("properties.tsv")
EVALUATION = Path(__file__).resolve().parents[1] / "benchmarks" / "real_world" / "tables"
SMALL_WORDS = frozenset(
    ["of", "the", "a", "an", "for", "in", "on", "to", "and", "or", "per", "by", "from", "with", "at"]
)
EVALUATED_WORDS = re.compile(
    r"\b(capital|population|area|surface|currency|elevation|height|melting|boiling|density|atomic|molar|discoverer|calling|"
    r"orbital|symbol|formula|composition|diameter|continent|region|official)\b",
    re.IGNORECASE,
)
ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ers", "ors", "er", "or", "es", "ed", "s", "e", "y")


def rows() -> list[list[str]]:
    return [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()]


def paraphrases() -> list[tuple[str, str]]:
    return [(row[0], question) for row in rows() for question in row[2].split(";")]


def content_words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]+", text.lower()) if word not in SMALL_WORDS]


def stem(word: str) -> str:
    ending = next((end for end in ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), "")
    return word[: len(word) - len(ending)]


def related(one: str, other: str) -> bool:
    short, long = sorted((stem(one), stem(other)), key=len)
    head = max(4, round(0.55 * max(len(one), len(other))))
    return short == long or (len(short) >= 4 and long.startswith(short)) or one[:head] == other[:head]


def evaluation() -> tuple[set[str], set[str]]:
    """Names of the properties evaluated, and the questions that do not name them."""
    names: set[str] = set()
    questions: set[str] = set()
    for path in EVALUATION.glob("*.tsv"):
        head, *lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
        if head[:2] == ["entity", "ask"]:
            names.update(head[2:])
        elif head == ["table", "property", "template"]:
            names.update(line[1] for line in lines)
            questions.update(line[2] for line in lines)
    return names, questions


def test_every_row_has_a_name_a_known_kind_questions_and_a_theme() -> None:
    for row in rows():
        assert len(row) == 4 and all(cell and cell == cell.strip() for cell in row), row
        assert row[1] in KINDS or row[1] in MORE_KINDS, row
        assert len(row[2].split(";")) >= 4, row
    assert all(question.count("{") == question.count("{e}") == 1 for _, question in paraphrases())


def test_names_and_questions_are_unique() -> None:
    general = {item.name for item in PROPERTIES if item.theme == "anything"}
    assert general and general.isdisjoint(row[0] for row in rows())
    assert [name for name, count in Counter(row[0].lower() for row in rows()).items() if count > 1] == []
    assert [text for text, count in Counter(question for _, question in paraphrases()).items() if count > 1] == []


def test_themes_are_broad() -> None:
    themes = Counter(row[3] for row in rows())
    assert len(themes) >= 1500 and min(themes.values()) >= 7


def test_related_words_are_found() -> None:
    assert related("weight", "weigh") and related("production", "produced") and related("players", "play")
    assert not related("stage", "star") and not related("term", "price")


def test_questions_avoid_the_words_of_their_property() -> None:
    named = [
        (name, used, question)
        for name, question in paraphrases()
        for used in content_words(question.replace("{e}", ""))
        if any(related(word, used) for word in content_words(name))
    ]
    assert named == []


def test_nothing_comes_from_the_evaluation() -> None:
    names, questions = evaluation()
    assert len(names) > 80 and len(questions) > 200
    excluded = {name.lower() for name in names | HELD_OUT_PROPERTIES}
    assert [row[0] for row in rows() if row[0].lower() in excluded or EVALUATED_WORDS.search(row[0])] == []
    assert [question for _, question in paraphrases() if question in questions] == []


@pytest.mark.parametrize("table", [CHINESE_PROPERTIES, JAPANESE_PROPERTIES], ids=["Chinese", "Japanese"])
def test_nothing_in_other_scripts_is_named_as_in_the_evaluation(table: tuple[Property, ...]) -> None:
    lines = (EVALUATION / "cjk_facts.tsv").read_text(encoding="utf-8").splitlines()
    evaluated = {name for _, name, *_ in (line.split("\t") for line in lines) if len(name) > 1}
    assert len(evaluated) > 25
    themed = [item.name for item in table if item.theme != "anything"]
    assert [name for name in themed if any(word in name for word in evaluated)] == []


@pytest.mark.parametrize("kind", sorted(MORE_KINDS))
def test_kinds_make_short_and_varied_values_that_repeat_with_the_seed(kind: str) -> None:
    values = [MORE_KINDS[kind](random.Random(seed)) for seed in range(60)]
    assert values == [MORE_KINDS[kind](random.Random(seed)) for seed in range(60)]
    assert all(0 < len(value) <= 80 and value == value.strip() and "\n" not in value for value in values)
    assert len(set(values)) >= 4 and not any(sign in value for value in values for sign in "{}|;\t")


def test_new_kinds_hide_no_old_one() -> None:
    assert not set(KINDS) & set(MORE_KINDS)


@pytest.mark.parametrize("table", [CHINESE_PROPERTIES, JAPANESE_PROPERTIES], ids=["Chinese", "Japanese"])
def test_properties_in_other_scripts_are_asked_about_without_their_words(table: tuple[Property, ...]) -> None:
    assert len(table) > 1500 and len({item.name for item in table}) == len(table)
    themes = Counter(item.theme for item in table)
    assert len(themes) > 100 and min(themes.values()) >= 8
    for item in table:
        assert item.kind in KINDS or item.kind in MORE_KINDS, item
        assert all(question.count("{e}") == 1 for question in item.paraphrases), item
        if item.theme != "anything":
            words = {item.name[at : at + 2] for at in range(len(item.name) - 1)}
            assert len(item.paraphrases) >= 5
            assert [text for text in item.paraphrases if item.name in text or any(word in text for word in words)] == []
