"""The page's training command, which names an encoder of OpenAI: with an endpoint, with cached vectors, with neither."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_endpoint import Endpoint
from tiny_training import WordsEncoder, tiny_options

from kblam.cli import main
from kblam.errors import InputError
from kblam.models.adapter import Adapter
from kblam.synthesis.dataset import read_dataset, write_dataset
from kblam.synthesis.making import Recipe
from kblam.synthesis.writing import synthesize
from kblam.training.run import train

PAGE = "--dataset synthetic_data --N 120000 --B 20 --total_steps 601 --encoder_spec OAI --use_oai_embd --key_embd_src key --use_data_aug"
SMALL = PAGE.replace("120000", "120").replace("--B 20", "--B 4").replace("601", "2")
ADA = "text-embedding-ada-002"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and no account."""
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    server = Endpoint()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.address}/v1")
    yield server
    server.close()


def test_with_an_endpoint(endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *SMALL.split(), "--prior_steps", "3"]) == 0
    assert "-> output" in capsys.readouterr().out
    adapter = Adapter.load(tmp_path / "output")
    assert (adapter.config.encoder, adapter.config.encoder_width) == (ADA, 1536) and adapter.config.question_prior
    assert {request["model"] for request in endpoint.requests} == {ADA}
    paid = len(endpoint.requests)
    assert main(["train", *SMALL.split(), "--prior_steps", "3", "--stages", "prior", "vectors"]) == 0
    assert len(endpoint.requests) == paid, "what was embedded once is not paid for again"


def test_with_cached_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_half, _ = synthesize("synthetic_data", Recipe(facts=120, validation=20))
    vectors = np.random.default_rng(0).standard_normal((len(train_half), 1536)).astype(np.float32)
    for half in ("key", "value"):
        np.save(tmp_path / "synthetic_data" / f"train_OAI_embd_{half}.npy", vectors)
    assert main(["train", *SMALL.split()]) == 0
    adapter = Adapter.load(tmp_path / "output")
    assert adapter.config.encoder == ADA and not adapter.config.question_prior
    assert "questions cannot be embedded" in capsys.readouterr().err


def test_with_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *PAGE.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "set OPENAI_API_KEY" in line and "cached vectors" in line and "all-MiniLM-L6-v2" in line
    assert not list(tmp_path.iterdir())


def test_cached_vectors_without_a_key_train_an_adapter_as_in_the_paper(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    data = folder / "original"
    data.mkdir()
    entries = read_dataset(folder / "data" / "train.jsonl")
    write_dataset(data / "train.jsonl", entries)
    write_dataset(data / "validation.jsonl", entries[:20])
    vectors = np.random.default_rng(0).standard_normal((len(entries), 1536)).astype(np.float32)
    for half in ("key", "value"):
        np.save(data / f"train_OAI_embd_{half}.npy", vectors)
    options = tiny_options(folder, "as in the paper", dataset=str(data), encoder_spec="OAI", total_steps=2)
    train(options)
    adapter = Adapter.load(options.output)
    assert not adapter.config.question_prior and adapter.config.encoder == "text-embedding-ada-002"
    with pytest.raises(InputError, match="leave --use_cached_embd out"):
        train(tiny_options(folder, "not there", use_cached_embd=True), encoder=WordsEncoder())
