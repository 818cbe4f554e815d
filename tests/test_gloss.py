"""Chinese and Japanese words in English."""

from __future__ import annotations

from pathlib import Path

import pytest

import kblam.answering
from kblam.answering.gloss import FOREIGN, LONGEST, in_english

FILES = [Path(kblam.answering.__file__).with_name(f"{language}.tsv") for language in ("chinese", "japanese")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("it多少钱？", {"it", "how", "cost"}),
        ("谁写了it？", {"who", "wrote"}),
        ("itの電話番号は何番ですか？", {"it", "phone", "number"}),
        ("itはいつ設立されましたか？", {"when", "founded"}),
        ("the 首都 of it is 乌兰巴托市", {"the", "capital", "of", "it", "is"}),
    ],
)
def test_words_are_put_into_english(text: str, words: set[str]) -> None:
    assert words <= set(in_english(text).replace("?", " ").split())


def test_what_is_unknown_stays() -> None:
    assert "丂丄" in in_english("丂丄的首都")


@pytest.mark.parametrize("text", ["What is the capital of it?", "", "Où est-ce ?", "Ω ≤ 3 µm"])
def test_other_scripts_are_left_alone(text: str) -> None:
    assert in_english(text) == text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dictionary_has_each_word_once_and_english_for_it(path: Path) -> None:
    rows = [row.split("\t") for row in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) > 1500 and all(len(row) == 2 for row in rows)
    assert all(word == word.strip() != "" and english == english.strip() for word, english in rows)
    assert len({word for word, _ in rows}) == len(rows) and max(len(word) for word, _ in rows) <= LONGEST
    assert [row for row in rows if FOREIGN.search(row[1])] == []
