"""Whether a model's words are the value of a fact and nothing else."""

from __future__ import annotations

import pytest

from kblam import Triple
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
