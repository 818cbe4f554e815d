"""The command `kblam kb` on the shipped encoder's place holder: what it prints, and what it says to bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_encoder import FakeEncoder

from kblam import kb
from kblam.cli import main
from kblam.knowledge import KnowledgeBase, encoders
from kblam.knowledge.store import store
from kblam.knowledge.store.database import is_store


@pytest.fixture(autouse=True)
def quick_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (encoders, store):
        monkeypatch.setattr(module, "load_encoder", lambda name, **_: FakeEncoder(name))


class Said:
    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        self.code = main(["kb", *map(str, arguments)])
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    said = Said(capsys, "create", tmp_path / "facts")
    assert said.out == f"an empty store for vectors of all-MiniLM-L6-v2 -> {tmp_path / 'facts'}\n" and said.code == 0
    return tmp_path / "facts"


def test_changes_are_said_with_their_version(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        (("add", facts, "Mongolia", "capital", "Urga", "--alias", "蒙古", "--id", "m1"), "added, version 1\n"),
        (("set", facts, "Mongolia", "capital", "Ulaanbaatar"), "replaced, version 2\n"),
        (("set", facts, "Mongolia", "capital", "Ulaanbaatar"), "unchanged, version 2\n"),
        (("set", facts, "Mongolia", "currency", "tögrög"), "added, version 3\n"),
        (("list", facts), "Mongolia (蒙古) · capital: Ulaanbaatar\nMongolia · currency: tögrög\n"),
        (("list", facts, "--version", 1), "Mongolia (蒙古) · capital: Urga\n"),
        (
            ("list", facts, "--count", 1),
            "Mongolia (蒙古) · capital: Ulaanbaatar\n(1 of 2 facts: more with --first 1)\n",
        ),
        (("search", facts, "TÖGRÖG"), "Mongolia · currency: tögrög\n"),
        (
            ("history", facts, "Mongolia", "capital"),
            "versions 1 to 1: Mongolia (蒙古) · capital: Urga\nversions 2 to now: Mongolia (蒙古) · capital: Ulaanbaatar\n",
        ),
        (
            ("diff", facts, 1),
            "+ Mongolia · currency: tögrög\n- Mongolia (蒙古) · capital: Urga\n+ Mongolia (蒙古) · capital: Ulaanbaatar\n",
        ),
        (("set", facts, "Mongolia", "currency", "tögrög", "--alias", "Mongol Uls"), "replaced, version 4\n"),
        (("search", facts, "TÖGRÖG"), "Mongolia (Mongol Uls) · currency: tögrög\n"),
        (("set", facts, "Mongolia", "currency", "tögrög", "--alias", ""), "replaced, version 5\n"),
        (("search", facts, "TÖGRÖG"), "Mongolia · currency: tögrög\n"),
        (("remove", facts, "Mongolia", "currency"), "1 fact removed, version 6\n"),
        (
            ("rollback", facts, 3),
            "1 added, 0 replaced, 0 removed, version 7, which holds what version 3 did\n",
        ),
        (("remove", facts, "Mongolia"), "2 facts removed, version 8\n"),
        (("list", facts), ""),
    ]
    for arguments, expected in steps:
        said = Said(capsys, *arguments)
        assert (said.code, said.out, said.err) == (0, expected, ""), arguments
    lines = Said(capsys, "history", facts, "--count", 2).out.splitlines()
    assert [line.split()[0] for line in lines] == ["8", "7"] and lines[1].endswith("to version 3")


def test_json_is_an_object_a_line(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Said(capsys, "set", facts, "AI", "description", "智能", "--alias", "A.I.")
    row = {"entity": "AI", "property": "description", "value": "智能", "aliases": ["A.I."]}
    expected: dict[tuple[Any, ...], Any] = {
        ("list", facts): row,
        ("search", facts, "智能"): row,
        ("history", facts, "AI"): {**row, "began": 1, "ended": None},
        ("diff", facts, 0): {"change": "added", **row},
    }
    for arguments, value in expected.items():
        out = Said(capsys, *arguments, "--json").out
        assert out.count("\n") == 1 and "智能" in out and json.loads(out) == value
    assert json.loads(Said(capsys, "check", facts, "--json").out)["problems"] == []
    assert json.loads(Said(capsys, "history", facts, "--json", "--count", "1").out)["action"] == "set"


def test_import_and_export(facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "facts.csv"
    path.write_text("entity,description\nAI,x\nKBLaM,y\n", encoding="utf-8")
    said = Said(capsys, "import", facts, path, "--dry-run")
    assert said.out == "2 facts added, 0 replaced, 0 unchanged, nothing is changed by a dry run\n"
    assert Said(capsys, "import", facts, path).out == "2 facts added, 0 replaced, 0 unchanged, version 1\n"
    assert Said(capsys, "export", facts, tmp_path / "out.jsonl").out == f"2 facts -> {tmp_path / 'out.jsonl'}\n"
    assert (
        Said(capsys, "import", facts, tmp_path / "out.jsonl").out
        == "0 facts added, 0 replaced, 2 unchanged, version 1\n"
    )


def test_rejected_rows_are_named_by_line_and_nothing_is_imported(
    facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "facts.csv"
    path.write_text("entity,description\nAI,x\nKBLaM,\n" + "only one\n" * 30, encoding="utf-8")
    said = Said(capsys, "import", facts, path)
    lines = said.err.splitlines()
    assert said.code == 2 and said.out == "" and len(lines) == kb.NAMED_REJECTIONS + 2
    assert lines[0] == "line 3, row 2: description is empty"
    assert lines[-2:] == ["and 11 more rows", f"{path} has 31 rows that cannot be used, so nothing was imported"]
    assert Said(capsys, "list", facts).out == ""


def test_compact_and_check(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in "abc":
        Said(capsys, "set", facts, "Straße", "p", value)
    Said(capsys, "set", facts, "STRASSE", "p", "z")
    assert Said(capsys, "compact", facts, "--keep", 2).out.endswith("versions 3 to 4 are kept\n")
    said = Said(capsys, "check", facts)
    assert said.code == 0 and said.out.splitlines() == [
        "? Straße · p: c",
        "  STRASSE · p: z",
        "2 facts, version 4, whole; column cache: whole, of version 4",
    ]


def test_check_fails_for_a_damaged_store(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Said(capsys, "set", facts, "AI", "description", "a value to look for")
    path = facts / "facts.sqlite3"
    path.write_bytes(path.read_bytes().replace(b"a value to look for", b"a value to loom for"))
    with pytest.raises(SystemExit) as leaving:
        main(["kb", "check", str(facts)])
    assert leaving.value.code == 1 and "✗ fact 1 (the description of AI) is not what" in capsys.readouterr().out


def test_bad_input_is_one_sentence(facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Said(capsys, "set", facts, "AI", "description", "x")
    nowhere = tmp_path / "nowhere"
    (tmp_path / "notes.md").write_text("# Notes\n\nMilk is white.\n", encoding="utf-8")
    for arguments, words in (
        (("add", facts, "AI", "description", "y"), "already here: use set"),
        (("set", facts, "AI", "description", " "), "value is empty"),
        (("remove", facts, "AI", "name"), "there is no name of AI to remove"),
        (("remove", facts, "nobody"), "nothing about nobody to remove"),
        (("history", facts, "nobody"), "nothing was ever said about nobody"),
        (("rollback", facts, 7), "there is no version 7: the store keeps 0 to 1"),
        (("diff", facts, 0, 9), "there is no version 9"),
        (("list", facts, "--version", -1), "there is no version -1"),
        (("compact", facts, "--keep", 0), "keep 1 or more"),
        (("list", nowhere), f"make one with `kblam kb create {nowhere}`"),
        (("create", facts), "holds a store already"),
        (("create", tmp_path), "holds other files"),
        (("import", facts, tmp_path / "none.json"), "none.json does not exist"),
        (("import", facts, tmp_path / "notes.md"), "name one with --llm"),
        (("import", facts, tmp_path / "notes.xls"), "notes.xls is not a file of facts"),
        (("export", facts, tmp_path / "out.xls"), "out.xls cannot hold facts"),
    ):
        said = Said(capsys, *arguments)
        assert said.code == 2 and said.out == "" and said.err.count("\n") == 1 and words in said.err, said.err
    assert Said(capsys, "list", facts).out == "AI · description: x\n"


def test_a_model_directory_is_its_store(facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts.rename(tmp_path / "knowledge")
    assert Said(capsys, "set", tmp_path, "AI", "description", "x").out == "added, version 1\n"
    assert len(KnowledgeBase.open(tmp_path / "knowledge")) == 1 and is_store(tmp_path / "knowledge")


def test_every_subcommand_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    names = "create add set remove import export list search history diff rollback check compact".split()
    for name in names:
        with pytest.raises(SystemExit) as leaving:
            main(["kb", name, "--help"])
        assert leaving.value.code == 0 and f"example: kblam kb {name} facts" in capsys.readouterr().out


def test_pages_that_show_nothing_say_so(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Said(capsys, "add", facts, "Mongolia", "capital", "Ulaanbaatar").code == 0
    behind = Said(capsys, "list", facts, "--first", 50)
    assert (behind.code, behind.out) == (0, "") and "1 fact" in behind.err
    nothing = Said(capsys, "search", facts, "Iceland", "capital")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "(no fact holds Iceland and capital)\n")
    with pytest.raises(SystemExit) as ended:
        Said(capsys, "list", facts, "--count", -1)
    assert ended.value.code == 2 and "-1 is no number of facts" in capsys.readouterr().err
    assert Said(capsys, "list", facts, "--count", 0).err == ""
    assert Said(capsys, "search", facts, "Mongolia", "--first", 5).err == "(no further fact holds Mongolia)\n"
    changed = Said(capsys, "set", facts, "Mongolia", "capital", "Ulaanbaatar", "--id", "m1")
    assert changed.out == "replaced, version 2\n" and "m1" in Said(capsys, "list", facts, "--json").out
    assert Said(capsys, "set", facts, "Mongolia", "capital", "Ulaanbaatar", "--id", "").out == "replaced, version 3\n"
    assert "m1" not in Said(capsys, "list", facts, "--json").out
