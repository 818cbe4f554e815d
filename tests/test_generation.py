"""Several answers heard at once, drawn, stopped; models that share weights; what an answer's tokens attend to."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.attention_map import attention_of
from kblam.answering.decoding import Generation, generate
from kblam.answering.speech import Speech
from kblam.models.shipped import SHIPPED

FACTS = [
    Triple("Zembla", "capital", "Onhava"),
    Triple("Norland", "capital", "海の町"),
    Triple("AI", "description", "技术"),
]
QUESTIONS = ["What is the capital of Zembla?", "What is the capital of Norland?", "What is the capital of Atlantis?"]


@pytest.fixture(scope="module")
def model() -> KBLaM:
    return KBLaM.from_pretrained("default").attach(KnowledgeBase.from_triples(FACTS))


def test_each_question_of_a_batch_is_heard_by_its_own_listener(model: KBLaM) -> None:
    heard: list[list[str]] = [[], [], []]
    generation = Generation(listeners=[heard[0].append, None, heard[2].append])
    answers = model.ask(QUESTIONS, grounding="tokens", generation=generation)
    assert "".join(heard[0]).strip() == answers[0].text and len(heard[0]) > 1
    assert heard[1] == [] and heard[2] == [answers[2].text] and answers[2].refused


def test_words_that_may_be_corrected_are_heard_when_they_are_final(model: KBLaM) -> None:
    heard: list[list[str]] = [[], []]
    answers = model.ask(QUESTIONS[:2], generation=Generation(listeners=[pieces.append for pieces in heard]))
    assert heard == [[answer.text] for answer in answers]


def test_a_model_without_an_adapter_says_nothing_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = KBLaM.from_pretrained(SHIPPED / "base").attach(KnowledgeBase.from_triples(FACTS))
    said = plain.ask(QUESTIONS[0])
    assert "Onhava" in said.text and not said.corrected
    monkeypatch.setattr(Speech, "write", lambda self, prompts, *_: ["Onhava, a pearl of the north"] * len(prompts))
    answer = plain.ask(QUESTIONS[0])
    assert (answer.text, answer.corrected) == ("Onhava", True)


class Parrot:
    """A model that says the same to everything, token by token, until it is stopped."""

    def __init__(self, said: torch.Tensor) -> None:
        self.said = said

    def generate(self, input_ids: torch.Tensor, stopping_criteria: Any, **_: Any) -> torch.Tensor:
        for token in self.said:
            input_ids = torch.cat([input_ids, token.expand(len(input_ids), 1)], 1)
            if stopping_criteria(input_ids, torch.empty(0)).all():
                break
        return input_ids


def test_an_answer_of_one_line_ends_with_it(model: KBLaM) -> None:
    tokenizer = model.tokenizer
    said = tokenizer("\n Onhava\nQuestion: and of Norland?", add_special_tokens=False, return_tensors="pt")
    parrot: Any = Parrot(said["input_ids"][0])
    prompts = tokenizer(["Zembla"], return_tensors="pt")
    given = {name: prompts[name] for name in ("input_ids", "attention_mask")}
    whole = generate(parrot, tokenizer, given, 40, Generation(), [0])
    cut = generate(parrot, tokenizer, given, 40, Generation(), [0], one_line=True)
    assert "Norland" in whole[0] and cut[0].strip() == "Onhava"


def test_drawing_is_repeated_by_its_seed(model: KBLaM) -> None:
    def say(seed: int) -> list[str]:
        return model.say([QUESTIONS[0]] * 3, Generation(temperature=2.0, seed=seed))

    first = say(1)
    assert first == say(1) != say(2) and len(set(first)) > 1
    assert model.say(QUESTIONS) == model.say(QUESTIONS)


def test_only_what_is_abandoned_stops(model: KBLaM) -> None:
    whole = model.say(QUESTIONS[:2])
    asked: list[int] = []

    def abandoned(question: int) -> bool:
        asked.append(question)
        return question == 0

    stopped = model.say(QUESTIONS[:2], Generation(abandoned=abandoned))
    assert len(stopped[0]) < len(whole[0]) and whole[0].startswith(stopped[0])
    assert stopped[1] == whole[1] and len(asked) > 4


def test_models_beside_each_other_share_weights_not_knowledge(model: KBLaM) -> None:
    other = model.beside(KnowledgeBase.from_triples([Triple("Zembla", "capital", "Elsewhere")]))
    assert other.base is model.base
    assert "Elsewhere" in other.ask(QUESTIONS[0]).text and "Onhava" in model.ask(QUESTIONS[0]).text


def test_tokens_attend_to_the_fact_that_they_say(model: KBLaM) -> None:
    answer = model.ask(QUESTIONS[1])
    seen = attention_of(model, answer)
    assert seen is not None and "".join(seen.tokens) == answer.text
    assert "\ufffd" not in "".join(seen.tokens) and seen.facts == list(range(len(answer.citations)))
    assert all(len(row) == len(seen.facts) and 0 <= min(row) <= sum(row) <= 1.001 for row in seen.weights)
    assert sum(row[0] for row in seen.weights) / len(seen.weights) > 0.5
    plain = KBLaM.from_pretrained(SHIPPED / "base").attach(KnowledgeBase.from_triples(FACTS))
    assert attention_of(plain, plain.ask(QUESTIONS[0])) is None


def test_lengths_and_beginnings_by_tokens(model: KBLaM) -> None:
    text = "海の町 is a town"
    assert model.speech.cut(text, 1000) == text
    for tokens in range(1, model.speech.count(text)):
        begun = model.speech.cut(text, tokens)
        assert text.startswith(begun) and model.speech.count(begun) <= tokens
