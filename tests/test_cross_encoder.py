"""An encoder that reads questions and statements together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_encoder import MEAN, sentence_folder
from tiny_training import WordsEncoder

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.evidence import evidence
from kblam.answering.pairs import MOST_PAIRED, Pairs
from kblam.answering.reader import Reader
from kblam.answering.statements import statement, statement_of
from kblam.cli import main
from kblam.errors import EncoderError, ModelError
from kblam.knowledge import load_encoder, sentence_model
from kblam.knowledge.cross_encoder import BATCH, CrossWeights, load_cross_encoder
from kblam.knowledge.encoders import DEFAULT_ENCODER, LARGER_ENCODER
from kblam.knowledge.sentence_model import load_sentence_model
from kblam.models.adapter import Adapter
from kblam.models.refusal import CROSS_EVIDENCE, EVIDENCE
from kblam.models.shipped import LARGE_MODEL, shipped_adapter
from kblam.training.cross_encoder import STRANGE, CrossPlan, _choice_loss, _opinion, train_cross_encoder
from kblam.training.pair_lessons import Lesson, Nameless, NamelessLessons
from kblam.training.questions import make_practice

QUESTIONS = ["In which town do the ministers of Mongolia sit?", "How big is Torlia?", "Who am I?"]
FACTS = [
    Triple("Mongolia", "capital", "Ulaanbaatar"),
    Triple("Mongolia", "area", "1,564,116 square kilometres"),
    Triple("Torlia", "size", "9 cm"),
]
QUERY = "encoder.layer.0.attention.self.query"


def tiny_weights(width: int = 16) -> CrossWeights:
    return CrossWeights({QUERY: (torch.randn(2, 16), torch.randn(16, 2))}, torch.randn(width), torch.tensor(0.5))


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """The folder of a tiny random encoder."""
    kind = ["Transformer", "Pooling", "Normalize"]
    return str(sentence_folder(tmp_path / "tiny", kind, MEAN, {"max_seq_length": 30}))


@pytest.fixture
def adapter(tiny: str) -> Adapter:
    """The shipped one with a tiny random cross-encoder, and none that reads whole facts."""
    adapter = shipped_adapter()
    adapter.take_fact_encoder(None, None)
    adapter.take_cross_encoder(tiny, tiny_weights())
    assert adapter.name_bonus is not None
    adapter.name_bonus[3] = 1.5
    return adapter


def test_a_pair_is_read_in_one_text_whatever_stands_beside_it(tiny: str) -> None:
    weights = tiny_weights()
    cross = load_cross_encoder(tiny, weights)
    asked = ["the capital of mongolia" if at % 3 else "query :" for at in range(2 * BATCH + 5)]
    stated = ["the capital" if at % 2 else "the query of of of of" for at in range(len(asked))]
    logits = cross.logits(asked, stated)
    model = load_sentence_model(tiny).tuned(weights.updates)
    tokens = model.tokenizer(asked[1], stated[1], return_tensors="pt")
    assert tokens["token_type_ids"].unique().tolist() == [0, 1]
    expected = model.network(**tokens).last_hidden_state[0].mean(0) @ weights.head + weights.bias
    torch.testing.assert_close(logits[1], expected, atol=0.02, rtol=0.02)
    torch.testing.assert_close(logits[1::6], logits[1].expand(len(logits[1::6])), atol=0.02, rtol=0.02)
    with pytest.raises(EncoderError, match="vectors of 5 numbers"):
        load_cross_encoder(tiny, tiny_weights(5))
    with pytest.raises(EncoderError, match="do not fit"):
        load_cross_encoder(tiny, replace(weights, updates={"encoder.layer.9": (torch.ones(1, 1), torch.ones(1, 1))}))


@pytest.mark.parametrize("quick", [True, False])
def test_pairs_are_half_precise_where_that_is_quicker(tiny: str, monkeypatch: pytest.MonkeyPatch, quick: bool) -> None:
    monkeypatch.setattr(sentence_model, "multiplies_bfloat16", lambda device: quick)
    cross = load_cross_encoder(tiny, tiny_weights())
    assert cross.model.network.dtype == (torch.bfloat16 if quick else torch.float32)
    assert load_sentence_model(tiny).network.dtype == torch.float32
    assert cross.logits(["query :"], ["the capital"]).dtype == torch.float32


def test_each_pair_is_read_once() -> None:
    read: list[tuple[str, str]] = []

    def make(asked: list[str], stated: list[str]) -> torch.Tensor:
        read.extend(zip(asked, stated, strict=True))
        return torch.tensor([float(len(text)) for text in stated])

    pairs = Pairs(make, lambda fact: fact.value)  # type: ignore[arg-type]
    one, two, three = (Triple("thing", "p", value) for value in ("x", "xy", "xyz"))
    assert pairs.logits(["a", "a", "b"], [one, one, two]).tolist() == [1, 1, 2]
    assert pairs.logits(["b", "c"], [two, three]).tolist() == [2, 3]
    assert read == [("a", "x"), ("b", "xy"), ("c", "xyz")]
    Pairs(make, statement_of).logits(["电话"], [Triple("他", "电话", "110")])  # type: ignore[arg-type]
    assert read[-1] == ("phone number", "the phone number of it is 110")


def test_logits_decide_among_the_rows_of_what_is_named(adapter: Adapter) -> None:
    encoder = load_encoder(DEFAULT_ENCODER)
    snapshot = KnowledgeBase.from_triples(FACTS, encoder).snapshot()
    bare = shipped_adapter()
    for take in (bare.take_fact_encoder, bare.take_cross_encoder):
        take(None, None)
    reader, plain = Reader(adapter, snapshot, encoder), Reader(bare, snapshot, encoder)
    adapter.name_bonus[:3] = bare.name_bonus[:3]  # type: ignore[index]
    reading, usual = reader.read(QUESTIONS), plain.read(QUESTIONS)
    assert reading.nameless[0] == "In which town do the ministers of it sit?" and reading.nameless[2] == "Who am I?"
    cross = adapter.cross_encoder()
    assert cross is not None and cross is adapter.cross_encoder()
    stated = [statement(fact.property, fact.value) for fact in FACTS]
    logits = cross.logits([reading.nameless[0]] * 2 + [reading.nameless[1]], stated)
    added = torch.zeros(3, 3)
    added[0, :2], added[1, 2] = 1.5 * logits[:2], 1.5 * logits[2]
    torch.testing.assert_close(reader.scores(reading) - plain.scores(usual), added, atol=0.05, rtol=0)
    found = evidence(reader, reading, [0, 2, 1])
    assert found.shape == (3, len(EVIDENCE) + len(CROSS_EVIDENCE))
    torch.testing.assert_close(found[0, -2:], torch.stack([logits[0], logits[0] - logits[1]]), atol=0.05, rtol=0)
    torch.testing.assert_close(found[1, -2:], logits[2].expand(2), atol=0.05, rtol=0)


def test_only_the_likeliest_rows_of_a_thing_are_read_together_with_a_question(adapter: Adapter) -> None:
    encoder, calls = load_encoder(DEFAULT_ENCODER), []
    facts = [Triple("Mongolia", f"quality {number}", str(number)) for number in range(MOST_PAIRED + 20)]
    reader = Reader(adapter, KnowledgeBase.from_triples(facts, encoder).snapshot(), encoder)

    def make(asked: list[str], stated: list[str]) -> torch.Tensor:
        calls.append(len(asked))
        return torch.arange(len(asked)) + 5.0

    reader.nameless_pairs = Pairs(make, statement_of)  # type: ignore[arg-type]
    scores = torch.arange(len(facts)) % 7 * 1.0
    (logits,) = reader.nameless_pairs.among(["What is it?"], [facts], [scores])
    assert calls == [MOST_PAIRED] and (logits > 5).sum() == MOST_PAIRED - 1
    assert set((logits > 5).nonzero()[:, 0].tolist()) < set((scores >= 5).nonzero()[:, 0].tolist())
    reading = reader.read(["What is the quality 3 of Mongolia?"])
    assert evidence(reader, reading, [27])[0, -2] >= 5  # the row itself is read, however unlikely


def test_an_adapter_keeps_its_cross_encoder(adapter: Adapter, tmp_path: Path) -> None:
    adapter.save(tmp_path / "adapter")
    again = Adapter.load(tmp_path / "adapter")
    ours, theirs = adapter.cross_encoder(), again.cross_encoder()
    assert ours is not None and theirs is not None
    assert torch.equal(ours.logits(QUESTIONS, QUESTIONS), theirs.logits(QUESTIONS, QUESTIONS))
    assert (
        again.evidence == EVIDENCE + CROSS_EVIDENCE
        and again.encoder_weights().keys() == adapter.encoder_weights().keys()
    )
    again.take_cross_encoder(None, None)
    again.save(tmp_path / "adapter")
    bare = Adapter.load(tmp_path / "adapter")
    assert bare.cross_encoder() is None and bare.evidence == EVIDENCE
    assert not (tmp_path / "adapter" / "cross_encoder.safetensors").exists()
    torch.testing.assert_close(bare.refusal_weight, adapter.refusal_weight[:, : len(EVIDENCE)])  # type: ignore[index]


def test_both_models_ship_with_a_cross_encoder() -> None:
    small, large = shipped_adapter(), shipped_adapter(LARGE_MODEL)
    assert (small.config.cross_encoder, large.config.cross_encoder) == (DEFAULT_ENCODER, LARGER_ENCODER)
    assert small.cross_weights is not None and large.cross_weights is not None
    assert small.cross_weights.head.shape == (384,) and large.cross_weights.head.shape == (768,)


def test_what_is_missing_is_said(adapter: Adapter, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter.save(tmp_path / "adapter")
    file = tmp_path / "adapter" / "cross_encoder.safetensors"
    file.write_bytes((tmp_path / "adapter" / "question_encoder.safetensors").read_bytes())
    with pytest.raises(ModelError, match="holds no head and bias of a cross-encoder"):
        Adapter.load(tmp_path / "adapter")
    file.unlink()
    with pytest.raises(ModelError, match=r"cross_encoder\.safetensors is missing"):
        Adapter.load(tmp_path / "adapter")
    adapter.config = replace(adapter.config, cross_encoder=str(tmp_path / "nowhere"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("kblam.models.pretrained.shipped_adapter", lambda name: adapter)
        patched.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert main(["ask", "What is AI?"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_model_with_another_cross_encoder_is_saved_and_asked(
    adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kblam.models.pretrained.shipped_adapter", lambda name: adapter)
    model = KBLaM.from_pretrained("default").attach(KnowledgeBase.from_triples(FACTS, load_encoder(DEFAULT_ENCODER)))
    model.save(tmp_path / "saved")
    again = KBLaM.from_pretrained(tmp_path / "saved")
    assert again.adapter is not None and again.adapter.config.cross_encoder == adapter.config.cross_encoder
    answers = [each.ask("What is the capital of Mongolia?") for each in (model, again)]
    assert answers[0].text == answers[1].text and "Ulaanbaatar" in answers[0].text


# -- training ----------------------------------------------------------------------------------------------------------


def test_the_choice_is_between_the_statements_and_none_of_them() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0], [0.0, 1.0, -1.0]])
    there = torch.tensor([True, False])
    expected = -torch.log(
        torch.stack([logits[0].exp()[0] / (1 + logits[0].exp().sum()), 1 / (1 + logits[1].exp().sum())])
    )
    torch.testing.assert_close(_choice_loss(logits, there, None, CrossPlan()), expected.mean())
    agreed = _choice_loss(logits, there, torch.tensor([[30.0, 0.0, 0.0], [-30.0, -30.0, -30.0]]), CrossPlan())
    torch.testing.assert_close(agreed, expected.mean(), atol=1e-3, rtol=0)
    other = _choice_loss(logits, there, torch.tensor([[0.0, 0.0, 30.0], [0.0, 30.0, -30.0]]), CrossPlan())
    assert other > agreed


def test_a_teacher_is_heard_only_where_it_has_something_to_say() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0], [0.0, 1.0, -1.0]])
    there = torch.tensor([True, False])
    alone = [_choice_loss(logits[[at]], there[[at]], None, CrossPlan()) for at in (0, 1)]
    opinion = torch.tensor([[0.0, 0.0, 30.0], [torch.nan] * 3])
    taught = _choice_loss(logits[[0]], there[[0]], opinion[[0]], CrossPlan())
    assert taught > alone[0]
    torch.testing.assert_close(_choice_loss(logits, there, opinion, CrossPlan()), (taught + alone[1]) / 2)


def test_a_teacher_reads_no_names_and_takes_nothing_else_for_the_thing() -> None:
    class Teacher:
        def logits(self, asked: tuple[str, ...], stated: tuple[str, ...]) -> torch.Tensor:
            assert asked == ("Where is it?", "Where is it?") and stated == (
                "the place of it is Rome",
                "the age of it is 3",
            )
            return torch.tensor([4.0, -3.0])

    own = Nameless("Where is it?", ("the place of it is Rome", None, "the age of it is 3"))
    lessons = [Lesson("Where is Ann?", ("", "", ""), True, own), Lesson("Where is Bob?", ("", "", ""), False)]
    opinion = _opinion(Teacher(), lessons)  # type: ignore[arg-type]
    assert opinion[0].tolist() == [4.0, -STRANGE, -3.0] and opinion[1].isnan().all()


def test_it_learns_to_tell_two_properties_apart_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = [Triple(f"thing {number}", name, "so") for number in range(20) for name in ("shirley", "monday")]
    practice = make_practice(facts, WordsEncoder(), 0, progress=False)
    lessons = replace(NamelessLessons.about(practice, statements=1), strange=0.0, paraphrased=0.0)
    plan = CrossPlan(steps=40, questions=12, rank=8, rate=2e-3, warmup=3)
    losses: list[float] = []
    model = load_sentence_model(DEFAULT_ENCODER)
    monkeypatch.setattr("kblam.training.cross_encoder.KEPT", 20)
    kept: list[int] = []

    def keep(weights: CrossWeights) -> None:
        kept.append(len(losses))

    weights = train_cross_encoder(model, lessons, plan, lambda step, loss: losses.append(loss), keep=keep)
    assert kept == [20, 40]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5]) and len(losses) == 40
    asked = [f"What is the {name} of it?" for name in ("shirley", "shirley", "monday", "monday")]
    stated = [statement(name) for name in ("shirley", "monday") * 2]
    right, wrong, other, own = load_cross_encoder(DEFAULT_ENCODER, weights).logits(asked, stated)
    assert right > wrong and own > other
    again = train_cross_encoder(model, lessons, replace(plan, steps=0), print, start=weights)
    assert all(torch.equal(one, other) for one, other in zip(_matrices(again), _matrices(weights), strict=True))
    halves = {name: (down.half(), up.half()) for name, (down, up) in weights.updates.items()}
    goes_on = train_cross_encoder(model, lessons, replace(plan, steps=1), print, start=replace(weights, updates=halves))
    assert {matrix.dtype for matrix in _matrices(goes_on)} == {torch.float32}
    teacher = load_cross_encoder(DEFAULT_ENCODER, replace(weights, head=-weights.head))
    taught = train_cross_encoder(model, lessons, replace(plan, steps=1), print, weights, teacher)
    assert not torch.equal(
        taught.head, train_cross_encoder(model, lessons, replace(plan, steps=1), print, weights).head
    )


def _matrices(weights: CrossWeights) -> list[torch.Tensor]:
    return [*(matrix for pair in weights.updates.values() for matrix in pair), weights.head, weights.bias]
