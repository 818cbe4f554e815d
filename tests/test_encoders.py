from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kblam.errors import EncoderError
from kblam.knowledge import encoders
from kblam.knowledge.encoders import LocalEncoder, load_encoder
from kblam.knowledge.remote_encoder import RemoteEncoder


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


def test_no_texts_and_one_text_by_mistake() -> None:
    assert load_encoder("all-MiniLM-L6-v2").encode([]).shape == (0, 384)
    with pytest.raises(TypeError, match="a list of texts"):
        load_encoder("all-MiniLM-L6-v2").encode("one text")


def test_the_bar_is_only_for_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(encoders.tracked([[1], [2], [3], [4]], progress=True)) == [[1], [2], [3], [4]]
    assert capfd.readouterr() == ("", "")
