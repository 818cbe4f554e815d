"""Encoders that run on this machine."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_encoder import CLS, MEAN, sentence_folder

from kblam.errors import EncoderError
from kblam.knowledge import sentence_model
from kblam.knowledge.encoders import load_encoder
from kblam.knowledge.packaged import packaged_folder

TEXTS = [
    "What is the capital of Mongolia?",
    "人工智能是模拟人类智能的技术",
    "東京は日本の首都です。",
    "",
    "number 12345.678, code ZX-81!",
    "long " * 600,
    "x",
]


def test_minilm_gives_what_sentence_transformers_gives() -> None:
    library = pytest.importorskip("sentence_transformers")
    expected = library.SentenceTransformer(str(packaged_folder("all-MiniLM-L6-v2")), device="cpu").encode(TEXTS)
    got = load_encoder("all-MiniLM-L6-v2").encode(TEXTS)
    assert got.dtype == np.float32 and got.shape == (7, 384)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_minilm_vectors_do_not_depend_on_their_neighbours() -> None:
    encoder = load_encoder("all-MiniLM-L6-v2")
    texts = [TEXTS[row % 5] + str(row) for row in range(150)]
    together = encoder.encode(texts, progress=True)
    assert together.shape == (150, 384)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for row in (0, 63, 64, 149):
        np.testing.assert_allclose(encoder.encode([texts[row]])[0], together[row], atol=1e-5)
    similar = encoder.encode(["the capital of Mongolia", TEXTS[0], "how to bake bread"])
    assert similar[0] @ similar[1] > 0.7 > 0.3 > similar[0] @ similar[2]


def test_a_model_is_read_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = sentence_model._read

    def counted(folder: Path, name: str) -> sentence_model.SentenceModel:
        reads.append(name)
        return read(folder, name)

    monkeypatch.setattr(sentence_model, "_loaded", {})
    monkeypatch.setattr(sentence_model, "_read", counted)
    with ThreadPoolExecutor(4) as pool:
        vectors = list(pool.map(lambda text: load_encoder("all-MiniLM-L6-v2").encode([text])[0], TEXTS * 4))
    assert reads == ["all-MiniLM-L6-v2"]
    expected = load_encoder("all-MiniLM-L6-v2").encode(TEXTS)
    np.testing.assert_allclose(vectors, np.tile(expected, (4, 1)), atol=1e-5)


def test_loading_says_nothing_and_leaves_the_library_as_it_was(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    logging = sentence_model.transformers_logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    monkeypatch.setattr(sentence_model, "_loaded", {})
    load_encoder("all-MiniLM-L6-v2").encode(["x"])
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_the_default_network_is_fused_and_has_no_pooler() -> None:
    network = sentence_model.load_sentence_model("all-MiniLM-L6-v2").network
    assert network.config._attn_implementation == "sdpa"
    assert getattr(network, "pooler", None) is None
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
@pytest.mark.parametrize(
    ("modules", "pooling", "settings", "general"),
    [
        (["Transformer", "Pooling", "Normalize"], MEAN, {"max_seq_length": 8}, {}),
        (["Transformer", "Pooling"], CLS, {"max_seq_length": 20, "do_lower_case": True}, {}),
        (["Transformer", "Pooling"], {"embedding_dimension": 16, "pooling_mode": "mean"}, {}, {}),
        (
            ["Transformer", "Pooling", "Normalize"],
            {"embedding_dimension": 16, "pooling_mode": "cls"},
            {},
            {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"},
        ),
    ],
)
def test_other_models_give_what_sentence_transformers_gives(
    tmp_path: Path, kind: str, modules: list[str], pooling: dict[str, Any], settings: dict[str, Any], general: Any
) -> None:
    library = pytest.importorskip("sentence_transformers")
    folder = sentence_folder(tmp_path / "model", modules, pooling, settings, kind)
    (folder / "config_sentence_transformers.json").write_text(json.dumps(general), encoding="utf-8")
    texts = ["The capital of mongolia", "the capital", "of " * 40, "THE", ""]
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(texts)
    encoder = load_encoder(str(folder))
    assert encoder.width == 16
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-5)


def test_models_of_other_steps_are_refused_by_name(tmp_path: Path) -> None:
    dense = sentence_folder(tmp_path / "a", ["Transformer", "Pooling", "Dense"], MEAN)
    with pytest.raises(EncoderError, match="has a Dense step, which kblam does not compute"):
        load_encoder(str(dense)).encode(["x"])
    bare = sentence_folder(tmp_path / "b", ["Transformer"], MEAN)
    with pytest.raises(EncoderError, match="is Transformer, not Transformer"):
        load_encoder(str(bare)).encode(["x"])
    others: list[dict[str, Any]] = [{**MEAN, "pooling_mode_max_tokens": True}, {"pooling_mode": "lasttoken"}]
    for number, pooling in enumerate(others):
        folder = sentence_folder(tmp_path / str(number), ["Transformer", "Pooling"], pooling)
        with pytest.raises(EncoderError, match=r"pools by (max \+ mean|mean \+ max|lasttoken): use one"):
            load_encoder(str(folder)).encode(["x"])


def test_damaged_folders_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"has no modules\.json"):
        load_encoder(str(tmp_path)).encode(["x"])
    folder = sentence_folder(tmp_path / "model", ["Transformer", "Pooling"], MEAN)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EncoderError, match="cannot be read") as caught:
        load_encoder(str(folder)).encode(["x"])
    assert "\n" not in str(caught.value)
    weights.unlink()
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder(str(folder)).encode(["x"])
    (folder / "modules.json").write_text("{", encoding="utf-8")
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder(str(folder)).encode(["x"])


def test_a_model_that_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def offline(repository: str, **options: Any) -> str:
        asked.append((repository, options.get("local_files_only", False)))
        raise FileNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(EncoderError, match=r"'no-such-model' is no folder here .*\(no network\): correct"):
        load_encoder("no-such-model").encode(["x"])
    assert asked == [("sentence-transformers/no-such-model", True), ("sentence-transformers/no-such-model", False)]


def test_a_hub_model_in_the_cache_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    folder = sentence_folder(tmp_path / "model", ["Transformer", "Pooling"], MEAN)

    def cached(repository: str, **options: Any) -> str:
        assert repository == "someone/model" and options["local_files_only"]
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    assert load_encoder("someone/model").encode(["x"]).shape == (1, 16)
