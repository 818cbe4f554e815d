"""More kinds of values: percentages, clock times, addresses, scores, sizes, short symbols, organisations and titles."""

from __future__ import annotations

import random
from collections.abc import Callable

from kblam.synthesis.more_words import MORE_LISTS, NAME_PARTS
from kblam.synthesis.values import LETTERS, MONTHS, person, phrase, pseudo_word
from kblam.synthesis.words import NOUNS, PLACES

__all__ = ["MORE_KINDS"]

Draw = random.Random
Maker = Callable[[Draw], str]

TITLE_FORMS = ("The {} of {}", "A {} for {}", "{} and {}", "Beyond the {} {}", "Last {} in {}", "{} without {}")


def _digits(draw: Draw, count: int) -> str:
    return "".join(draw.choices("0123456789", k=count))


def _letters(draw: Draw, count: int) -> str:
    return "".join(draw.choices(LETTERS, k=count))


def _word(draw: Draw) -> str:
    return pseudo_word(draw).lower()


def number_in(low: float, high: float, form: str, places: int = 0) -> Maker:
    """A maker of numbers from `low` to `high` with `places` decimals; `form`: texts with `#`, parted by `|`."""
    forms = form.split("|")

    def make(draw: Draw) -> str:
        value = draw.uniform(low, high)
        return draw.choice(forms).replace("#", f"{value:,.{places}f}" if places else f"{round(value):,}")

    return make


def either(*makers: Maker) -> Maker:
    """A maker that draws one of the makers."""
    return lambda draw: draw.choice(makers)(draw)


def clock_time(draw: Draw) -> str:
    """A time of day, such as `17:45` or `6:30 a.m.`."""
    hour, minute = draw.randrange(24), draw.choice((0, 5, 10, 15, 20, 30, 40, 45, 50))
    return draw.choice((f"{hour:02d}:{minute:02d}", f"{hour % 12 or 12}:{minute:02d} {'a' if hour < 12 else 'p'}.m."))


def time_window(draw: Draw) -> str:
    """From one hour to a later one."""
    start = draw.randint(5, 14)
    return draw.choice(("{}:00–{}:30", "from {} to {} o'clock", "{}:30 to {}:00")).format(
        start, draw.randint(start + 1, 23)
    )


def month(draw: Draw) -> str:
    """A month, or a month of a year."""
    return draw.choice(MONTHS) + draw.choice(("", "", f" {draw.randint(1990, 2032)}"))


def recent_date(draw: Draw) -> str:
    """A day between 1970 and 2035."""
    day, at, when = draw.randint(1, 28), draw.randint(1, 12), draw.randint(1970, 2035)
    name = MONTHS[at - 1]
    return draw.choice(
        (f"{day} {name} {when}", f"{name} {day}, {when}", f"{when}-{at:02d}-{day:02d}", f"{day:02d}.{at:02d}.{when}")
    )


def day_of_year(draw: Draw) -> str:
    """A day without a year."""
    day, name = draw.randint(1, 28), draw.choice(MONTHS)
    return draw.choice((f"{day} {name}", f"{name} {day}"))


def ranking(draw: Draw) -> str:
    """A rank, such as `3rd` or `12th out of 40`."""
    place = draw.randint(1, 60)
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return draw.choice((f"{place}{ending}", f"{place}{ending} out of {place + draw.randint(1, 90)}", f"number {place}"))


def ordinal(draw: Draw) -> str:
    """A place in a row, such as `third` or `12th`."""
    return draw.choice(
        ("first", "second", "third", "fourth", "fifth", "sixth", f"{draw.randint(4, 20)}th", "21st", "2nd", "3rd")
    )


def rating(draw: Draw) -> str:
    """A mark on a scale, such as `4.6 out of 5`."""
    top = draw.choice((5, 10))
    return draw.choice(
        (f"{draw.uniform(1, top):.1f} out of {top}", f"{draw.uniform(1, top):.1f}/{top}", f"{draw.randint(1, 5)} stars")
    )


