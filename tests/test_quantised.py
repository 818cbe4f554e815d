"""A base model in 8 or 4 bits; skipped where bitsandbytes is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tiny_training import WordsEncoder, tiny_llama, tiny_options, vector_training
from transformers import AutoTokenizer

import kblam.models.quantised
from kblam.cli import main
from kblam.extras import pip_install
from kblam.models.adapter import Adapter
from kblam.models.anatomy import attention_sites, own_query, query_projection, value_projection
from kblam.models.pretrained import load_pretrained
from kblam.models.shipped import SHIPPED
from kblam.training.lessons import Lessons
from kblam.training.run import train

installed = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
WIDTH = 64
"""Of the model: bitsandbytes takes blocks of 64 weights, and is wrong about narrower ones on a CPU."""
CLOSE = {"8bit": 0.02, "4bit": 0.15}
"""How far a quantised matrix may be from its own, as a share of its norm."""


@pytest.fixture(scope="module")
def wide(folder: Path) -> str:
    """The folder of a model of that width."""
    tiny_llama(width=WIDTH).save_pretrained(folder / "wide")
    AutoTokenizer.from_pretrained(SHIPPED / "base").save_pretrained(folder / "wide")
    return str(folder / "wide")


@installed
@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_what_an_adapter_copies_is_the_quantised_models_own(wide: str, precision: str) -> None:
    whole, base = tiny_llama(width=WIDTH), load_pretrained(wide, precision).base
    hidden = torch.randn(2, 3, WIDTH)
    base(torch.tensor([[5, 6]]))  # a forward pass moves the scales of 8 bits elsewhere
    for layer, site in attention_sites(base).items():
        assert site.module.q_proj.weight.dtype in (torch.int8, torch.uint8)  # type: ignore[union-attr]
        full = attention_sites(whole)[layer]
        for ours, own in (
            (query_projection(site)[0], query_projection(full)[0]),
            (value_projection(site), value_projection(full)),
            (own_query(site, hidden), own_query(full, hidden)),
        ):
            assert ours is not None and own is not None and ours.shape == own.shape
            assert (ours.float() - own).norm() < CLOSE[precision] * own.norm()


@installed
@pytest.mark.parametrize(("precision", "rank"), [("8bit", 0), ("4bit", 2)])
def test_a_quantised_base_is_trained_on(wide: str, lessons: Lessons, precision: str, rank: int) -> None:
    run = vector_training(lessons, load_pretrained(wide, precision).base, rank, rate=1e-2)
    first = run.step(1)["answer"]
    for _ in range(12):
        last = run.step(1)["answer"]
    assert last < first


@installed
@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_gradients_pass_after_a_measurement_too(wide: str, lessons: Lessons, precision: str) -> None:
    runs = [vector_training(lessons, load_pretrained(wide, precision).base) for _ in range(2)]
    runs[1].measure(lessons, 20, 8)
    one, other = (run.step(1) for run in runs)
    assert other["gradient"] == pytest.approx(one["gradient"], rel=1e-3) and one["gradient"] > 0


@installed
def test_a_run_on_a_quantised_base(folder: Path, wide: str) -> None:
    options = tiny_options(folder, "in 4 bits", model=wide, precision="4bit", query_rank=2, total_steps=2)
    train(options, encoder=WordsEncoder())
    assert Adapter.load(options.output).config.query_rank == 2


@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_without_bitsandbytes(
    folder: Path, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kblam.models.quantised, "find_spec", lambda name: None)
    output = tmp_path / "output"
    given = ["--dataset", str(folder / "data"), "--N", "8", "--output", str(output), "--precision", precision]
    assert main(["train", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--precision {precision} needs bitsandbytes: run {pip_install('quantised')}, or" in line
    assert not list(tmp_path.iterdir())
