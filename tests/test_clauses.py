"""Questions about several facts."""

from __future__ import annotations

import pytest

from kblam import Triple
from kblam.answering.clauses import about_all, clauses, is_stated
from kblam.naming.names import Names

NAMES = Names(
    [
        Triple(entity, "capital", "x")
        for entity in ("Peru", "Chile", "Trinidad and Tobago", "AI", "KBLaM", "蒙古", "日本")
    ]
)


def parts(question: str) -> list[str]:
    return clauses(question, NAMES.mentions(question))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the capital of Peru and the area of Chile?", ["What is the capital of Peru", "the area of Chile"]),
        ("What are the capital and the area of Peru?", ["What is the capital of Peru", "the area of Peru"]),
        ("the capital of Peru and Chile", ["the capital of Peru", "the capital of Chile"]),
        (
            "Tell me the capital of Peru as well as the area of Chile.",
            ["Tell me the capital of Peru", "the area of Chile"],
        ),
        ("AI和KBLaM是什么？", ["AI是什么", "KBLaM是什么"]),
        ("蒙古的首都和日本的人口是什么？", ["蒙古的首都", "日本的人口是什么"]),
        ("蒙古的首都和人口是多少？", ["蒙古的首都", "蒙古的人口是多少"]),
        ("日本の首都と人口は何ですか？", ["日本の首都", "日本の人口は何ですか"]),
        (
            "Compare Peru and Chile: what is the capital of each?",
            ["Peru: what is the capital of each", "Chile: what is the capital of each"],
        ),
        (
            "What is the capital of Peru and the area of Blue Thing?",
            ["What is the capital of Peru", "What is the area of Blue Thing"],
        ),
        (
            "I want the capital of Peru and, besides that, the area of Chile.",
            ["I want the capital of Peru", "the area of Chile"],
        ),
    ],
)
def test_each_fact_gets_a_question(question: str, expected: list[str]) -> None:
    assert parts(question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of Peru?",
        "What is the capital of Trinidad and Tobago?",
        "Who wrote it and when?",
        "and",
        "",
        "Peru and Chile",
    ],
)
def test_one_question_stays_whole(question: str) -> None:
    assert parts(question) == [question]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "Tell me the capital of Peru, the area of Chile and the people of Trinidad and Tobago.",
            ["Tell me the capital of Peru", "the area of Chile", "the people of Trinidad and Tobago"],
        ),
        (
            "Excuse me, what are the capital, the area and the flag of Peru?",
            ["What is the capital of Peru", "What is the area of Peru", "the flag of Peru"],
        ),
        ("Hi, what is the capital of Peru?", ["Hi, what is the capital of Peru?"]),
    ],
)
def test_lists_with_commas(question: str, expected: list[str]) -> None:
    assert parts(question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the area of Peru and how long is its coast?", ["What is the area of Peru", "how long is Peru's coast"]),
        ("When was AI named and who runs it?", ["When was AI named", "who runs AI"]),
        ("What is the title of AI and how do I reach her by phone?", ["What is the title of AI", "how do I reach AI by phone"]),
        ("Tell me the area of Peru and its capital", ["Tell me the area of Peru", "What is the capital of Peru"]),
        ("The area of Peru and how long is the coast?", ["The area of Peru", "how long is the coast of Peru"]),
        ("The area of Peru and how large is the capital of France?", ["The area of Peru", "how large is the capital of France"]),
        ("What is the area of Peru and can I pay by card?", ["What is the area of Peru", "can I pay by card"]),
        ("What is the area of Peru and population?", ["What is the area of Peru", "What is the population of Peru"]),
        ("Where is Peru? Who runs AI?", ["Where is Peru?", "Who runs AI?"]),
        ("How big is Peru? Is it large? And its capital?", ["How big is Peru?", "Is Peru large", "the capital of Peru"]),
    ],
)  # fmt: skip
def test_what_stands_for_a_name_is_given_it(question: str, expected: list[str]) -> None:
    assert parts(question)[: len(expected)] == expected


@pytest.mark.parametrize(
    "question",
    [
        "Who wrote AI and when?",
        "Can I take a dog to Peru and stay there?",
        "When does AI start and finish?",
        "Do you like Peru? what is the weather",
        "AI?" * 6000,
    ],
)
def test_what_goes_on_is_no_question_of_its_own(question: str) -> None:
    mentions = NAMES.mentions(question)
    assert clauses(question, mentions, lambda words: "population" in words) == [question]


def test_what_only_names_a_thing_is_no_sentence_of_its_own() -> None:
    assert parts("What is the capital of Peru? And of Chile?") == [
        "What is the capital of Peru",
        "What is the capital of Chile",
    ]
    names = Names([Triple(name, "price", "x") for name in ("Guess? jeans", "Peru")])
    asked = "Does anybody sell Guess? jeans in Peru"
    assert clauses(asked, names.mentions(asked)) == [asked]


@pytest.mark.parametrize(
    ("clause", "stated"),
    [
        ("What is the price of the LX-400", True),
        ("What is the colour of LX-200", True),
        ("how long is LX-200's warranty", True),
        ("What is the I lost my key of LX-200", False),
    ],
)
def test_only_what_was_asked_is_named_where_nothing_answers(clause: str, stated: bool) -> None:
    asked = "I lost my key and What is the price of the LX-400 and the colour and how long is its warranty?"
    assert is_stated(clause, asked) is stated


def test_what_is_told_of_a_thing_without_a_description_is_all_there_is() -> None:
    assert len(everything("Who is Peru?")) == 3
    names = Names([Triple("Peru", "Description", "a country"), Triple("Peru", "area", "x")])
    asked = "What is Peru?"
    assert about_all(asked, names.mentions(asked), lambda row: ("Description", "area")[row]) == []


def everything(question: str) -> list[str]:
    properties = ["capital", "area", "首都"]
    names = Names([Triple(entity, name, "x") for name in properties for entity in ("Peru", "蒙古")])
    return about_all(question, names.mentions(question), lambda row: properties[row // 2])


@pytest.mark.parametrize(
    "question",
    [
        "Describe Peru.",
        "Give me an overview of Peru.",
        "Summarize everything that is known about Peru",
        "What do you know about Peru?",
        "What should I know about Peru?",
        "What can you tell me about Peru?",
        "What is known about Peru?",
    ],
)
def test_all_there_is_to_know_is_one_question_a_fact(question: str) -> None:
    wanted = [f"What is the {name} of Peru?" for name in ("capital", "area", "首都")]
    assert everything(question) == wanted


def test_other_questions_do_not_ask_for_everything() -> None:
    for question in ("请总结蒙古的所有信息", "关于蒙古你知道些什么？"):
        assert everything(question)[0] == "蒙古的capital是什么？"
    for question in (
        "What do you know about the flag of Peru?",
        "What is the capital of Peru?",
        "Describe the flag of Peru.",
        "Describe it.",
    ):
        assert everything(question) == []
