"""Chinese and Japanese names, whose words are not set apart: whether one goes on before or behind the part that is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

__all__ = ["BEGINS", "CJK", "TITLE", "begins_behind", "ends_before", "goes_on", "is_another", "neighbours"]

_ANY = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff"
_NO_HIRAGANA = "\u3005-\u3007\u30a0-\u30ff\u3400-\u9fff"
CJK = f"[{_ANY}]"
"""A Chinese or Japanese character, as a pattern."""
TITLE = re.compile(
    "さん|様|氏|君(?=[\u3040-\u309f、]|$)|くん|ちゃん|先生|女士|小姐|老师|师傅|医生|医师|大夫|护士长?|教授|博士|同学|阿姨|叔叔|公司|集团"
    "|(?:总?经理|总监|主管|部长|校长|馆长|院长)(?![室办])"
    "|(?:班長|係長|課長|部長|店長|校長|館長|院長|室長|師長|料理長|社長|会長|専務|主任|工場長|看護師|医師)"
    f"(?=さん|[的\u3040-\u309f在是几有怎]|[^{_ANY}]|$)"
)
"""What stands behind any name and leaves it what it is."""
KIND = re.compile(f"{TITLE.pattern}|地区|时间|部門")
"""What names of several things may end with, as well."""
_AFTER = f"(?<={CJK})"
_TITLES = (
    f"(?!{TITLE.pattern})"
    "(?!股份|有限|企业|共和国|王国|帝国|株式|市|県|省|国)"
    "(?!(?:先輩|選手|監督|大臣|首相|大統領|自体|全体|以外|周辺|付近"
    "|里面?|上面?|下面|内|外面?|旁边|附近|那边|这边|那儿|这儿|之间|期间|以前|以后"
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
NUMBER = re.compile(f"[0-9０-９](?=[{_ANY}])")
"""In a name that goes on no further: 八年级5班."""
MORE = re.compile(
    f"{_AFTER}(?![的のはがをにでともや和与及或、・吧呢吗]|好吗|谢谢)"
    f"(?!(?:情况|概况|概要|信息|资料|简介|历史|全部|所有|一切)(?![{_ANY}])){_TITLES}"
    f"((?:(?![的のはがを是什么麼哪谁誰多少几幾何怎有在由])[{_ANY}]){{1,8}})(?![{_ANY}])"
)
"""What else is written there."""

PREFIXED = re.compile(f"(?:^|[^{_ANY}]|[的の在去问])(?:[新老旧大小]|第[一二三四五六七八九十0-9]+)$")
"""What makes another name of one, in front of it: 新[城东店]."""
NUMBERED = re.compile("[一二三四五六七八九十0-9]+(?:号?店|分店|期|分校|号館|分公司)")
"""Likewise behind it: [城东店]二店."""
GIVEN = re.compile(
    f"(?!{TITLE.pattern})[\u3400-\u9fff]{{1,2}}(?:さん|様|氏|くん|ちゃん|先生|女士|老师)"
    "|[杰华丽娟磊涛鹏俊浩轩婷颖琳倩霞燕芳敏艳玲萍鑫涵怡妍璐斌栋梁伟军刚](?![\u3040-\u309f])"
)
"""How somebody's name of two or three characters may go on: [伊藤誠]司さん, [张伟]杰."""
PERSON = re.compile(
    "[\u3400-\u9fff]{3}|[赵钱孙李周吴郑王冯陈卫蒋沈韩杨朱秦许何吕张孔曹严金魏陶姜谢邹苏潘葛范彭鲁韦马方任袁柳唐薛雷贺罗郝安常于傅康余黄萧尹姚邵汪毛戴宋熊纪项董杜阮蓝季贾江童颜郭林钟徐邱"
    "骆高夏蔡田胡霍万卢丁邓洪石崔程龚翁陆刘叶黎白关][\u3400-\u9fff]"
)
"""What may be somebody's name in Chinese or Japanese."""
BEHIND = re.compile(f"{_AFTER}(?![的のはがをにで是])[{_ANY}]{{2}}")
BEFORE = re.compile(f"[{_ANY}](?![的の在是はがをにでと了问道])[{_ANY}](?=[{_ANY}]$)")
"""What may be of another name, right behind one and right before it."""
BEGINS = "\n"
"""Before the first character of a name, where names are found by two."""
LONGEST_PERSON = 5
"""Characters of a name that may be somebody's."""


def begins_behind(question: str, end: int, properties: Iterable[str], named: Callable[[str], Iterable[str]]) -> bool:
    """Whether what stands right behind a name in Chinese or Japanese is how other names end: [北京]大学 beside 上海大学.

    properties: those of the thing, which it may be as well; named: the names in which two characters stand beside each other.
    """
    behind = BEHIND.match(question, end)
    if behind is None or any(behind[0] in name for name in properties):
        return False
    rest = question[end:].casefold()
    tails = (name[name.rindex(behind[0]) :] for name in named(behind[0]) if not name.startswith(behind[0]))
    return any(rest.startswith(tail) and not KIND.match(tail) for tail in tails)


def ends_before(question: str, start: int, named: Callable[[str], Iterable[str]]) -> bool:
    """Whether other names begin with what stands right before one in Chinese or Japanese: 管理[味噌汁] beside 管理部."""
    before = BEFORE.search(question[: start + 1])
    if before is None:
        return False
    heads = (name[: name.index(before[0]) + 2] for name in named(before[0]) if not name.endswith(before[0]))
    return any(question[:start].casefold().endswith(head) for head in heads)


def is_another(question: str, start: int, end: int) -> bool:
    """Whether a word before a Chinese or Japanese name, or a number or more of somebody's name behind it, makes another of it."""
    if re.match(f"[{_ANY}]", question[start:]) and PREFIXED.search(question[:start]):
        return True
    if not re.match(f"[{_ANY}]", question[end - 1 :]):
        return False
    person = PERSON.fullmatch(question, start, end) is not None
    return NUMBERED.match(question, end) is not None or (person and GIVEN.match(question, end) is not None)


def neighbours(name: str) -> set[str]:
    """Two Chinese or Japanese characters each that stand beside each other in a name, and the first of one so short as people's."""
    if name.isascii():
        return set()
    runs = [run.span() for run in re.finditer(f"[{_ANY}]+", name)]
    short = {BEGINS + name[0]} if runs == [(0, len(name))] and len(name) <= LONGEST_PERSON else set()
    return short | {name[at : at + 2] for start, end in runs for at in range(start, end - 1)}


def goes_on(question: str, start: int, end: int, properties: Iterable[str], known: Collection[str]) -> bool:
    """True for a name that goes on behind `end`: [北京]大学的校长, the president of [北京]大学, [東京]駅は.

    properties: those of the thing, looked at only where they matter; known: those of anything. What names a property is no part of a name.
    """
    if NUMBER.search(question[start:end]):
        return False
    rest = OF.match(question, end) or (MORE.match(question, end) if ALONE.search(question[:start]) else None)
    if rest is not None:
        return rest[1] not in known
    rest = DOES.match(question, end)
    return rest is not None and rest[1] not in known and not any(_alike(rest[1], name) for name in properties)


def _alike(words: str, name: str) -> bool:
    """True when two neighbouring characters of the words are in a name."""
    return any(words[at : at + 2] in name for at in range(len(words) - 1))
