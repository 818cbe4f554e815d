"""A second encoder that compares what questions and facts mean once names are left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_encoder import MEAN, sentence_folder

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.evidence import evidence
from kblam.answering.reader import Reader
from kblam.cli import main
from kblam.errors import ModelError
from kblam.knowledge import load_encoder, sentence_model
from kblam.knowledge.encoders import LARGER_ENCODER
from kblam.knowledge.packaged import packaged_folder
from kblam.models.adapter import Adapter
from kblam.models.shipped import DEFAULT_MODEL, LARGE_MODEL, save_larger_reading, shipped_adapter

QUESTIONS = ["In which town do the ministers of Mongolia sit?", "How big is Torlia?", "Who am I?"]
FACTS = [
    Triple("Mongolia", "capital", "Ulaanbaatar"),
    Triple("Mongolia", "area", "1,564,116 square kilometres"),
    Triple("Torlia", "size", "9 cm"),
]
QUERY = "encoder.layer.0.attention.self.query"


@pytest.fixture
def adapter(tmp_path: Path) -> Adapter:
    """The shipped one with a tiny random encoder for meanings."""
    folder = sentence_folder(tmp_path / "tiny", ["Transformer", "Pooling", "Normalize"], MEAN, {"max_seq_length": 30})
    adapter = shipped_adapter()
    adapter.config = replace(adapter.config, meaning_encoder=str(folder))
    adapter.meaning_updates = {QUERY: (torch.randn(2, 16), torch.randn(16, 2))}
    return adapter


def test_meanings_have_a_width_of_their_own(adapter: Adapter) -> None:
    encoder = load_encoder("all-MiniLM-L6-v2")
    snapshot = KnowledgeBase.from_triples(FACTS, encoder).snapshot()
    reader, plain = Reader(adapter, snapshot, encoder), Reader(shipped_adapter(), snapshot, encoder)
    reading, usual = reader.read(QUESTIONS), plain.read(QUESTIONS)
    assert reading.masked.shape == (3, 16) and usual.masked.shape == reading.embedding.shape == (3, 384)
    assert torch.equal(reading.embedding, usual.embedding)
    assert evidence(reader, reading, [0, 2, 1]).shape == (3, len(adapter.evidence))
    ours, theirs = reader.scores(reading), plain.scores(usual)
    assert (ours[0, :2] - theirs[0, :2]).abs().min() > 1e-4 and torch.equal(ours[0, 2], theirs[0, 2])


def test_an_adapter_keeps_its_meaning_encoder(adapter: Adapter, tmp_path: Path) -> None:
    encoder = load_encoder("all-MiniLM-L6-v2")
    adapter.save(tmp_path / "adapter")
    again = Adapter.load(tmp_path / "adapter")
    ours, theirs = (one.meaning_encoder(encoder).encode(["the capital of it"]) for one in (adapter, again))
    assert (ours == theirs).all() and ours.shape == (1, 16)
    assert again.meaning_encoder(encoder) is again.meaning_encoder(encoder)
    assert again.question_encoder(encoder).width == 384
    assert shipped_adapter().meaning_encoder(encoder).width == 384


@pytest.mark.parametrize("quick", [True, False])
def test_meanings_are_half_precise_where_that_is_quicker(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(sentence_model, "multiplies_bfloat16", lambda device: quick)
    name = adapter.config.meaning_encoder
    assert name is not None
    whole = load_encoder(name).tuned(adapter.meaning_updates)  # type: ignore[attr-defined]
    tuned = adapter.meaning_encoder(whole)
    assert load_encoder(name)._model().network.dtype == torch.float32  # type: ignore[attr-defined]
    assert tuned._model().network.dtype == (torch.bfloat16 if quick else torch.float32)  # type: ignore[attr-defined]
    texts = ["the capital of mongolia", "the query"]
    cosines = (tuned.encode(texts) * whole.encode(texts)).sum(-1)
    assert cosines.min() > 0.999 if quick else (tuned.encode(texts) == whole.encode(texts)).all()


def test_larger_reading_is_what_a_folder_adds_to_the_shipped_adapter(
    adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert adapter.name_bonus is not None and adapter.refusal_bias is not None
    adapter.name_bonus[2] = 3.0
    adapter.refusal_bias += 1.0
    save_larger_reading(adapter, {"made": "here"}, tmp_path / "large")
    shipped_adapter().save(tmp_path / "adapter")
    monkeypatch.setattr("kblam.models.shipped.SHIPPED", tmp_path)
    again = shipped_adapter(LARGE_MODEL)
    assert again.config == adapter.config and again.provenance["made"] == "here"
    for name, tensor in adapter.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor)
    assert torch.equal(again.meaning_updates[QUERY][0], adapter.meaning_updates[QUERY][0])
    assert shipped_adapter(DEFAULT_MODEL).config.meaning_encoder is None


def test_the_large_model_ships() -> None:
    adapter = shipped_adapter(LARGE_MODEL)
    assert adapter.config.meaning_encoder == LARGER_ENCODER and len(adapter.meaning_updates) == 12 * 6
    assert {up.shape[0] for _, up in adapter.meaning_updates.values()} == {768, 3072}


@pytest.mark.slow
def test_the_large_model_answers() -> None:
    if packaged_folder(LARGER_ENCODER) is None:
        pytest.skip("needs pip install 'kblam[large]'")
    model = KBLaM.from_pretrained(LARGE_MODEL).attach(KnowledgeBase.from_triples(FACTS))
    answer = model.ask(QUESTIONS[0])
    assert "Ulaanbaatar" in answer.text and answer.citations[0].triple == FACTS[0] and answer.model == LARGE_MODEL
    assert model.ask("What is the capital of France?").refused


def test_what_is_missing_is_said_before_anything_is_done(
    adapter: Adapter, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter.save(tmp_path / "adapter")
    (tmp_path / "adapter" / "meaning_encoder.safetensors").unlink()
    with pytest.raises(ModelError, match=r"meaning_encoder\.safetensors is missing"):
        Adapter.load(tmp_path / "adapter")
    adapter.config = replace(adapter.config, meaning_encoder=str(tmp_path / "nowhere"))
    monkeypatch.setattr("kblam.models.pretrained.shipped_adapter", lambda name: adapter)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    facts = tmp_path / "facts.json"
    facts.write_text('{"entity": "AI", "description": "a technique"}', encoding="utf-8")
    assert main(["ask", "What is AI?", "--model", "default-large", "--kb", str(facts)]) == 2
    assert "nowhere" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["train", "--model", "default-large"]) == 2
    assert sorted(tmp_path.iterdir()) == before  # no dataset was made first
    assert "use --model default" in capsys.readouterr().err


def test_a_model_with_a_meaning_encoder_is_integrated_saved_and_asked(
    adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kblam.models.pretrained.shipped_adapter", lambda name: adapter)
    KnowledgeBase.from_triples(FACTS, load_encoder("all-MiniLM-L6-v2")).save(tmp_path / "facts")
    assert main(["integrate", "--kb", str(tmp_path / "facts"), "--output", str(tmp_path / "first")]) == 0
    first = KBLaM.from_pretrained(tmp_path / "first")
    first.save(tmp_path / "second")
    second = KBLaM.from_pretrained(tmp_path / "second")
    assert first.name == second.name == LARGE_MODEL and second.base_model == DEFAULT_MODEL
    assert second.adapter is not None and second.adapter.config.meaning_encoder == adapter.config.meaning_encoder
    answers = [model.ask("What is the capital of Mongolia?") for model in (first, second)]
    assert answers[0].text == answers[1].text and "Ulaanbaatar" in answers[0].text