def score(draw: Draw) -> str:
    """The points of two sides."""
    return f"{draw.randint(0, 21)}{draw.choice(':-–')}{draw.randint(0, 21)}"


def pay(period: str) -> Maker:
    """A maker of sums of money for the period."""
    return lambda draw: draw.choice(("${:,} {}", "{:,} euros {}", "£{:,} {}", "{:,} francs {}")).format(
        draw.randint(9, 99) * 10 ** draw.randint(0, 3), period
    )


def email(draw: Draw) -> str:
    """An e-mail address."""
    user = draw.choice(("info", "help", "press", _word(draw), _word(draw)))
    return f"{user}@{_word(draw)}.{draw.choice(('org', 'com', 'net', 'example'))}"


def url(draw: Draw) -> str:
    """A web address."""
    page = draw.choice(("", f"/{draw.choice(NOUNS)}", f"/{_word(draw)}/{draw.randint(1, 99)}"))
    start = draw.choice(("https://", "https://www.", "www."))
    return f"{start}{_word(draw)}.{draw.choice(('org', 'com', 'io', 'net'))}{page}"


def path(draw: Draw) -> str:
    """A folder or file on disk."""
    return draw.choice(("/srv/{}/{}", "/var/{}/{}.log", "~/{}/{}.conf", "C:\\{}\\{}", "/opt/{}/{}")).format(
        draw.choice(NOUNS), _word(draw)
    )


def coordinates(draw: Draw) -> str:
    """Latitude and longitude."""
    return f"{draw.uniform(0, 90):.3f}° {draw.choice('NS')}, {draw.uniform(0, 180):.3f}° {draw.choice('EW')}"


def address(draw: Draw) -> str:
    """A house in a street."""
    street = f"{draw.choice(NOUNS).capitalize()} {draw.choice(NAME_PARTS['street'])}"
    return draw.choice(
        (f"{draw.randint(1, 240)} {street}", f"{street} {draw.randint(1, 99)}, {draw.choice(PLACES).replace('_', ' ')}")
    )


def room(draw: Draw) -> str:
    """A room of a building."""
    return draw.choice(
        (
            f"room {_digits(draw, 3)}",
            f"{_letters(draw, 1)} {draw.randint(0, 9)}.{_digits(draw, 2)}",
            f"{pseudo_word(draw)} Hall",
        )
    )


def organisation(draw: Draw) -> str:
    """A company, bank or public body."""
    return f"{pseudo_word(draw)} {draw.choice(NAME_PARTS['organisation'])}"


def team(draw: Draw) -> str:
    """A sports team."""
    return (
        f"{draw.choice((pseudo_word(draw), draw.choice(PLACES).replace('_', ' ')))} {draw.choice(NAME_PARTS['team'])}"
    )


def event(draw: Draw) -> str:
    """A fair, festival or meeting, with its year now and then."""
    return (
        f"{pseudo_word(draw)} {draw.choice(NAME_PARTS['event'])}{draw.choice(('', '', f' {draw.randint(1950, 2030)}'))}"
    )


def title(draw: Draw) -> str:
    """The title of a work."""
    words = [word.capitalize() for word in draw.sample(NOUNS, 2)]
    return draw.choice((draw.choice(TITLE_FORMS).format(*words), phrase(draw).title(), f"The {words[0]}"))


def people(draw: Draw) -> str:
    """Two or three persons."""
    return ", ".join(person(draw) for _ in range(draw.randint(2, 3)))


def law_reference(draw: Draw) -> str:
    """A place in a law or contract."""
    first, second = draw.randint(1, 320), draw.randint(1, 9)
    return draw.choice(
        (f"Article {first}({second})", f"§ {first}", f"Section {first}.{second}", f"clause {second}", f"Rule {first}")
    )


def dosage(draw: Draw) -> str:
    """How much of a drug, and how often."""
    often = draw.choice(("twice a day", "once daily", "every eight hours", "before meals", "at bedtime", "once a week"))
    return f"{draw.choice((5, 10, 20, 25, 50, 75, 100, 250, 500))} {draw.choice(('mg', 'ml', 'drops', 'µg'))} {often}"


