"""Names in questions."""

from __future__ import annotations

import pytest

from kblam import Triple
from kblam.naming.asking import asked_property, asks_what_it_is
from kblam.naming.names import Mention, Names

ENTITIES = ("Guinea", "Republic of the Congo", "Trinidad and Tobago", "AI", "It", "C", "蒙古", "The Sun")


@pytest.fixture
def names() -> Names:
    facts = [Triple(entity, prop, "x") for entity in ENTITIES for prop in ("capital", "首都")]
    return Names([*facts, Triple("United States", "capital", "x", aliases=("USA", "U.S."))])


def found(names: Names, question: str) -> list[str]:
    return [question[mention.start : mention.end] for mention in names.mentions(question)]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the capital of guinea?", ["guinea"]),
        ("Guinea's capital?", ["Guinea"]),
        ("the capital of Trinidad and Tobago and Guinea", ["Trinidad and Tobago", "Guinea"]),
        ("AI是什么?", ["AI"]),
        ("蒙古的首都", ["蒙古"]),
        ("the capital of the USA", ["USA"]),
        ("the capital of the U.S.", ["U.S."]),
        ("Does the sun have a capital?", ["the sun"]),
        ("Regarding Guinea: which city is its seat of government?", ["Guinea"]),
        ("Take Guinea and tell me its capital.", ["Guinea"]),
        ("", []),
        ("?!", []),
    ],
)
def test_names_are_found_in_any_case_and_script(names: Names, question: str, expected: list[str]) -> None:
    assert found(names, question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "Equatorial Guinea's capital?",
        "the capital of Guinea-Bissau",
        "the capital of the Democratic Republic of the Congo",
        "Who designed C#?",
        "the capital of Guinea VValley",
        "Guineans",
        "请问New Guinea的首都",
    ],
)
def test_a_name_inside_a_longer_one_is_not_meant(names: Names, question: str) -> None:
    assert found(names, question) == []


@pytest.mark.parametrize(
    "question",
    [
        "蒙古大学的首都是什么？",
        "蒙古料理の首都は？",
        "蒙古大学在哪里？",
        "蒙古大学はどこですか",
        "蒙古都市の首都は？",
        "蒙古大学には学生が何人いますか？",
        "蒙古料理を作るのは誰？",
        "请介绍一下蒙古大学。",
        "Who runs 蒙古大学?",
        "Who runs 蒙古历史博物馆?",
        "蒙古毎日新聞の本社はどこ？",
        "蒙古首相官邸はどこですか",
        "the capital of 蒙古料理",
    ],
)
def test_a_name_that_goes_on_without_a_space_is_not_meant(names: Names, question: str) -> None:
    assert found(names, question) == []


@pytest.mark.parametrize(
    "question",
    [
        "蒙古国的首都",
        "蒙古现在的首都",
        "蒙古最大的城市",
        "蒙古首都的人口",
        "蒙古看起来是什么色的？",
        "蒙古属于谁的？",
        "在蒙古，政府的所在地是哪里？",
        "蒙古にはどの都市の政府がある？",
        "蒙古首相は誰ですか",
        "蒙古以外は？",
        "请介绍一下蒙古的情况。",
        "介绍一下蒙古情况",
        "介绍一下蒙古和上海",
        "请介绍一下蒙古好吗",
        "介绍蒙古共和国",
        "What is the capital of 蒙古国?",
        "蒙古首都圏は？",
        "蒙古紛争時は誰に連絡？",
        "蒙古・上海はどちらが大きい？",
        "Please: 蒙古首都?",
        "Please tell me 蒙古有多少人",
    ],
)
def test_what_follows_a_name_need_not_belong_to_it(names: Names, question: str) -> None:
    assert found(names, question) == ["蒙古"]


@pytest.mark.parametrize("question", ["What is the capital of Guinea?", "Guinea的首都是什么？"])
def test_the_name_of_a_property_is_not_a_thing_called_so(question: str) -> None:
    facts = [Triple("Guinea", name, "x") for name in ("capital", "首都")]
    names = Names([*facts, Triple("Capital", "founder", "x"), Triple("首都", "founder", "x")])
    assert found(names, question) == ["Guinea"]
    assert found(names, "Who is the founder of Capital?") == ["Capital"]


