"""Names by first letter and length."""

from __future__ import annotations

import pytest

from kblam.naming.spellings import Spellings

KNOWN = Spellings(["mongolia", "magnolia", "dorfor-346", "peru", "angola", "蒙古国家图书馆"])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mongoila", ["mongolia"]),
        ("mongolia", ["mongolia"]),
        ("dorrfro-346", ["dorfor-346"]),
        ("dorfor-347", []),
        ("per", []),
        ("ongolia", []),
        ("angla", ["angola"]),
        ("agla", []),
        ("蒙古国家图书官", ["蒙古国家图书馆"]),
        ("", []),
    ],
)
def test_names_within_a_slip_or_two_are_near(text: str, names: list[str]) -> None:
    assert KNOWN.near(text) == names


def test_the_nearest_comes_first() -> None:
    assert Spellings(["gardorgra hall", "gardorgra ball"]).near("gardorgra balls") == [
        "gardorgra ball",
        "gardorgra hall",
    ]
