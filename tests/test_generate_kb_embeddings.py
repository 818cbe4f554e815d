from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from counting_encoder import AI, CAPITAL, KBLAM, CountingEncoder, consistent
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kblam.doors import run_door
from kblam.errors import EncoderError, InputError, KnowledgeError
from kblam.knowledge import embeddings
from kblam.knowledge.base import KnowledgeBase
from kblam.knowledge.embed import embed_file, main
from kblam.knowledge.embeddings import load_directory, load_embeddings, save_directory, save_embeddings
from kblam.knowledge.files import write_triples
from kblam.knowledge.triples import Triple

SCRIPT = Path(__file__).resolve().parents[1] / "dataset_generation" / "generate_kb_embeddings.py"

# The command


def facts(folder: Path, *triples: Triple) -> Path:
    write_triples(folder / "facts.json", triples)
    return folder / "facts.json"


@pytest.mark.parametrize("name", ["out.npy", "out"])
def test_only_new_facts_are_encoded(tmp_path: Path, name: str) -> None:
    encoder, output = CountingEncoder(), tmp_path / name
    report = embed_file(facts(tmp_path, AI, KBLAM), output, encoder)
    assert str(report) == f"2 facts, 6-d, counting -> {output} (2 encoded, 0 reused)"
    encoder.asked.clear()
    newer = Triple("AI", "description", "new")
    report = embed_file(facts(tmp_path, CAPITAL, newer, KBLAM), output, encoder)
    assert str(report) == f"3 facts, 6-d, counting -> {output} (2 encoded, 1 reused)"
    assert encoder.asked == ["the capital of Mongolia", "Ulaanbaatar", "new"]
    base = KnowledgeBase.from_file(output, encoder=encoder)
    assert base.triples == [CAPITAL, newer, KBLAM]
    consistent(base, encoder)
    encoder.asked.clear()
    assert str(embed_file(facts(tmp_path, KBLAM), output, encoder)).startswith("1 fact, 6-d")
    assert len(KnowledgeBase.from_file(output)) == 1 and encoder.asked == []
    assert embed_file(facts(tmp_path, KBLAM), output, encoder, reuse=False).encoded == 1
    assert len(encoder.asked) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.json", name]


def test_vectors_of_another_encoder_are_not_reused(tmp_path: Path) -> None:
    embed_file(facts(tmp_path, AI), tmp_path / "out.npy", CountingEncoder("one"))
    other = CountingEncoder("two", width=7)
    report = embed_file(facts(tmp_path, AI), tmp_path / "out.npy", other)
    assert (report.encoded, report.reused, report.encoder, report.width) == (1, 0, "two", 7)
    consistent(KnowledgeBase.from_file(tmp_path / "out.npy", encoder=other), other)


def test_a_damaged_output_is_made_again_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "out.npy").write_bytes(b"damaged")
    assert embed_file(facts(tmp_path, AI), tmp_path / "out.npy", CountingEncoder()).encoded == 1
    (message,) = caplog.messages
    assert message.startswith("nothing is reused, for ") and "out.npy is cut short" in message


def test_an_impossible_output_is_refused_before_anything_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, source = CountingEncoder(), facts(tmp_path, AI, KBLAM)
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "sea.jpg").write_bytes(b"sea")
    for name, message in (
        ("nowhere/out.npy", "there is no folder"),
        ("folder.npy", "is a folder, so no file"),
        ("facts.json", "is a file, so no folder"),
        ("photos", "holds other files"),
    ):
        with pytest.raises(InputError, match=message):
            embed_file(source, tmp_path / name, encoder)
    monkeypatch.setattr(embeddings, "LARGEST_RECORD", 7)
    with pytest.raises(KnowledgeError, match="write a directory instead"):
        embed_file(source, tmp_path / "out.npy", encoder)
    assert encoder.asked == [] and not (tmp_path / "out.npy").exists()


