"""What a question asks of the thing it names: what it is, all there is to know, or a property."""

from __future__ import annotations

import re

from kblam.naming.mention import Mention

__all__ = ["asked_property", "asks_for_everything", "asks_what_it_is", "is_description"]

DESCRIPTIONS = frozenset("description definition 描述 定义 介绍 説明 定義".split())
BARE = re.compile(
    r"\b(?:(?:what|who)['’]?s|what|who|is|are|was|were|tell|me|about|explain|describe|define|the|a|an|please|pls|can|could|would|you|do|know|does"
    r"|mean|means|meant|meaning|by|to|us|we|it|that|this|they|exactly|actually|really|someone|somebody|anyone|ok|okay|hi|hello|hey|so|then)\b"
    r"|是?[什啥]么?意思|是个?什[么麼]|什[么麼][是叫]|[是叫]个?啥|啥[是叫]|是谁|谁是|是?干[嘛什]么?用?的|到底|究竟|请问?|麻烦|你好|介绍|解释|讲讲|说说|讲解|[讲说]一下|一下|告诉我|给我|关于"
    r"|我?想知道|能?(?:不能)?给我|你?能|吗|呢|呀|啊|吧|[这那]个|这|那|东西|东东|玩意儿?"
    r"|とは|って|何者?|誰|どなた|どんな(?:もの|人|こと)?|どういう(?:もの|人|意味|こと)?|の?意味|(?:の|な)こと|なに|なん|もの|でしょうか|ですか|です|について|を?教えて(?:ください)?|を?説明して(?:ください)?"
    r"|ください|簡単に|詳しく|を|は|か|よ|ね"
)
"""All that a question about a thing as such says beside its name."""


BESIDES = re.compile(
    r"\b(?:does|did|can|could|do|would|will)\b.*\bdo\b|\bto (?!me\b|us\b)|\bdo\b.* to us|(?<!mean )(?<!meant )\bby\W*$"
    r"|[谁誰][的の]|不是|能不能\W*$"
)
"""What asks for something else in such words: what a thing does, whose it is."""


OPEN = re.compile(
    r"\bwhat (?:do|does|should|can|could|is|must) (?:you |i |we |one |there |be )*"
    r"(?:know|known|tell me|say|said|learn)(?: to know)? (?:about|of)\b|"
    r"(?:都)?(?:知道|了解)(?:些|哪些|一些)?什么|何を知っていますか|知っていること|"
    r"\b(?:describe|overview|summary|summari[sz]e|everything|all|introduce|introduction|note|portrait|profile|facts|information)\b"
    r"|概述|概况|概要|简介|总结|全部|所有|一切|信息|すべて|全て|まとめて|紹介"
)
"""What asks for all that is known of a thing."""
FILLING = re.compile(
    r"\b(?:give|write|make|show|short|brief|quick|little|few|words|word|in|of|for|on|it|this|that|there|known|know|here|one|two|sentences|sentence|some|any|every|all|i|we|want|need|would|like|please|have|has|say|said|should|must|could|learn|be)\b"
    r"|你|您|我|写|一个|一份|简短|有关|的|请|して|ください|の|を|に|で|よ|書いて|短く"
)
"""What may stand beside it."""


ELSEWHERE = re.compile(
    r"\b(?:how|who|whom|whose|where|when|why|which)\b|\b(?:in|at|on|from|to|by|for|under|with|of) what\b", re.IGNORECASE
)
"""What asks for something else than it names: `How far down is the bottom of NAME?` does not ask for a bottom."""


def is_description(name: str) -> bool:
    """True for a property that tells what a thing is, whatever it is called."""
    return " ".join(name.casefold().split()) in DESCRIPTIONS


def asks_what_it_is(question: str, mention: Mention) -> bool:
    """True for `What is NAME?`, `NAME是什么？`, `NAMEとは何ですか？` and their like, which ask for no property."""
    rest = f"{question[: mention.start]} {question[mention.end :]}".casefold()
    return re.sub(r"\W", "", BARE.sub("", rest)) == "" and rest.strip() != "" and not BESIDES.search(rest)


def asks_for_everything(question: str, mention: Mention) -> bool:
    """True for `Describe NAME`, `Give me an overview of NAME`, `介绍NAME的全部信息` and their like."""
    rest = f"{question[: mention.start]} {question[mention.end :]}".casefold()
    return OPEN.search(rest) is not None and re.sub(r"\W", "", OPEN.sub("", FILLING.sub("", BARE.sub("", rest)))) == ""


def asked_property(question: str, mention: Mention) -> str | None:
    """The words that stand for a property in `the ... of NAME`, `NAME's ...` or `NAME的...`; None for questions put
    another way."""
    if asks_what_it_is(question, mention):
        return "description"
    before, after = question[: mention.start], question[mention.end :]
    of = re.search(r"\bthe ((?:(?!the\b)[\w-]+ ){0,3}[\w-]+) of (?:the )?$", before, re.IGNORECASE)
    bare = re.match(r"((?:[\w-]+ ){0,3}[\w-]+) of (?:the )?$", before)
    if of is None and bare and not BARE.search(bare[1]):
        of = bare
    if of and ELSEWHERE.search(before[: of.start(1)]):
        of = None
    has = re.match(r"(?:'s|’s) ((?:[\w-]+ ){0,3}[\w-]+)\s*[?.!]*$", after)
    cjk = re.match("[的の]([^是はがを？?。]{1,12}?)(?:分别|各自)?(?:[是はがを？?。]|$)", after)
    ends = re.match(r"(?: is)?\s*[?.!]*$", after)
    return of[1] if of and ends else has[1] if has else cjk[1] if cjk else None