def test_a_greeting_is_not_a_company() -> None:
    names = Names([Triple("HI", "capital", "x"), Triple("Up", "capital", "x")])
    assert found(names, "Hi, what is the capital of it, up to now?") == []
    assert found(names, "the capital of HI and Up") == ["HI", "Up"]


def test_a_common_word_is_a_name_only_when_written_like_it(names: Names) -> None:
    assert found(names, "what is it?") == []
    assert found(names, "What is It?") == ["It"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who hit a car in Upper Falen?", ["Upper Falen"]),
        ("Who hit the CAR in Upper Falen?", ["CAR", "Upper Falen"]),
        ("the capital of car and of Upper Falen", ["car", "Upper Falen"]),
        ("what do you know about car?", ["car"]),
        ("How high is the oak in Upper Falen?", ["oak", "Upper Falen"]),
    ],
)
def test_initials_are_no_ordinary_word(question: str, expected: list[str]) -> None:
    names = Names([Triple(name, "capital", "x") for name in ("CAR", "Upper Falen", "Oak", "OAK")])
    assert found(names, question) == expected


def test_rows_of_a_mention_are_the_entitys(names: Names) -> None:
    (mention,) = names.mentions("the capital of USA")
    assert mention.rows == (2 * len(ENTITIES),)
    assert names.siblings(0) == (0, 1)


def test_each_belongs_to_the_verb(names: Names) -> None:
    assert names.is_property("首都", 1) and names.is_property("首都各", 1)
    assert not names.is_property("首", 1)


def test_properties_are_whole_words(names: Names) -> None:
    assert names.named_property("What is the CAPITAL of Guinea?", 0)
    assert not names.named_property("capitalism in Guinea", 0)
    assert names.named_property("蒙古的首都是什么", 1)


@pytest.mark.parametrize(
    "question", ["AI是什么?", "什么是AI？", "What is AI?", "Tell me about AI.", "AIとは何ですか？", "请介绍一下AI。"]
)
def test_a_question_about_the_thing_itself_asks_for_its_description(question: str) -> None:
    facts = Names([Triple("AI", "description", "x"), Triple("AI", "capital", "x")])
    assert facts.named_property(question, 0) and not facts.named_property(question, 1)
    assert asked_property(question, facts.mentions(question)[0]) == "description"


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("What is the gross product of Guinea?", "gross product"),
        ("Guinea's gross product?", "gross product"),
        ("蒙古的货币是什么？", "货币"),
        ("蒙古的货币分别是什么？", "货币"),
        ("蒙古的首都是什么？", "首都"),
        ("Who rules Guinea?", None),
        ("At the end of Guinea comes what?", None),
    ],
)
def test_the_property_that_a_question_asks_for_by_name(names: Names, question: str, asked: str | None) -> None:
    (mention,) = names.mentions(question)
    assert asked_property(question, mention) == asked


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("What is the capital of Peru?", "capital"),
        ("Hi, can you tell me the largest city of Peru?", "largest city"),
        ("capital of Peru", "capital"),
        ("How far down is the bottom of Peru?", None),
        ("In what city would I find the ministries of Peru?", None),
        ("Who owns the shoreline of Peru?", None),
    ],
)
def test_what_a_question_names_as_its_property(question: str, asked: str | None) -> None:
    at = question.index("Peru")
    assert asked_property(question, Mention(at, at + 4, (0,))) == asked


def test_a_version_counts_its_properties_for_itself() -> None:
    facts = [Triple("Peru", "capital", "Lima")]
    before = Names(facts)
    after = before.changed([*facts, Triple("Peru", "area", "x")], [1])
    assert dict(before.properties) == {"capital": 1} and dict(after.properties) == {"capital": 1, "area": 1}