def test_a_failing_encoder_leaves_the_old_output(tmp_path: Path) -> None:
    embed_file(facts(tmp_path, AI), tmp_path / "out.npy", CountingEncoder())
    before = (tmp_path / "out.npy").read_bytes()
    broken = CountingEncoder()
    broken.vector = lambda text: np.full(6, np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(EncoderError):
        embed_file(facts(tmp_path, AI, KBLAM), tmp_path / "out.npy", broken)
    assert (tmp_path / "out.npy").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.json", "out.npy"]


def run_script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


def test_the_script_from_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "知识.json").write_text(
        '{"entity": "AI", "description": "人工智能是模拟人类智能的技术"}\n'
        '{"entity": "KBLaM", "description": "微软开发的知识增强工具"}\n',
        encoding="utf-8",
    )
    done = run_script(tmp_path, "--input", "知识.json", "--output", "向量.npy")
    line = "2 facts, 384-d, all-MiniLM-L6-v2 -> 向量.npy (2 encoded, 0 reused)\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, line, "")
    assert np.load(tmp_path / "向量.npy", allow_pickle=False)["keys"].shape == (2, 384)
    (tmp_path / "more.csv").write_text(
        "entity,description\nAI,人工智能是模拟人类智能的技术\nAI,other\n", encoding="utf-8"
    )
    refused = run_script(tmp_path, "--input", "missing.json", "--output", "向量.npy")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "missing.json does not exist: give a .json, .jsonl or .csv file of facts\n"


def test_contradictions_are_said_in_one_line_on_standard_error(tmp_path: Path) -> None:
    write_triples(tmp_path / "facts.json", [AI, Triple("AI", "description", "new")])
    encoder = CountingEncoder("all-MiniLM-L6-v2", width=384)
    embed_file(facts(tmp_path, Triple("AI", "description", "new")), tmp_path / "out.npy", encoder)
    write_triples(tmp_path / "facts.json", [AI, Triple("AI", "description", "new")])
    done = run_script(tmp_path, "--input", "facts.json", "--output", "out.npy")
    assert done.stdout == "1 fact, 384-d, all-MiniLM-L6-v2 -> out.npy (0 encoded, 1 reused)\n"
    assert done.stderr == (
        "facts.json gives the description of AI with different values (rows 1 and 2): the last one counts\n"
    )