def latin_name(draw: Draw) -> str:
    """Two words that sound like a species."""
    return f"{pseudo_word(draw)}us {_word(draw)}{draw.choice(('a', 'is', 'ensis', 'um'))}"


def clothing_size(draw: Draw) -> str:
    """A size of clothes or shoes."""
    return draw.choice(
        (
            "XS",
            "S",
            "M",
            "L",
            "XL",
            "XXL",
            str(draw.randint(34, 56)),
            f"{draw.randint(4, 13)} UK",
            f"W{draw.randint(26, 40)} L{draw.randint(28, 36)}",
        )
    )


CODES: dict[str, Maker] = {
    "phone": either(
        lambda d: f"+{_digits(d, 2)} {_digits(d, 3)} {_digits(d, 6)}",
        lambda d: f"0{_digits(d, 3)} {_digits(d, 3)} {_digits(d, 3)}",
        lambda d: f"({_digits(d, 3)}) 555-{_digits(d, 4)}",
    ),
    "ip_address": lambda d: ".".join(str(d.randint(1, 254)) for _ in range(4)),
    "version_number": either(
        lambda d: f"{d.randint(0, 19)}.{d.randint(0, 30)}.{d.randint(0, 9)}",
        lambda d: f"v{d.randint(1, 9)}.{d.randint(0, 20)}",
    ),
    "hash": lambda d: "".join(d.choices("0123456789abcdef", k=d.choice((7, 8, 12)))),
    "hex_color": lambda d: "#" + "".join(d.choices("0123456789ABCDEF", k=6)),
    "plate": either(
        lambda d: f"{_letters(d, 2)} {_digits(d, 3)} {_letters(d, 2)}",
        lambda d: f"{_letters(d, 3)}-{_digits(d, 3)}",
        lambda d: f"{_letters(d, 1)}-{_letters(d, 2)} {_digits(d, 4)}",
    ),
    "bank_account": either(
        lambda d: f"{_letters(d, 2)}{_digits(d, 2)} {_digits(d, 4)} {_digits(d, 4)} {_digits(d, 4)}",
        lambda d: _digits(d, 10),
    ),
    "file_number": either(
        lambda d: f"{_letters(d, 3)}-{d.randint(1990, 2032)}-{_digits(d, 4)}",
        lambda d: f"{d.randint(1, 40)} {_letters(d, 1)} {_digits(d, 4)}/{_digits(d, 2)}",
        lambda d: f"No. {_digits(d, 6)}",
    ),
    "long_code": either(
        lambda d: _digits(d, d.randint(8, 13)),
        lambda d: f"{_letters(d, 2)}{_digits(d, 9)}{_letters(d, 2)}",
        lambda d: f"{_letters(d, 4)} {_digits(d, 6)} {_digits(d, 1)}",
    ),
    "gate": lambda d: f"{_letters(d, 1)}{d.randint(1, 64)}",
    "seat": lambda d: f"{d.randint(1, 44)}{d.choice('ABCDEFK')}",
    "symbol": either(
        lambda d: _letters(d, 1), lambda d: _letters(d, 1) + d.choice("abcdehklmnrstu"), lambda d: _letters(d, 2)
    ),
    "ticker": lambda d: _letters(d, d.choice((3, 4))),
    "three_letters": lambda d: _letters(d, 3),
    "acronym": lambda d: _letters(d, d.randint(3, 5)),
    "command": lambda d: d.choice(("{} --{}", "make {}-{}", "{} {}", "run-{} -{}")).format(_word(d), d.choice(NOUNS)),
    "thread": either(
        lambda d: f"M{d.randint(2, 30)} × {d.choice(('0.5', '0.75', '1.25', '1.5', '2'))}",
        lambda d: f"{d.randint(1, 7)}/8 inch",
    ),
    "tire": lambda d: f"{d.randint(14, 29) * 10 + 5}/{d.randint(3, 8) * 10} R{d.randint(13, 22)}",
    "gene": lambda d: f"{_letters(d, d.randint(2, 4))}{d.randint(1, 40)}",
    "model_number": either(
        lambda d: f"{_letters(d, 1)}{_digits(d, 3)}",
        lambda d: f"{_letters(d, 2)}-{_digits(d, 2)}{_letters(d, 1)}",
        lambda d: f"{pseudo_word(d, 1, 2)} {d.randint(2, 900)}",
    ),
    "hashtag": lambda d: "#" + phrase(d).title().replace(" ", ""),
    "user_name": either(
        lambda d: f"@{_word(d)}",
        lambda d: f"{_word(d)}_{d.randint(1, 99)}",
        lambda d: f"{d.choice(NOUNS)}{d.randint(1, 999)}",
    ),
    "formula": either(
        lambda d: f"{d.choice('xyknt')} = {d.randint(2, 9)}{d.choice('abcmr')} + {d.randint(1, 30)}",
        lambda d: f"O({d.choice(('n', 'n²', 'log n', 'n log n', '2ⁿ'))})",
        lambda d: f"{d.choice('PQRSV')} = {d.choice('abc')}·{d.choice('xyz')}²",
    ),
    "meter": lambda d: f"{d.choice((2, 3, 4, 5, 6, 7, 9, 12))}/{d.choice((4, 8))}",
    "ratio": lambda d: f"{d.randint(1, 9)}:{d.choice((1, 2, 3, 4, 5, 7, 10, 12, 25, 100, 200))}",
    "grid": lambda d: (
        f"{d.randint(3, 24)} {d.choice(('×', 'by'))} {d.randint(3, 24)}{d.choice(('', ' squares', ' fields'))}"
    ),
    "conflict": lambda d: d.choice(("War of {}", "{} Rebellion", "Second {} War", "{} Uprising", "{} Campaign")).format(
        pseudo_word(d)
    ),
    "treaty": lambda d: d.choice(("Treaty of {}", "Peace of {}", "{} Accord", "{} Convention", "Truce of {}")).format(
        pseudo_word(d)
    ),
    "regiment": lambda d: d.choice(
        ("{}th {} Rifles", "{}th {} Lancers", "{}th {} Infantry", "{}th {} Dragoons")
    ).format(d.randint(4, 20), pseudo_word(d)),
    "arena": lambda d: f"{pseudo_word(d)} {d.choice(('Arena', 'Park', 'Stadium', 'Ground', 'Dome', 'Field'))}",
    "password": lambda d: f"{d.choice(NOUNS)}{d.choice('-_!')}{_word(d).capitalize()}{_digits(d, 2)}",
    "mac": lambda d: ":".join("".join(d.choices("0123456789abcdef", k=2)) for _ in range(6)),
    "scripture": lambda d: (
        f"{d.choice(('Psalm', 'Sura', 'Book of ' + pseudo_word(d)))} {d.randint(1, 80)}:{d.randint(1, 40)}"
    ),
    "resolution": lambda d: (
        f"{d.choice((800, 1024, 1280, 1366, 1920, 2560, 3840))} × {d.choice((480, 600, 720, 1080, 1440, 2160))} pixels"
    ),
}

