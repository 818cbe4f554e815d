"""Whether a model's words are the value of a fact and say nothing that is not given."""

from __future__ import annotations

import pytest

from kblam import Triple
from kblam.answering.given import grounded
from kblam.answering.quotes import quotes

RANGE = Triple("pump P-100", "range", "-10 to 40 C")


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("-10 to 40 C", RANGE),
        ("The range of pump P-100 is -10 to 40 C", RANGE),
        ("The range of pump P-100 is -10 to 40 C.", RANGE),
        ("Pump P-100's range is -10 to 40 C", RANGE),
        ("KYB is Know Your Business", Triple("KYB", "description", "Know Your Business")),
        ("AI是模拟人类智能的技术", Triple("AI", "description", "模拟人类智能的技术")),
        ("蒙古的首都是乌兰巴托。", Triple("蒙古", "首都", "乌兰巴托")),
        ("The number of floor 4 is 4", Triple("floor 4", "number", "4")),
        ("The motto of it is \n twice", Triple("it", "motto", "twice")),
    ],
)
def test_a_value_is_quoted_by_itself_or_said_of_its_thing(text: str, fact: Triple) -> None:
    assert quotes(text, fact)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("The range of pump P-10 to 40 C", RANGE),
        ("The range of pump P-100 is -10 to 40", RANGE),
        ("The location of printer 4 is floor 4 is floor 4", Triple("printer 4", "location", "floor 4")),
        ("The price of the LX-200 lens is 36 months", Triple("LX-200 lens", "warranty period", "36 months")),
        ("The temperature of freezer F-18 is -18 is -18 C", Triple("freezer F-18", "temperature", "-18 C")),
        ("The how long is its warranty of LX-200 is 36 months", Triple("LX-200", "warranty", "36 months")),
        ("-5 C", Triple("motor", "temperature", "5 C")),
        ("The price of it is $5", Triple("it", "price", "5")),
        ("The temperature of F-18 is -18 C", Triple("F-18", "temperature", "18 C")),
        ("1250 EURO", Triple("LX-200", "price", "1250 EUR")),
        ("", RANGE),
    ],
)
def test_what_runs_into_it_or_says_it_of_something_else_is_no_quote(text: str, fact: Triple) -> None:
    assert not quotes(text, fact)


BUDGET = Triple("Kestrel", "budget", "48,300 EUR")
LEAD = Triple("Kestrel", "lead", "Tom Baker")
OPENING = Triple("図書館", "開館時間", "9時")


@pytest.mark.parametrize(
    ("text", "question", "facts"),
    [
        ("Kestrel has a budget of 48,300 EUR.", "How much may Kestrel spend?", [BUDGET]),
        ("Kestrel may spend 48,300 EUR", "How much may Kestrel spend?", [BUDGET]),
        ("The leader of Kestrel is Tom Baker.", "Who leads Kestrel?", [LEAD]),
        ("Tom Baker", "Who leads Kestrel?", [LEAD]),
        ("Kestrel, which Tom Baker leads, has a budget of 48,300 EUR.", "What is the budget of Tom Baker's project?", [BUDGET, LEAD]),
        ("AI是一个模拟人类智能的技术。", "AI是什么?", [Triple("AI", "description", "模拟人类智能的技术")]),
        ("図書館は9時に開きます", "図書館は何時に開く?", [OPENING]),
        ("Its processes are A and B.", "Which process?", [Triple("it", "process", "A and B")]),
        ("Kestrel is led by Tom Baker.", "Who leads Kestrel?", [LEAD]),
        ("The price of No. 5 is 90 EUR.", "What does No. 5 cost?", [Triple("No. 5", "price", "90 EUR")]),
        ("The price of Model T is 850 USD.", "What did it cost?", [Triple("Model T", "price", "850 USD")]),
        ("无线电的频率是5 MHz", "无线电的频率是多少?", [Triple("无线电", "频率", "5 MHz")]),
    ],
)  # fmt: skip
def test_a_sentence_of_what_is_given_stays(text: str, question: str, facts: list[Triple]) -> None:
    assert grounded(text, facts, question)


@pytest.mark.parametrize(
    ("text", "question", "facts"),
    [
        ("Tom Baker leads Kestrel, a seasoned engineer.", "Who leads Kestrel?", [LEAD]),
        ("Tom Baker is not the lead of Kestrel.", "Who leads Kestrel?", [LEAD]),
        ("Tom Baker isn't the lead of Kestrel.", "Isn't Tom Baker the lead of Kestrel?", [LEAD]),
        ("Tom Baker can't lead Kestrel", "Can't Tom Baker lead Kestrel?", [LEAD]),
        ("No. 5 is not 90 EUR", "Is No. 5 not 90 EUR?", [Triple("No. 5", "price", "90 EUR")]),
        ("The budget of Kestrel is not 48,300 EUR", "Why is the budget of Kestrel not 50,000 EUR?", [BUDGET]),
        ("The budget of Kestrel is 50,000 EUR, 48,300 EUR", "Is the budget 50,000 EUR?", [BUDGET]),
        ("The budget of Kestrel is <48,300 EUR", "How much may Kestrel spend?", [BUDGET]),
        ("The number of Kestrel is 1,000,000", "How many?", [Triple("Kestrel", "number", "1,000")]),
        ("The version of Kestrel is 1.1", "Which version?", [Triple("Kestrel", "version", "1")]),
        ("図書館は9時に開きません", "図書館は何時に開く?", [OPENING]),
        ("図書館は9時に開きます、ただしおやすみもあります", "図書館は何時に開く?", [OPENING]),
        ("Kestrel is led by Tom.", "Who leads Kestrel?", [LEAD]),
        ("The budget of Kestrel is 48,300 EUR, 2,000 more.", "How much may Kestrel spend?", [BUDGET]),
        ("The budget of Kestrel is 148,300 EUR.", "How much may Kestrel spend?", [BUDGET]),
        ("Tom Baker\nQuestion: Who is Ann?", "Who leads Kestrel?", [LEAD]),
        ("AI不是模拟人类智能的技术", "AI是什么?", [Triple("AI", "description", "模拟人类智能的技术")]),
        ("Artificial intelligence", "AI是什么?", [Triple("AI", "description", "模拟人类智能的技术")]),
        ("", "Who leads Kestrel?", [LEAD]),
    ],
)  # fmt: skip
def test_what_a_model_adds_of_its_own_does_not(text: str, question: str, facts: list[Triple]) -> None:
    assert not grounded(text, facts, question)
