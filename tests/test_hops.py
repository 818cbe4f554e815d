"""Questions in steps: what another thing has, which is only meant by what the one named has."""

from __future__ import annotations

import pytest

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.hops import hop_in
from kblam.naming.names import Names

FACTS = [
    Triple("Project Kestrel", "lead", "Tom Baker"),
    Triple("Project Kestrel", "deadline", "14 March 2027"),
    Triple("Tom Baker", "extension", "2207"),
    Triple("Tom Baker", "office", "B-116"),
    Triple("Tom Baker", "line manager", "Aiko Tanaka"),
    Triple("Aiko Tanaka", "extension", "2312"),
    Triple("红隼项目", "负责人", "王磊"),
    Triple("王磊", "分机号", "3301"),
]
NAMES = Names(FACTS)


@pytest.mark.parametrize(
    ("question", "what", "words"),
    [
        ("What is the extension of the lead of Project Kestrel?", "lead", "the lead of Project Kestrel"),
        ("Where does Project Kestrel's lead sit?", "lead", "Project Kestrel's lead"),
        ("which office does the project lead of the Project Kestrel have", "project lead", "the project lead of the Project Kestrel"),
        ("What is the extension of the line manager of Tom Baker", "line manager", "the line manager of Tom Baker"),
        ("红隼项目的负责人的分机号是多少？", "负责人", "红隼项目的负责人"),
    ],
)  # fmt: skip
def test_the_words_that_mean_another_thing(question: str, what: str, words: str) -> None:
    hop = hop_in(question, NAMES.mentions(question))
    assert hop is not None and (hop.what, question[hop.start : hop.end]) == (what, words)


@pytest.mark.parametrize(
    "question",
    [
        "What is the deadline?",
        "Is it the of Project Kestrel?",
        "Tom Baker and Aiko Tanaka of Sales",
        "红隼项目的负责人是谁？",
    ],
)
def test_other_questions_have_none(question: str) -> None:
    assert hop_in(question, NAMES.mentions(question)) is None


def test_a_model_answers_in_steps_and_cites_each() -> None:
    model = KBLaM.from_pretrained("default").attach(KnowledgeBase.from_triples(FACTS))
    answer = model.ask("What is the extension of the lead of Project Kestrel?")
    assert answer.text.endswith("2207")
    assert [citation.triple for citation in answer.citations[:2]] == [FACTS[2], FACTS[0]]
    three = model.ask("What is the extension of the line manager of the lead of Project Kestrel?")
    assert three.text.endswith("2312")
    assert {FACTS[0], FACTS[4], FACTS[5]} <= {citation.triple for citation in three.citations}
    assert "3301" in model.ask("红隼项目的负责人的分机号是多少？").text


def test_what_asks_for_the_other_thing_itself_is_answered_in_one_step() -> None:
    model = KBLaM.from_pretrained("default").attach(KnowledgeBase.from_triples(FACTS))
    for question in ("Who is the lead of Project Kestrel?", "What is the name of the lead of Project Kestrel?"):
        answer = model.ask(question)
        assert "Tom Baker" in answer.text and answer.citations[0].triple == FACTS[0]


def test_what_is_not_known_of_the_other_thing_is_refused() -> None:
    model = KBLaM.from_pretrained("default").attach(KnowledgeBase.from_triples(FACTS))
    assert model.ask("What is the birthday of the lead of Project Kestrel?").refused
    assert model.ask("What is Project Kestrel's lead's birthday?").refused


def test_a_thing_that_leads_back_to_itself_ends() -> None:
    loop = [Triple("Ann", "neighbour", "Ann"), Triple("Ann", "age", "40")]
    model = KBLaM.from_pretrained("default").attach(KnowledgeBase.from_triples(loop))
    assert "40" in model.ask("What is the age of the neighbour of the neighbour of Ann?").text