NUMBERS: dict[str, Maker] = {
    "percentage": either(
        number_in(0, 100, "#%|# percent"), number_in(0, 30, "#%", 1), number_in(0, 9, "#%|# per cent", 2)
    ),
    "small_count": number_in(1, 40, "#"),
    "medium_count": number_in(20, 5000, "#|about #"),
    "age": number_in(3, 90, "#|# years|age #"),
    "work_hours": either(number_in(8, 60, "# hours"), number_in(8, 45, "# hours", 1)),
    "term": either(number_in(2, 40, "# years|# months"), number_in(1, 9, "# years", 1)),
    "short_time": either(
        number_in(2, 240, "# minutes"), number_in(2, 90, "# seconds|# s"), number_in(1, 12, "# hours", 1)
    ),
    "days": number_in(2, 120, "# days|# weeks|# working days"),
    "small_length": either(number_in(1, 400, "# mm|# cm"), number_in(0, 60, "# cm|# mm|# inches", 1)),
    "distance": either(number_in(2, 5000, "# km|# miles|# m"), number_in(1, 90, "# km|# miles", 1)),
    "small_weight": either(number_in(1, 990, "# g|# grams"), number_in(0, 40, "# kg|# pounds|# oz", 1)),
    "load": number_in(10, 9000, "# kg|# tons|# pounds"),
    "heat": either(number_in(-30, 260, "# °C"), number_in(0, 480, "# °F"), number_in(30, 250, "# degrees Celsius")),
    "cold": either(number_in(-35, 25, "# °C|# degrees"), number_in(-20, 75, "# °F"), number_in(-9, 9, "# °C", 1)),
    "fever": either(number_in(35, 42, "# °C", 1), number_in(96, 106, "# °F", 1)),
    "voltage": either(number_in(1, 440, "# V|# volts"), number_in(1, 48, "# V", 1)),
    "ampere": number_in(0, 32, "# A|# mA|# amperes", 1),
    "power": either(number_in(2, 900, "# W|# kW|# hp"), number_in(0, 40, "# kW|# MW", 1)),
    "energy": number_in(1, 900, "# kWh|# Wh|# MWh"),
    "calories": number_in(20, 1400, "# kcal|# calories"),
    "pressure": number_in(0, 60, "# bar|# psi|# kPa", 1),
    "hertz": number_in(1, 900, "# MHz|# GHz|# Hz|# kHz"),
    "speed": number_in(2, 420, "# km/h|# mph|# knots|# m/s"),
    "rotation": number_in(20, 18000, "# rpm|# revolutions per minute"),
    "torque": number_in(2, 900, "# Nm"),
    "angle": number_in(1, 180, "#°|# degrees"),
    "volume": either(number_in(2, 900, "# liters|# ml|# gallons"), number_in(0, 60, "# liters", 1)),
    "consumption": number_in(2, 30, "# l/100 km|# liters per 100 km|# kWh/100 km", 1),
    "noise": number_in(15, 130, "# dB|# decibels"),
    "data_size": number_in(1, 990, "# GB|# MB|# TB|# KB"),
    "bandwidth": number_in(1, 990, "# Mbit/s|# Gbit/s|# kbit/s"),
    "megapixels": number_in(2, 108, "# megapixels|# MP"),
    "brightness": number_in(50, 9000, "# lumens|# lm"),
    "tempo": number_in(40, 220, "# bpm|# beats per minute"),
    "yield": number_in(0, 60, "# tons per hectare|# t/ha", 1),
    "throughput": number_in(5, 9000, "# per hour|# pieces an hour|# units a day"),
    "fare": number_in(2, 900, "$#|# euros|£#"),
    "salary": either(pay("a year"), pay("per month")),
    "monthly_sum": pay("a month"),
    "hourly_sum": number_in(9, 240, "$# an hour|# euros per hour|£# an hour"),
    "nightly_sum": number_in(30, 900, "$# a night|# euros per night"),
}


def _drawn(words: tuple[str, ...]) -> Maker:
    return lambda draw: draw.choice(words)


MORE_KINDS: dict[str, Maker] = {
    **{name: _drawn(words) for name, words in MORE_LISTS.items()},
    **CODES,
    **NUMBERS,
    "recent_year": lambda draw: str(draw.randint(1950, 2032)),
    **{
        maker.__name__: maker
        for maker in (
            clock_time, time_window, month, recent_date, day_of_year, ordinal, ranking, rating, score, email, url, path,
            coordinates, address, room, organisation, team, event, title, people, law_reference, dosage, latin_name,
            clothing_size,
        )
    },
}  # fmt: skip
"""What a property's value can be besides `values.KINDS`, by name."""