def test_properties_of_other_things_are_noticed() -> None:
    names = Names(
        [Triple("Peru", "capital", "Lima"), Triple("Otus", "soil type", "clay"), Triple("蒙古", "首都", "乌兰巴托")]
    )
    for text in ("Which Soil  Type has it?", "the capital", "它的首都在哪里"):
        assert names.names_a_property(text)
    for text in ("Which soil has it?", "What types are there?", "the capitals", ""):
        assert not names.names_a_property(text)
    later = names.changed([Triple("Peru", "flag", "red"), *names._triples[1:]], [0])
    assert later.names_a_property("the flag of it") and not names.names_a_property("the flag of it")


def test_another_name_in_one_row_names_the_thing_in_all() -> None:
    facts = [
        Triple("aspirin", "formula", "C9H8O4", aliases=("acetylsalicylic acid",)),
        Triple("aspirin", "melting point", "135"),
    ]
    names = Names([*facts, Triple("ibuprofen", "melting point", "76")])
    (mention,) = names.mentions("What is the melting point of acetylsalicylic acid?")
    assert mention.rows == names.rows_named("Acetylsalicylic Acid") == (0, 1)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("新城东店的地址", []),
        ("最新城东店的地址", ["城东店"]),
        ("城东店二店的电话", []),
        ("城东店两点开门吗", ["城东店"]),
        ("张伟杰教什么科目", []),
        ("张伟教什么科目", ["张伟"]),
        ("张伟老师教什么科目", ["张伟"]),
        ("伊藤誠司さんの携帯番号", []),
        ("伊藤誠さんの携帯番号", ["伊藤誠"]),
        ("伊藤誠課長の携帯番号", ["伊藤誠"]),
        ("伊藤誠課長さんの携帯番号", ["伊藤誠"]),
        ("伊藤誠課長は誰ですか", ["伊藤誠"]),
        ("伊藤誠課長補佐は誰ですか", []),
        ("张伟校长在哪里", ["张伟"]),
        ("张伟校长室在哪里", []),
        ("张伟时间的电话", []),
        ("运动会入场时八年级5班喊的是哪句话", ["八年级5班"]),
    ],
)
def test_a_chinese_or_japanese_name_is_another_by_what_stands_beside_it(question: str, expected: list[str]) -> None:
    names = Names([Triple(name, "电话", "1") for name in ("城东店", "张伟", "伊藤誠", "八年级5班")])
    assert found(names, question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "What's AI?", "what’s ai", "AI?", "Who is AI?", "hi, could you tell me what exactly AI is?", "What do you mean by AI",
        "so what does AI mean?", "AI, what is that?", "AI到底是什么？", "AI是个什么东西", "什么叫AI？", "AI是什么意思啊", "谁是AI", "啥是AI呀",
        "能给我讲讲AI吗？", "我想知道AI是干嘛的",
        "AIとは", "AIって何ですか？", "AIってどういう意味？", "AIのことを教えてください", "AIとはどんなものですか",
    ],
)  # fmt: skip
def test_who_asks_what_a_thing_is_asks_for_its_description(question: str) -> None:
    names = Names([Triple("AI", "description", "x"), Triple("AI", "inventor", "y")])
    (mention,) = names.mentions(question)
    assert asks_what_it_is(question, mention) and asked_property(question, mention) == "description"
    assert names.named_property(question, 0) and not names.named_property(question, 1)


@pytest.mark.parametrize(
    "question",
    [
        "AI",
        "Who built AI?",
        "What does AI cost?",
        "AI是谁开发的？",
        "AI的意思和来历",
        "AIはいつできた？",
        "What is AI for?",
        "为什么叫AI",
        "AI是谁的？",
        "AIは誰のですか？",
        "AI不是什么",
        "AI能不能？",
        "What does AI do?",
        "What can AI do to us?",
        "Who was AI by?",
    ],
)
def test_who_asks_for_more_does_not(question: str) -> None:
    names = Names([Triple("AI", "description", "x")])
    (mention,) = names.mentions(question)
    assert not asks_what_it_is(question, mention)
