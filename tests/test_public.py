"""Public datasets are read from a few rows of their formats, written here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kblam.errors import KnowledgeError
from kblam.experiments.public import Neighbour, read_public
from kblam.knowledge import Triple


def written(path: Path, rows: object) -> Path:
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


def test_the_originals_and_atlaskv_rows(tmp_path: Path) -> None:
    row = {
        "name": "Velm Harbor", "description_type": "purpose", "description": "to shelter pilot boats",
        "Q": "What is the purpose of Velm Harbor?", "A": "The purpose of Velm Harbor is to shelter pilot boats.",
        "key_string": "the purpose of Velm Harbor", "extended_Q": "Tell me about Velm Harbor.", "extended_A": "It shelters pilot boats.",
    }  # fmt: skip
    atlas = row | {"name": "Oda Lind", "extended_Q": "", "extended_A": ""}
    found = read_public(written(tmp_path / "synthetic.json", [row, atlas])).entries
    assert found[0].fact == Triple("Velm Harbor", "purpose", "to shelter pilot boats")
    assert [question.kind for question in found[0].questions] == ["plain", "open"]
    assert [question.kind for question in found[1].questions] == ["plain"], "an empty extended question is none"


def test_the_originals_enron_as_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "enron.json"
    rows = [
        {"name": name, "description_type": "objective", "description": "a pipeline"} for name in ("Deal A", "Deal B")
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert [entry.fact.entity for entry in read_public(path).entries] == ["Deal A", "Deal B"]


def test_popqa(tmp_path: Path) -> None:
    head = "id\tsubj\tprop\tobj\ts_aliases\tquestion\tpossible_answers"
    row = '1\tMira Castell\toccupation\tcartographer\t["M. Castell"]\tWhat is Mira Castell\'s occupation?\t["cartographer"]'
    path = tmp_path / "popqa.tsv"
    path.write_text(f"{head}\n{row}\n{row.replace('cartographer', 'surveyor')}\n", encoding="utf-8")
    public = read_public(path)
    assert public.name == "PopQA" and len(public.entries) == 1
    entry = public.entries[0]
    assert entry.fact == Triple("Mira Castell", "occupation", "cartographer", ("M. Castell",))
    assert entry.questions[0].facts == (entry.fact.identity,)


def test_counterfact(tmp_path: Path) -> None:
    row = {
        "case_id": 0,
        "requested_rewrite": {
            "prompt": "The mother tongue of {} is", "relation_id": "P103", "subject": "Ansel Thorne",
            "target_new": {"str": "Basque", "id": "Q1"}, "target_true": {"str": "Danish", "id": "Q2"},
        },
        "paraphrase_prompts": ["It rained. Ansel Thorne speaks"],
        "neighborhood_prompts": ["The mother tongue of Odile Ferrand is"],
    }  # fmt: skip
    (edit,) = read_public(written(tmp_path / "any name.json", [row])).edits
    assert edit.fact == Triple("Ansel Thorne", "mother tongue", "Basque")
    assert edit.questions == ("The mother tongue of Ansel Thorne is",)
    assert edit.rephrased == ("It rained. Ansel Thorne speaks",)
    assert edit.neighbours == (Neighbour("The mother tongue of Odile Ferrand is", None),)


def test_zsre(tmp_path: Path) -> None:
    row = {
        "subject": "Brask Foundry", "src": "What was the founding year of Brask Foundry?", "pred": "1901", "answers": ["1898"],
        "alt": "1925", "rephrase": "When was Brask Foundry founded?", "loc": "nq question: who wrote the ninth letter", "loc_ans": "Oda",
    }  # fmt: skip
    (edit,) = read_public(written(tmp_path / "zsre.json", [row])).edits
    assert edit.fact == Triple("Brask Foundry", "founding year", "1925")
    assert edit.neighbours[0].question == "Who wrote the ninth letter?"


def test_a_row_that_lacks_something_is_named(tmp_path: Path) -> None:
    rows = [{"src": "What is it?", "alt": "x", "loc": "y", "subject": "Brask"}]
    with pytest.raises(KnowledgeError, match="row 1: not a row of zsRE"):
        read_public(written(tmp_path / "broken.json", rows))
