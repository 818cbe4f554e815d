"""Values of synthetic facts: words, phrases, people, numbers with units, dates, codes, lists, other scripts."""

from __future__ import annotations

import random
from collections.abc import Callable

from kblam.synthesis.words import ADJECTIVES, CHINESE, FIRST_NAMES, JAPANESE, LISTS, NOUNS, PLACES, SYLLABLES

__all__ = ["KINDS", "pseudo_word"]

Draw = random.Random
MONTHS = "January February March April May June July August September October November December".split()
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def pseudo_word(draw: Draw, least: int = 2, most: int = 3) -> str:
    """A capitalised word that no dictionary has."""
    return "".join(draw.choices(SYLLABLES, k=draw.randint(least, most))).capitalize()


def person(draw: Draw) -> str:
    """A first name and an invented family name."""
    return f"{draw.choice(FIRST_NAMES)} {pseudo_word(draw)}"


def place(draw: Draw) -> str:
    """A city, known or invented."""
    return draw.choice(PLACES).replace("_", " ") if draw.random() < 0.7 else pseudo_word(draw)


def phrase(draw: Draw) -> str:
    """Two or three plain words, such as `quiet harbor` or `tiny copper bell`."""
    return " ".join([*draw.sample(ADJECTIVES, draw.randint(1, 2)), draw.choice(NOUNS)])


def clause(draw: Draw) -> str:
    """A description of five to ten words."""
    one, two = phrase(draw), phrase(draw)
    forms = (
        f"a {one} with a {two}",
        f"a {one} that guards the {two}",
        f"the {one} near the {two}",
        f"a {one} made for the {two}",
        f"a {draw.choice(LISTS['job'])} who found a {two}",
        f"a {one} used in {draw.choice(LISTS['industry'])}",
        f"a tool for {draw.choice(LISTS['industry'])} and {draw.choice(LISTS['industry'])}",
        f"to keep the {one} from the {two}",
    )
    return draw.choice(forms)


def number(draw: Draw) -> int:
    """An integer whose magnitude, from one digit to seven, is drawn evenly."""
    digits = draw.randint(1, 7)
    return draw.randrange(10 ** (digits - 1), 10**digits)


def _grouped(draw: Draw) -> str:
    value = number(draw)
    return f"{value:,}" if draw.random() < 0.5 else str(value)


def measure(*units: str) -> Callable[[Draw], str]:
    """A maker of numbers with one of the units."""

    def make(draw: Draw) -> str:
        amount = _grouped(draw) if draw.random() < 0.6 else f"{draw.uniform(0, 999):.{draw.randint(1, 3)}f}"
        return f"{amount} {draw.choice(units)}"

    return make


def year(draw: Draw) -> str:
    """A year between 1100 and 2030."""
    return str(draw.randint(1100, 2030))


def date(draw: Draw) -> str:
    """A day, in one of four ways to write it."""
    day, month, when = draw.randint(1, 28), draw.randint(1, 12), draw.randint(1500, 2030)
    name = MONTHS[month - 1]
    return draw.choice(
        (
            f"{day} {name} {when}",
            f"{name} {day}, {when}",
            f"{when}-{month:02d}-{day:02d}",
            f"{day:02d}.{month:02d}.{when}",
        )
    )


def code(draw: Draw) -> str:
    """An identifier such as `QX-4471-B`, `+358 40 22917`, `10.4.77.2` or `7f3e9a`."""

    def letters(count: int) -> str:
        return "".join(draw.choices(LETTERS, k=count))

    def digits(count: int) -> str:
        return "".join(draw.choices("0123456789", k=count))

    return draw.choice(
        (
            lambda: f"{letters(2)}-{digits(4)}-{letters(1)}",
            lambda: f"{letters(3)}{digits(3)}",
            lambda: f"+{digits(2)} {digits(3)} {digits(5)}",
            lambda: ".".join(str(draw.randint(0, 255)) for _ in range(4)),
            lambda: "".join(draw.choices("0123456789abcdef", k=8)),
            lambda: f"{digits(3)}-{digits(2)}-{digits(1)}",
            lambda: f"v{draw.randint(0, 12)}.{draw.randint(0, 30)}.{draw.randint(0, 9)}",
            lambda: f"{pseudo_word(draw).lower()}@{pseudo_word(draw).lower()}.org",
        )
    )()


def listing(draw: Draw) -> str:
    """Three or four things, with commas."""
    words = LISTS[draw.choice(("color", "material", "animal", "food", "sport", "language", "chemical"))]
    return ", ".join(draw.sample(words, draw.randint(3, 4)))


def money(draw: Draw) -> str:
    """A price."""
    return draw.choice((f"${_grouped(draw)}", f"{_grouped(draw)} euros", f"£{number(draw) / 100:.2f}"))


def chinese(draw: Draw) -> str:
    """A run of Chinese words."""
    return "".join(draw.choices(CHINESE, k=draw.randint(1, 4)))


def japanese(draw: Draw) -> str:
    """A run of Japanese words, joined by particles now and then."""
    words = draw.choices(JAPANESE, k=draw.randint(1, 4))
    return draw.choice(("", "の", "と")).join(words)


def _listed(name: str) -> Callable[[Draw], str]:
    return lambda draw: draw.choice(LISTS[name])


KINDS: dict[str, Callable[[Draw], str]] = {
    **{name: _listed(name) for name in LISTS},
    "person": person,
    "place": place,
    "phrase": phrase,
    "clause": clause,
    "year": year,
    "date": date,
    "code": code,
    "list": listing,
    "money": money,
    "count": _grouped,
    "length": measure("km", "meters", "miles", "cm", "mm"),
    "weight": measure("kg", "tons", "grams", "pounds"),
    "duration": measure("hours", "days", "minutes", "weeks", "seconds"),
    "area": measure("km²", "square meters", "hectares"),
    "temperature": measure("°C", "K", "°F"),
    "rate": measure("%", "per cent", "km/h", "kW", "MHz", "liters"),
    "name": lambda draw: f"{pseudo_word(draw)} {draw.choice(NOUNS).capitalize()}",
    "chinese": chinese,
    "japanese": japanese,
}
"""What a property's value can be, by name."""
