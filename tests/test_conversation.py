"""Questions that go back to an earlier one."""

from __future__ import annotations

import pytest

from kblam import KnowledgeBase, Triple
from kblam.answering.conversation import in_conversation
from kblam.answering.pronouns import goes_back, named
from kblam.answering.reader import Reader
from kblam.knowledge import load_encoder
from kblam.models.shipped import shipped_adapter

FACTS = [
    Triple("Brindle Optics", "address", "Kiln Lane 4"),
    Triple("Marta Kowalczyk", "phone extension", "2201"),
    Triple("蒙古", "首都", "乌兰巴托"),
]

FLAMES = "There are flames in the kitchen and it is spreading, what do I dial?"


@pytest.fixture(scope="module")
def reader() -> Reader:
    encoder = load_encoder("all-MiniLM-L6-v2")
    return Reader(shipped_adapter(), KnowledgeBase.from_triples(FACTS, encoder).snapshot(), encoder)


@pytest.mark.parametrize(
    ("earlier", "question", "meant"),
    [
        (["Who runs Brindle Optics?"], "and its address?", "the address of Brindle Optics?"),
        (["Who runs Brindle Optics?", "Thank you."], "What about the address?", "What about the address of Brindle Optics?"),
        (["Who runs Brindle Optics?", "What is Kowalczyk's job?"], "How do I reach her by phone?", "How do I reach Marta Kowalczyk by phone?"),
        (["蒙古有多大？"], "它的首都是什么？", "蒙古的首都是什么?"),
        (["蒙古の首都は？"], "その人口は？", "蒙古の人口は?"),
        (["Who runs Brindle Optics?"], "And her extension, I mean Marta Kowalczyk's?", "And her extension, I mean Marta Kowalczyk's?"),
        (["Who runs Brindle Optics?"], "When does the canteen close?", "When does the canteen close?"),
        (["Who runs Brindle Optics?"], "And the address of Atlantis?", "And the address of Atlantis?"),
        (["Who runs Brindle Optics?"], "And the Atlantis?", "And the Atlantis?"),
        (["Who runs Brindle Optics?"], "How do I reach IT support?", "How do I reach IT support?"),
        (["蒙古有多大？"], "土耳其的首都是什么？", "土耳其的首都是什么？"),
        (["蒙古の首都は？"], "他の国の首都は？", "他の国の首都は？"),
        (["蒙古の首都は？"], "それぞれの人口は？", "それぞれの人口は？"),
        (["Who runs Brindle Optics?"], FLAMES, FLAMES),
        (["Who runs Brindle Optics?" + " please" * 200], "and its address?", "and its address?"),
        (["Hello!"], "and its address?", "and its address?"),
        ([], "and its address?", "and its address?"),
    ],
)  # fmt: skip
def test_what_stands_for_a_thing_is_the_one_named_last(
    reader: Reader, earlier: list[str], question: str, meant: str
) -> None:
    assert in_conversation(reader, question, earlier) == meant


@pytest.mark.parametrize(
    "question",
    ["其他城市呢", "吉他多少钱", "其实北京很大", "他人的房间", "彼得的电话", "その他の国は", "Which items sit here?"],
)
def test_words_that_only_look_like_pronouns_stand_for_nothing(question: str) -> None:
    assert not goes_back(question)


def test_owners_and_others_are_told_apart() -> None:
    assert named("how long is her contract", "Ada") == "how long is Ada's contract"
    assert named("how do I reach her by phone", "Ada") == "how do I reach Ada by phone"
    assert named("who likes her", "Ada") == "who likes Ada"
    assert named("彼女の電話は", "Ada") == "Adaの電話は"
