"""Chinese and Japanese names, whose words are not set apart: whether one goes on before or behind the part that is known."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

__all__ = ["begins_before", "goes_on", "neighbours", "next_behind"]

_ANY = "\u3040-\u30ff\u3400-\u9fff"
_NO_HIRAGANA = "\u30a0-\u30ff\u3400-\u9fff"
_AFTER = f"(?<=[{_ANY}])"
_TITLES = (
    "(?!公司|集团|股份|有限|企业|共和国|王国|帝国|先生|女士|教授|博士|さん|氏|様|社|株式|市|県|省|国)"
    "(?!(?:課長|部長|係長|店長|校長|会長|社長|専務|主任|先輩|選手|監督|大臣|首相|大統領|自体|全体|以外|周辺|付近"
    f"|来[年月週]|先[週月日]|毎[日週月年]|午[前後]中?)(?=[的のはがをにで]|[^{_ANY}]|$))"
)
"""Titles and times that leave a name what it is; those that may begin another name only where they end."""
_BEGINS = _AFTER + "(?![的のはがをにでともや是在有由被和与及或从到对为现目当今去昨本该这那最各、・]|都(?!市))" + _TITLES
_TAIL = f"((?:(?![是什么麼哪谁誰多少几幾何怎有在由看起为為被让把])[{_NO_HIRAGANA}]){{1,8}}?)"
"""What may belong to a name; no words of a question."""
OF = re.compile(f"{_BEGINS}{_TAIL}(?:[的の]|在哪|在什么|位于|はどこ)")
"""A name that goes on up to the word `of`, or to a question where it is."""
DOES = re.compile(f"{_BEGINS}{_TAIL}(?<![時中前後際頃])(?:[はがを]|に[はも])")
"""One that goes on up to another Japanese particle; Japanese in a hurry writes what is asked there, too: 田中電話は?"""
ALONE = re.compile(f"[A-Za-z]{{2}}[^{_ANY}]*$|(?:介绍|描述|概述|说明|总结)(?:一下)?$")
"""English in front of a name, which then is all that is written in these scripts, or a request to describe what follows."""
MORE = re.compile(
    f"{_AFTER}(?![的のはがをにでともや和与及或、・吧呢吗]|好吗|谢谢)"
    f"(?!(?:情况|概况|概要|信息|资料|简介|历史|全部|所有|一切)(?![{_ANY}])){_TITLES}"
    f"((?:(?![的のはがを是什么麼哪谁誰多少几幾何怎有在由])[{_ANY}]){{1,8}})(?![{_ANY}])"
)
"""What else is written there."""

BEFORE = re.compile(
    "(?:[的の是在去给給对對从從到按以把被让讓请問问道我你他她您下了着过過有和跟与與及为為于於用向比离離找由等该該这那此本每各或者吗呢吧啊查搜求说讲看はがをにでともへやか]"
    "|から|まで|より|って|という|ある|した|する|什么|什麼|今年|去年|昨日|今日|[一两二三四五六七八九十几]?[个座家位条種种]"
    "|查询|查找|搜索|列出|显示|告知|了解|说明|解释|描述|介绍|比较|对比|计算|确认)$"
)
"""What a question says before a name that begins there."""
NO_NAME = re.compile("[的のはがをにで是什么麼哪谁誰多少几幾何怎有在由要能会可几每一]")
"""What no name goes on with."""


def begins_before(question: str, start: int) -> bool:
    """Whether other words of a name seem to stand right before one in Chinese or Japanese: 管理[味噌汁]の色."""
    before = re.search(f"[{_ANY}]{{2,}}(?=[{_ANY}]$)", question[: start + 1])
    return before is not None and BEFORE.search(before[0]) is None


def next_behind(question: str, end: int) -> str:
    """The two Chinese or Japanese characters right behind a name in the same script; "" if no name goes on so."""
    behind = re.compile(f"{_AFTER}[{_ANY}]{{2}}").match(question, end)
    return behind[0] if behind and not NO_NAME.match(behind[0]) else ""


def neighbours(name: str) -> set[str]:
    """Two Chinese or Japanese characters each that stand beside each other in a name."""
    if name.isascii():
        return set()
    return {name[at : at + 2] for run in re.finditer(f"[{_ANY}]+", name) for at in range(run.start(), run.end() - 1)}


def goes_on(question: str, start: int, end: int, properties: Iterable[str], known: Collection[str]) -> bool:
    """True for a name that goes on behind `end`: [北京]大学的校长, the president of [北京]大学, [東京]駅は.

    properties: those of the thing, looked at only where they matter; known: those of anything. What names a property is no part of a name.
    """
    rest = OF.match(question, end) or (MORE.match(question, end) if ALONE.search(question[:start]) else None)
    if rest is not None:
        return rest[1] not in known
    rest = DOES.match(question, end)
    return rest is not None and rest[1] not in known and not any(_alike(rest[1], name) for name in properties)


def _alike(words: str, name: str) -> bool:
    """True when two neighbouring characters of the words are in a name."""
    return any(words[at : at + 2] in name for at in range(len(words) - 1))
