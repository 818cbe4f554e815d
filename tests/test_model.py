"""Answers of the shipped model."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from test_original import FOLDERS, GOLDEN, expected, load_base

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.prompts import REFUSAL
from kblam.errors import EncoderError, InputError
from kblam.models.shipped import SHIPPED

FACTS = [
    Triple("AI", "description", "人工智能是模拟人类智能的技术"),
    Triple("Zembla", "capital", "Onhava"),
    Triple("Zembla", "phone prefix", "+999 17-B"),
    Triple("Norland", "capital", "Fjordheim am See"),
    Triple("Norland", "founding year", "1287"),
]


@pytest.fixture(scope="module")
def model() -> KBLaM:
    return KBLaM.from_pretrained("default")


@pytest.fixture
def knowledge() -> KnowledgeBase:
    return KnowledgeBase.from_triples(FACTS)


def test_answers_hold_the_value_and_cite_the_fact(model: KBLaM, knowledge: KnowledgeBase) -> None:
    model.attach(knowledge)
    questions = [
        "What is the capital of Zembla?",
        "AI是什么?",
        "Zembla's phone prefix?",
        "What is the founding year of Norland?",
    ]
    for answer, fact in zip(model.ask(questions), (FACTS[1], FACTS[0], FACTS[2], FACTS[4]), strict=True):
        assert fact.value in answer.text
        assert answer.citations[0].triple == fact
        assert not answer.refused and 0.5 < answer.confidence <= 1
        assert answer.rows == 5 and answer.version == 0 and answer.grounding == "quote"


@pytest.mark.parametrize(
    "question", ["What is the capital of Atlantis?", "KBLaM是什么?", "What is the national anthem of Zembla?"]
)
def test_what_is_not_there_is_refused(model: KBLaM, knowledge: KnowledgeBase, question: str) -> None:
    answer = model.attach(knowledge).ask(question)
    assert answer.refused and answer.text == REFUSAL and answer.confidence < 0.5


def test_two_facts_in_one_question(model: KBLaM, knowledge: KnowledgeBase) -> None:
    answer = model.attach(knowledge).ask("What is the capital of Zembla and the founding year of Norland?")
    assert "Onhava" in answer.text and "1287" in answer.text
    assert {citation.triple for citation in answer.citations[:2]} == {FACTS[1], FACTS[4]}


def test_changes_count_at_the_next_question(model: KBLaM, knowledge: KnowledgeBase) -> None:
    model.attach(knowledge)
    assert "Onhava" in model.ask("What is the capital of Zembla?").text
    knowledge.set(Triple("Zembla", "capital", "New Onhava 2"))
    changed = model.ask("What is the capital of Zembla?")
    assert "New Onhava 2" in changed.text and changed.version == 1
    knowledge.remove("Zembla", "capital")
    assert "Onhava" not in model.ask("What is the capital of Zembla?").text


def test_removing_the_cited_fact_changes_the_answer(model: KBLaM, knowledge: KnowledgeBase) -> None:
    model.attach(knowledge)
    for fact in FACTS[1:]:
        question = f"What is the {fact.property} of {fact.entity}?"
        cited = model.ask(question).citations[0].triple
        assert cited == fact
        knowledge.remove(*cited.identity)
        assert fact.value not in model.ask(question).text


def test_a_batch_answers_like_single_questions(model: KBLaM, knowledge: KnowledgeBase) -> None:
    model.attach(knowledge)
    questions = ["What is the capital of Zembla?", "Norland's founding year?", "What is the capital of Atlantis?"]
    assert [answer.text for answer in model.ask(questions)] == [model.ask(question).text for question in questions]


def test_empty_knowledge_refuses(model: KBLaM) -> None:
    assert model.attach(KnowledgeBase.empty()).ask("What is the capital of Zembla?").refused


@pytest.mark.parametrize("grounding", ["quote", "tokens"])
def test_text_arrives_whole_through_on_text(model: KBLaM, knowledge: KnowledgeBase, grounding: str) -> None:
    pieces: list[str] = []
    answer = model.attach(knowledge).ask("What is the capital of Zembla?", grounding=grounding, on_text=pieces.append)  # type: ignore[arg-type]
    assert "".join(pieces).strip() == answer.text
    assert answer.grounding == grounding


@pytest.mark.parametrize("question", ["", "   ", "x" * 100_000])
def test_questions_that_cannot_be_asked(model: KBLaM, knowledge: KnowledgeBase, question: str) -> None:
    with pytest.raises(InputError):
        model.attach(knowledge).ask(question)


def test_asking_without_knowledge_says_what_to_do(model: KBLaM) -> None:
    model.detach()
    with pytest.raises(InputError, match="--kb"):
        model.ask("What is the capital of Zembla?")


def test_knowledge_of_another_encoder_is_refused(model: KBLaM) -> None:
    with pytest.raises(EncoderError, match="ada-002"):
        model.attach(KnowledgeBase.empty("text-embedding-ada-002"))


def test_saving_and_loading_answers_alike(model: KBLaM, knowledge: KnowledgeBase, tmp_path: Path) -> None:
    model.attach(knowledge).save(tmp_path / "enhanced")
    with KBLaM.from_pretrained(tmp_path / "enhanced") as again:
        assert again.ask("What is the capital of Zembla?").text == model.ask("What is the capital of Zembla?").text


def test_threads_with_two_models_and_bases_do_not_mix(model: KBLaM, knowledge: KnowledgeBase) -> None:
    other = KBLaM.from_pretrained("default").attach(
        KnowledgeBase.from_triples([Triple("Zembla", "capital", "Elsewhere")])
    )
    model.attach(knowledge)
    said: dict[str, set[str]] = {"Onhava": set(), "Elsewhere": set()}

    def ask(mine: KBLaM, value: str) -> None:
        for _ in range(3):
            said[value].add(mine.ask("What is the capital of Zembla?").text)

    threads = [threading.Thread(target=ask, args=pair) for pair in ((model, "Onhava"), (other, "Elsewhere"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(value in text for value, texts in said.items() for text in texts) and all(said.values())


@pytest.mark.parametrize("name", FOLDERS)
def test_the_originals_files_compute_what_the_original_computed(name: str, tmp_path: Path) -> None:
    load_base(name).save_pretrained(tmp_path)
    golden, files = expected(name), GOLDEN / name
    model = KBLaM.from_original(tmp_path, files / "checkpoint", files / "encoder")
    inputs = {"input_ids": golden["input_ids"], "attention_mask": golden["attention_mask"]}
    seen = inputs["attention_mask"].bool()
    knowledge = KnowledgeBase.from_embeddings(golden["key_embeddings"].numpy(), golden["value_embeddings"].numpy())
    with model.attach(knowledge):
        attending = model.base(**inputs).logits[seen]
    torch.testing.assert_close(attending, golden["logits_kb_scale100"][seen], atol=1e-4, rtol=0)
    torch.testing.assert_close(model.base(**inputs).logits[seen], golden["logits_no_kb"][seen], atol=1e-4, rtol=0)


def test_a_model_without_an_adapter_quotes_by_similarity(knowledge: KnowledgeBase) -> None:
    plain = KBLaM.from_pretrained(SHIPPED / "base").attach(knowledge)
    assert plain.adapter is None and plain.notice is not None and "kblam train" in plain.notice
    answer = plain.ask("What is the capital of Zembla?")
    assert not answer.refused and answer.citations[0].triple == FACTS[1]
    assert plain.ask("What is the capital of Atlantis?").refused
    with pytest.raises(InputError, match="no trained adapter"):
        plain.ask("What is the capital of Zembla?", grounding="tokens")


def test_rows_can_be_chosen_again_while_the_model_speaks(model: KBLaM, knowledge: KnowledgeBase) -> None:
    model.attach(knowledge)
    questions = ["What is the capital of Zembla?", "What is the founding year of Norland?"]
    wanted = [answer.text for answer in model.ask(questions, grounding="tokens")]
    # Five rows are fewer than are kept, so that every rhythm has the same.
    for every in ("question", "sentence", "token"):
        assert [answer.text for answer in model.ask(questions, grounding="tokens", every=every)] == wanted
    with pytest.raises(InputError, match="every 'word' is unknown"):
        model.ask(questions, every="word")  # type: ignore[call-overload]


RUNS_TOGETHER = [
    Triple("pump P-100", "range", "-10 to 40 C"),
    Triple("printer 4", "location", "floor 4"),
    Triple("LX-200 lens", "price", "1250 EUR"),
    Triple("LX-200 lens", "warranty period", "36 months"),
    Triple("travel policy", "text", " ".join(f"rule{number}" for number in range(2000))),
    Triple("travel policy", "owner", "Mia Torres"),
]


@pytest.fixture(scope="module")
def lenses() -> KBLaM:
    model = KBLaM.from_pretrained("default")
    return model.attach(KnowledgeBase.from_triples(RUNS_TOGETHER, "all-MiniLM-L6-v2"))


@pytest.mark.parametrize(("name", "fact"), [("pump P-100", RUNS_TOGETHER[0]), ("printer 4", RUNS_TOGETHER[1])])
def test_a_name_that_ends_as_the_value_begins_does_not_run_into_it(lenses: KBLaM, name: str, fact: Triple) -> None:
    answer = lenses.ask(f"What is the {fact.property} of {name}?")
    assert answer.text in (fact.value, f"The {fact.property} of {name} is {fact.value}")


def test_each_part_of_a_question_is_answered_or_named(lenses: KBLaM) -> None:
    both = lenses.ask("What is the price of the LX-200 lens and how long is its warranty?")
    first, second = both.text.split("\n")
    assert "1250 EUR" in first and "36 months" in second and "price" not in second
    half = lenses.ask("What is the price of the LX-400 lens and the price of the LX-200 lens?")
    assert not half.refused and "1250 EUR" in half.text
    assert half.text.startswith("Not in the knowledge base: What is the price of the LX-400 lens\n")
    assert lenses.ask("What is the price of the LX-400 lens and the price of the LX-500 lens?").text == REFUSAL


def test_a_value_longer_than_the_model_reads_is_given_as_it_is_stored(lenses: KBLaM) -> None:
    pieces: list[str] = []
    assert lenses.ask("What is the text of the travel policy?", on_text=pieces.append).text == RUNS_TOGETHER[4].value
    assert "".join(pieces) == RUNS_TOGETHER[4].value
    everything = lenses.ask("What do you know about the travel policy?").text
    assert RUNS_TOGETHER[4].value in everything and "Mia Torres" in everything


def test_no_question_has_no_answer(lenses: KBLaM) -> None:
    assert lenses.ask([]) == []
    for nothing in (None, "half \ud800"):
        with pytest.raises(InputError, match="the question"):
            lenses.ask(nothing)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"'kb.csv' is no knowledge base"):
        lenses.attach("kb.csv")  # type: ignore[arg-type]
