"""Chinese and Japanese names of which a question says only a part: 周师傅 for 周建军, 河坊店 for 河坊街店, 高橋さん for 高橋義雄."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from kblam.naming.names import Mention, Names
from kblam.naming.partial_names import MOST_MEANT, PARTIAL
from kblam.naming.unspaced_names import BEGINS, CJK, TITLE

__all__ = ["split_part", "unspaced_part"]

MOST_PAIRS = 400
"""Longer questions are not read to their end."""
KANA = re.compile("[\u3040-\u30ff]")
PAIR = re.compile(f"(?={CJK}{{2}})")
CODE = re.compile("[A-Za-z0-9]{2}")
"""What is cut in two inside of a code."""
LINKS = "的の「」『』（）()・ 　"
"""What is cut from the ends of a part."""
_MARK = f"$|(?!{CJK}|[A-Za-z0-9「『・-])"
ENDS_JAPANESE = re.compile(f"{_MARK}|[\u3040-\u309f]")
ENDS_CHINESE = re.compile(
    f"{_MARK}|[的在去有和跟与及或为几哪谁什要怎由被把给对从到该这那都也还就吗呢吧啊每最今昨现请问我你他她您叫是里放得找住做负卖买带拿送归何以下坐]"
    "|星期|周[一二三四五六日末几]|时候|大概|一般|平时|一共|一下|一直|多少|多久|多大|多高|多长|会不会|能不能|能否|可以|可否|用什|用多|开门|开到|开几|打什|打多|上班|上课|明天|目前|当[前时初]|教什|教哪|管什"
)
"""What follows a name in a question."""
OPENS = re.compile(
    f"(?:^|(?!{CJK})[\\s\\S]|[的の是在去给对从到按把被让请问我你他她您了着过有和跟与及为于用向离找由该这那本每查说看叫はがをにでともへやか]|一下|什么|知道|告诉|联系|关于)$"
)
"""What stands before one."""


class Part(NamedTuple):
    """Where a question says characters that stand so in a name."""

    start: int
    end: int
    name: str


def unspaced_part(question: str, names: Names) -> Mention | None:
    """The part of a question that is a part of the name of one thing, or of a few; None if what stands beside it may belong to
    another name."""
    text = question.casefold() if len(question.casefold()) == len(question) else question
    parts = list(_parts(text, names))
    other = [part for part in parts if text[part.start : part.end] == part.name]  # that are no mentions: they go on
    parts = [part for part in parts if all(part.end <= each.start or each.end <= part.start for each in other)]
    whole = [_led(text, part) for part in parts if _is_whole(text, part)]
    whole = [part for part in whole if not _links_on(text, part, names)]
    best = _most(whole, lambda part: part.end - part.start)
    best = _most(best, lambda part: sum(character in text for character in part.name))
    things = {names.rows_named(part.name): part for part in best}
    if len(things) > 1:  # which of them has the property that is named, if one is and only one has it
        having = {rows for rows in things if any(names.named_property(question, row) for row in rows)}
        things = {rows: part for rows, part in things.items() if rows in having} if len(having) == 1 else things
    if not 1 <= len(things) <= MOST_MEANT:
        return None
    part = next(iter(things.values()))
    rows = tuple(sorted({row for each in things for row in each}))
    return Mention(part.start, part.end, rows, PARTIAL, partial=True)


def split_part(question: str, name: str) -> bool:
    """Whether a question has a part of a Chinese or Japanese name that goes on in another way: 陈国栋, for 陈国强."""
    text, name = question.casefold(), name.casefold()
    places = [(match.start(), name.find(text[match.start() : match.start() + 2])) for match in PAIR.finditer(text)]
    parts = [_grown(text, name, here, there) for here, there in places if there >= 0]
    return bool(parts) and not any(_is_whole(text, part) for part in parts)


def _parts(text: str, names: Names) -> Iterator[Part]:
    """The common runs of characters with each name that has two of them."""
    found: set[Part] = set()
    for match in islice(PAIR.finditer(text), MOST_PAIRS):
        here = match.start()
        pair = text[here : here + 2]
        found |= {_grown(text, name, here, name.find(pair)) for name in names.with_pair(pair)}
    for match in () if KANA.search(text) else re.finditer(f"{CJK}(?={TITLE.pattern})", text):
        if OPENS.search(text[: match.start()]):
            found |= {Part(*match.span(), name) for name in names.with_pair(BEGINS + match[0])}
    for part in sorted(found):
        if not any(text[part.start : part.end] in names.property_of(row) for row in names.rows_named(part.name)):
            yield part


def _grown(text: str, name: str, here: int, there: int) -> Part:
    """As much around two characters as the text and the name have in common."""
    start, end, first, last = here, here + 2, there, there + 2
    while start and first and text[start - 1] == name[first - 1]:
        start, first = start - 1, first - 1
    while end < len(text) and last < len(name) and text[end] == name[last]:
        end, last = end + 1, last + 1
    while start < end and text[start] in LINKS:
        start += 1
    while start < end and text[end - 1] in LINKS:
        end -= 1
    return Part(start, end, name)


def _most(parts: Sequence[Part], score: Callable[[Part], int]) -> list[Part]:
    top = max(map(score, parts), default=0)
    return [part for part in parts if score(part) == top]


def _led(text: str, part: Part) -> Part:
    """The part with what stands before it in the name, if only marks are left out between them: 離れ月見, for 離れ「月見」."""
    start, end, name = part
    lead = name[: name.find(text[start:end])].strip(LINKS)
    return Part(start - len(lead), end, name) if lead and text[:start].endswith(lead) else part


def _links_on(text: str, part: Part, names: Names) -> bool:
    """Whether the question goes on as the name does, to something else: 飛騨牛のすき焼き, for 飛騨牛の朴葉焼き."""
    said = text[part.start : part.end]
    behind = part.name[part.name.find(said) + len(said) :] if said in part.name else ""
    if not (behind and behind[0] in "的の" and text[part.end : part.end + 1] == behind[0]):
        return False
    rest = text[part.end + 1 :]
    return not any(rest.startswith(names.property_of(row).casefold()) for row in names.rows_named(part.name))


def _is_whole(text: str, part: Part) -> bool:
    """Whether nothing beside a part belongs to another name."""
    start, end, name = part
    said = text[start:end]
    if not said or said not in name or said == name:  # a whole name that is no mention goes on
        return False
    titled = TITLE.match(text, end) is not None
    if len(said) < 2 and not titled:
        return False
    ends = name.endswith(said) and len(said) > 2
    if not (titled or ends or _ends(text, end) or _skips(text, end, name)):
        return False
    if (
        text[start - 1 : start].isdigit()
        or CODE.match(text[start - 1 : start + 1])
        or CODE.match(text[end - 1 : end + 1])
    ):
        return False
    return name.startswith(said) or OPENS.search(text[:start]) is not None or _led(text, part).start < start


def _ends(text: str, end: int) -> bool:
    """Whether a name may end there."""
    return (ENDS_JAPANESE if KANA.search(text) else ENDS_CHINESE).match(text, end) is not None


def _skips(text: str, end: int, name: str) -> bool:
    """Whether the last character of a name follows, what is between being left out: 河坊店 for 河坊街店."""
    return text[end : end + 1] == name[-1] and _ends(text, end + 1)