@pytest.mark.parametrize("option", ["--encoder", "--encoder_spec"])
def test_the_options_reach_the_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    for variable in ("OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    arguments = ["--input", str(facts(tmp_path, AI)), "--output", str(tmp_path / "out.npy"), option, "BigOAI"]
    with pytest.raises(EncoderError, match="text-embedding-3-large is asked for at an endpoint, which needs a key"):
        main(arguments)
    with pytest.raises(EncoderError, match="the endpoint 'nonsense' is no address"):
        main([*arguments, "--endpoint_url", "nonsense"])
    with pytest.raises(EncoderError, match="has no deployment"):
        main([*arguments[:-1], "all-MiniLM-L6-v2", "--deployment", "x"])
    assert not (tmp_path / "out.npy").exists()


def test_a_door_turns_errors_into_a_sentence_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise KnowledgeError("facts.json has\nno facts")

    def interrupt() -> None:
        raise KeyboardInterrupt

    assert run_door(lambda: print("done")) == 0
    assert run_door(fail) == 2
    assert capsys.readouterr() == ("done\n", "facts.json has no facts\n")
    assert run_door(interrupt) == 130
    with pytest.raises(ZeroDivisionError):
        run_door(lambda: 1 / 0)


def test_a_door_speaks_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", output)
    assert run_door(lambda: print("智能", flush=True)) == 0
    assert output.buffer.getvalue().decode("utf-8").strip() == "智能"


# On disk: one file, a directory


def same(one: KnowledgeBase, two: KnowledgeBase) -> None:
    assert one.triples == two.triples
    assert (one.encoder_name, one.has_texts, one.width) == (two.encoder_name, two.has_texts, two.width)
    np.testing.assert_allclose(one.keys, two.keys, atol=2e-3, rtol=2e-3)
    np.testing.assert_allclose(one.values, two.values, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("name", ["base.npy", "base"])
@pytest.mark.parametrize("triples", [[], [AI], [AI, KBLAM, CAPITAL]])
def test_what_is_saved_is_loaded(tmp_path: Path, name: str, triples: list[Triple]) -> None:
    base = KnowledgeBase.from_triples(triples, CountingEncoder())
    base.save(tmp_path / name)
    loaded = KnowledgeBase.from_file(tmp_path / name)
    same(loaded, base)
    assert loaded.keys.dtype == np.float16 and loaded.version == 0
    assert loaded.keys.flags.aligned and loaded.keys.flags.c_contiguous
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["base.npy", "base"])
def test_vectors_without_facts_are_saved_too(tmp_path: Path, name: str) -> None:
    base = KnowledgeBase.from_embeddings(np.eye(3, 4), np.ones((3, 4)))
    base.save(tmp_path / name)
    same(KnowledgeBase.from_file(tmp_path / name), base)


def test_the_file_opens_with_numpy_alone(tmp_path: Path) -> None:
    base = KnowledgeBase.from_triples([AI, KBLAM], CountingEncoder())
    save_embeddings(tmp_path / "base.npy", base)
    record = np.load(tmp_path / "base.npy", allow_pickle=False)
    np.testing.assert_array_equal(record["keys"], base.keys)
    np.testing.assert_array_equal(record["values"], base.values)
    about = json.loads(record["about"].tobytes())
    assert about["format"] == "kblam-embeddings" and about["format_version"] == 1
    assert (about["encoder"], about["width"], about["rows"]) == ("counting", 6, 2)
    rows = [json.loads(line) for line in record["triples"].tobytes().decode().strip().splitlines()]
    assert rows[1] == {
        "entity": "KBLaM", "property": "description", "value": KBLAM.value, "aliases": ["ケービー"], "id": "7"
    }  # fmt: skip


def test_the_directory_keeps_the_precision_and_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "base"
    KnowledgeBase.from_triples([AI], CountingEncoder()).save(path)
    big = KnowledgeBase.from_embeddings(np.full((1, 2), 1e30), np.full((1, 2), np.pi), [CAPITAL])
    save_directory(path, big)
    assert sorted(file.name for file in path.iterdir()) == ["about.json", "keys.npy", "triples.jsonl", "values.npy"]
    np.testing.assert_array_equal(load_directory(path).values, big.values)
    with pytest.raises(KnowledgeError, match="float16, too small for a number in these vectors: write a directory"):
        big.save(tmp_path / "base.npy")
    assert [file.name for file in tmp_path.iterdir()] == ["base"]


def test_a_file_over_two_gigabytes_is_refused_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "LARGEST_RECORD", 400)
    KnowledgeBase.from_triples([AI], CountingEncoder()).save(tmp_path / "base.npy")
    with pytest.raises(KnowledgeError, match=r"cannot hold 3 facts.*2 GiB: write a directory instead.* such as base"):
        KnowledgeBase.from_triples([AI, KBLAM, CAPITAL], CountingEncoder()).save(tmp_path / "base.npy")
    assert len(KnowledgeBase.from_file(tmp_path / "base.npy")) == 1
    assert len(list(tmp_path.iterdir())) == 1


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12).filter(
    lambda text: bool(text.strip())
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds(Triple, words, words, words), max_size=4, unique_by=lambda triple: triple.identity),
    st.sampled_from(["事実.npy", "事実"]),
)
def test_any_facts_come_back(triples: list[Triple], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        KnowledgeBase.from_triples(triples, CountingEncoder()).save(Path(folder) / name)
        assert KnowledgeBase.from_file(Path(folder) / name).triples == triples


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        KnowledgeBase.from_file(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    return message


def test_files_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.npy"
    assert "does not exist: give a .npy file" in refusal(path)
    np.save(path, np.eye(3))
    assert "holds an array that kblam embed did not write" in refusal(path)
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    assert "holds Python objects" in refusal(path)
    with path.open("wb") as file:
        np.savez(file, keys=np.eye(3))
    assert "is an archive of arrays" in refusal(path)
    for data in (b"", b"hello", b"\x93NUMPY\x01\x00\xff\xff{"):
        path.write_bytes(data)
        assert "is cut short, holds Python objects, or is no NumPy file" in refusal(path)
    KnowledgeBase.from_triples([AI, KBLAM], CountingEncoder()).save(path)
    data = path.read_bytes()
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        assert "is cut short" in refusal(path)


def rewrite(path: Path, about: dict[str, object], arrays: dict[str, NDArray[np.generic]]) -> None:
    """Write a file of the right form with other contents."""
    save_embeddings(path, KnowledgeBase.from_triples([AI, KBLAM], CountingEncoder()))
    old = np.load(path)
    description = {**json.loads(old["about"].tobytes()), **about}
    fields = {name: old[name] for name in ("about", "triples", "keys", "values")}
    fields["about"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    fields.update(arrays)
    record = np.zeros((), [(name, array.dtype, array.shape) for name, array in fields.items()])
    for name, array in fields.items():
        record[name] = array
    np.save(path, record)


def raw(data: bytes) -> NDArray[np.generic]:
    return np.frombuffer(data, np.uint8)


def test_damaged_contents_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.npy"
    rewrite(path, {}, {})
    assert len(KnowledgeBase.from_file(path)) == 2
    cases: list[tuple[dict[str, object], dict[str, NDArray[np.generic]], str]] = [
        ({"format": "other"}, {}, "is not of the format kblam-embeddings"),
        ({"format_version": 2}, {}, "is of format version 2, this kblam (0.1.0) reads 1: upgrade kblam"),
        ({"encoder": 5}, {}, "its encoder is not a name"),
        ({"width": 7}, {}, "says that its vectors have 7 numbers (encoder counting), but they have 6"),
        ({"encoder": "all-MiniLM-L6-v2"}, {}, "numbers (encoder all-MiniLM-L6-v2), but they have 6"),
        ({"rows": 3}, {}, "has 2 facts, 2 vectors and says 3"),
        ({}, {"keys": np.ones((3, 6)), "values": np.ones((3, 6))}, "has 2 facts, 3 vectors and says 2"),
        ({}, {"keys": np.ones((3, 6))}, "keys are (3, 6) and values (2, 6)"),
        ({}, {"values": np.full((2, 6), np.nan)}, "values hold NaN or infinity, first in row 1"),
        ({}, {"triples": raw(b'{"entity": "AI"}')}, "row 1 on line 1 (description is missing)"),
        ({}, {"triples": raw(b"{")}, "is not valid JSON at line 1, column 2"),
        ({}, {"triples": raw(b"\xff\xfe")}, "its texts are not UTF-8"),
        ({}, {"about": raw(b"{,}")}, "its description is not JSON"),
        ({}, {"about": raw(b"[]")}, "is not of the format"),
    ]
    for about, arrays, message in cases:
        rewrite(path, about, arrays)
        assert message in refusal(path)


def test_damaged_directories_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "base"
    path.mkdir()
    assert "is no knowledge directory, for its about.json cannot be read" in refusal(path)
    for name in ("about.json", "triples.jsonl", "keys.npy", "values.npy"):
        base = tmp_path / f"without {name.split('.')[0]}"
        KnowledgeBase.from_triples([AI, KBLAM], CountingEncoder()).save(base)
        data = (base / name).read_bytes()
        (base / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(KnowledgeError):
            KnowledgeBase.from_file(base)
        (base / name).unlink()
        assert name in refusal(base)


def test_a_file_of_another_encoder_is_refused(tmp_path: Path) -> None:
    KnowledgeBase.from_triples([AI], CountingEncoder()).save(tmp_path / "base.npy")
    with pytest.raises(EncoderError, match=r"base\.npy was made with counting, not with all-MiniLM-L6-v2"):
        KnowledgeBase.from_file(tmp_path / "base.npy", encoder="all-MiniLM-L6-v2")
    own = CountingEncoder()
    base = KnowledgeBase.from_file(tmp_path / "base.npy", encoder=own)
    base.set(CAPITAL)
    assert base.encoder is own
    consistent(base, own)


def test_a_loaded_file_loads_its_encoder_when_it_is_needed(tmp_path: Path) -> None:
    keys = np.zeros((1, 384), np.float16)
    KnowledgeBase.from_embeddings(keys, keys, [AI], encoder="all-MiniLM-L6-v2").save(tmp_path / "base.npy")
    base = KnowledgeBase.from_file(tmp_path / "base.npy")
    assert base.encoder.name == base.encoder_name == "all-MiniLM-L6-v2"
    base.set(CAPITAL)
    assert base.keys[1] @ base.encoder.encode([CAPITAL.key_text])[0] > 0.99
    with pytest.raises(KnowledgeError, match="does not exist"):
        KnowledgeBase.from_file(tmp_path / "nothing.json")


def test_loading_functions_give_snapshots(tmp_path: Path) -> None:
    base = KnowledgeBase.from_triples([AI], CountingEncoder())
    save_embeddings(tmp_path / "one.npy", base)
    save_directory(tmp_path / "two", base)
    for snapshot in (load_embeddings(tmp_path / "one.npy"), load_directory(tmp_path / "two")):
        assert snapshot.triples == (AI,) and snapshot.encoder_name == "counting" and snapshot.version == 0
