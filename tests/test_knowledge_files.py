from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kblam.errors import InputError, KnowledgeError
from kblam.knowledge.aside import replace_directory, replace_file
from kblam.knowledge.files import read_triples, write_triples
from kblam.knowledge.triples import Triple

AI = Triple("AI", "description", "人工智能是模拟人类智能的技术")
KBLAM = Triple("KBLaM", "description", "微软开发的知识增强工具")
AI_ROW = '{"entity": "AI", "description": "人工智能是模拟人类智能的技术"}'
KBLAM_ROW = '{"entity": "KBLaM", "description": "微软开发的知识增强工具"}'


def read(folder: Path, text: str | bytes, name: str = "facts.json") -> list[Triple]:
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(data)
    return read_triples(folder / name)


def refusal(folder: Path, text: str | bytes, name: str = "facts.json") -> str:
    with pytest.raises(KnowledgeError) as caught:
        read(folder, text, name)
    message = str(caught.value)
    assert str(folder / name) in message and "\n" not in message
    return message.replace(str(folder / name), "FILE")


@pytest.mark.parametrize("name", ["facts.json", "facts.jsonl", "FACTS.JSON"])
@pytest.mark.parametrize(
    "text",
    [
        f"{AI_ROW}\n{KBLAM_ROW}\n",
        f"{AI_ROW}{KBLAM_ROW}",
        f"\r\n {AI_ROW}\r\n\r\n{KBLAM_ROW}",
        f"[{AI_ROW}, {KBLAM_ROW}]",
        f"[\n{AI_ROW}\n,\n{KBLAM_ROW}\n]\n",
        f"[{AI_ROW}]\n[{KBLAM_ROW}]",
        f"[]\n{AI_ROW}\n[{KBLAM_ROW}]",
        "\ufeff" + json.dumps(json.loads(f"[{AI_ROW}, {KBLAM_ROW}]"), indent=4),
    ],
)
def test_every_arrangement_of_json(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, text, name) == [AI, KBLAM]


def test_one_object(tmp_path: Path) -> None:
    assert read(tmp_path, AI_ROW) == [AI]


@pytest.mark.parametrize("text", ["[]", " [ ]\n", "[][]"])
def test_an_empty_array_is_no_fact(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == []


def test_the_three_shapes_of_a_row(tmp_path: Path) -> None:
    rows = [
        {
            "entity": "Mongolia",
            "property": "capital",
            "value": "Ulaanbaatar",
            "id": 12,
            "aliases": ["Mongol Uls", "蒙古"],
        },
        {"entity": "Gold", "description": "A metal.", "id": None, "aliases": None, "source": "somewhere"},
        {
            "name": "Tidal Echo",
            "description_type": "purpose",
            "description": "to carry sound",
            "Q": "What is the purpose of Tidal Echo?",
            "A": "The purpose of Tidal Echo is to carry sound.",
            "key_string": "the purpose of Tidal Echo",
        },
    ]
    assert read(tmp_path, json.dumps(rows)) == [
        Triple("Mongolia", "capital", "Ulaanbaatar", aliases=("Mongol Uls", "蒙古"), id="12"),
        Triple("Gold", "description", "A metal."),
        Triple("Tidal Echo", "purpose", "to carry sound"),
    ]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(tmp_path: Path, mark: str, end: str) -> None:
    lines = [
        "entity,property,value,id,aliases,note",
        'Mongolia,capital,"Ulaanbaatar, ""Red Hero""",7,蒙古| Mongol Uls|,x',
        "",
        '日本,首都,"東',
        '京",,',
        ",,,,,",
    ]
    assert read(tmp_path, mark + end.join(lines) + end, "facts.csv") == [
        Triple("Mongolia", "capital", 'Ulaanbaatar, "Red Hero"', aliases=("蒙古", "Mongol Uls"), id="7"),
        Triple("日本", "首都", f"東{end}京"),
    ]


def test_csv_with_descriptions_and_the_originals_columns(tmp_path: Path) -> None:
    assert read(tmp_path, "entity,description\nAI,x\n", "a.csv") == [Triple("AI", "description", "x")]
    text = "name,description_type,description,Q,A\nAI,purpose,x,q,a\n"
    assert read(tmp_path, text, "b.csv") == [Triple("AI", "purpose", "x")]


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"missing\.json does not exist: give a"):
        read_triples(tmp_path / "missing.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(KnowledgeError, match=r"folder\.json is a folder: give a"):
        read_triples(tmp_path / "folder.json")
    (tmp_path / "facts.txt").write_text(AI_ROW, encoding="utf-8")
    with pytest.raises(
        KnowledgeError, match=r"facts\.txt is not a file of facts: give a \.json, \.jsonl or \.csv file"
    ):
        read_triples(tmp_path / "facts.txt")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("text", ["", " \n\n", "\ufeff"])
def test_an_empty_file(tmp_path: Path, text: str, name: str) -> None:
    assert refusal(tmp_path, text, name) == "FILE is empty: give at least one fact"


@pytest.mark.parametrize("name", ["a.json", "a.csv"])
def test_a_file_that_is_not_utf_8(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path, b"entity,description\nAI,\xc7\xe9\n", name)
    assert message == "FILE is not UTF-8 (byte 0xc7 on line 2): save it as UTF-8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"entity": "AI" 5}', "at line 1, column 17: expecting ',' delimiter"),
        (f'{AI_ROW}\n{{"entity" "x"}}', "at line 2, column 11: expecting ':' delimiter"),
        (f"[{AI_ROW},\n {AI_ROW}\n {AI_ROW}]", "at line 3, column 2: expecting ',' or ']'"),
        (f"[{AI_ROW},\n]", "at line 2, column 1: expecting value"),
        (f"[{AI_ROW},", f"at line 1, column {len(AI_ROW) + 3}: expecting value"),
        (f"{AI_ROW},\n{KBLAM_ROW}", f"at line 1, column {len(AI_ROW) + 1}: expecting value"),
        ("entity,description\nAI,x", "at line 1, column 1: expecting value"),
    ],
)
def test_broken_json_is_located(tmp_path: Path, text: str, message: str) -> None:
    got = refusal(tmp_path, text)
    assert got.startswith("FILE is not valid JSON ") and message in got


def test_json_that_overwhelms_the_parser(tmp_path: Path) -> None:
    assert refusal(tmp_path, AI_ROW + "\n" + '{"a":' * 100_000) == (
        "FILE is not usable JSON after line 1: brackets are nested too deep"
    )


def test_numbers_are_read_as_they_are_written(tmp_path: Path) -> None:
    row = '{"entity": 007, "property": "price", "value": 12.50, "aliases": [7], "id": 1e3}'.replace("007", "7")
    assert read(tmp_path, row) == [Triple("7", "price", "12.50", aliases=("7",), id="1e3")]
    assert read(tmp_path, '{"entity": "pi", "description": ' + "3" * 5_000 + "}")[0].value == "3" * 5_000


def test_columns_that_hold_no_facts_may_be_called_anything(tmp_path: Path) -> None:
    text = "Entity,description,notes,Notes,ID,id\nAI,x,1,2,3,4\n"
    assert read(tmp_path, text, "facts.csv") == [Triple("AI", "description", "x", id="4")]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_csv_as_other_programs_write_it(tmp_path: Path, delimiter: str) -> None:
    lines = ["Entity,Property, VALUE", "Mongolia,capital,Ulaanbaatar", '"a,b",c,"d;e\tf"']
    text = "\n".join(line if number == 2 else line.replace(",", delimiter) for number, line in enumerate(lines))
    text = text.replace('"a,b",c,', f'"a,b"{delimiter}c{delimiter}')
    assert read(tmp_path, text, "facts.csv") == [
        Triple("Mongolia", "capital", "Ulaanbaatar"),
        Triple("a,b", "c", "d;e\tf"),
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{"entity": "AI"}', "description is missing"),
        ('{"description": "x"}', "entity is missing"),
        ('{"entity": "AI", "property": "use"}', "value is missing"),
        ('{"entity": "AI", "value": "x"}', "property is missing"),
        ('{"name": "AI", "description": "x"}', "description_type is missing"),
        ('{"entity": "AI", "description": null}', "description is missing"),
        ('{"entity": "AI", "description": " "}', "description is empty"),
        ('{"entity": "AI", "property": "known", "value": true}', "value is true or false, not a text"),
        ('{"entity": {}, "description": "x"}', "entity is an object, not a text"),
        ('{"entity": "AI", "description": "x", "aliases": "a|b"}', "aliases is not a list of texts"),
        ('{"entity": "AI", "description": "x", "aliases": [[]]}', "an alias is a list, not a text"),
        ('{"entity": "AI", "description": "x", "id": {}}', "id is an object, not a text"),
        ('{"entity": "AI", "description": "\\ud800"}', "description holds U+0000 or half a surrogate pair"),
        ("[1]", "it is not an object with fields"),
        ('"AI"', "it is not an object with fields"),
    ],
)
def test_a_bad_row_is_named_with_its_field(tmp_path: Path, row: str, problem: str) -> None:
    message = refusal(tmp_path, f"[{AI_ROW},\n{row}]")
    assert message.startswith(f"FILE has 1 row that cannot be used: row 2 on line 2 ({problem}")


def test_all_bad_rows_are_reported_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "\n".join([AI_ROW, *['{"entity": "x"}'] * 1_207]))
    assert message.startswith(
        "FILE has 1,207 rows that cannot be used: row 2 on line 2 (description is missing), row 3"
    )
    assert message.endswith("row 6 on line 6 (description is missing) and 1,202 more")


def test_a_value_of_ten_megabytes(tmp_path: Path) -> None:
    for value, length in (("x" * 10_000_000, "10,000,000"), ("智" * 100_001, "100,001")):
        message = refusal(tmp_path, json.dumps({"entity": "AI", "description": value}))
        assert f"description has {length} characters, 100,000 are allowed: split it into several facts" in message
    assert "row that starts on line 3" in refusal(
        tmp_path, "entity,description\nAI,x\nAI,{}\n".format("x" * 10_000_000), "a.csv"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thing;description\nAI;x\n", "starts with 'thing;description': its first line must name the columns"),
        ("AI,x\n", "its first line must name the columns entity,description or entity,property,value"),
        ("entity,description,entity\nAI,x,y\n", "names the column 'entity' twice"),
        ("entity,description\nAI,x\nAI\n", "row 2 on line 3 (description is missing)"),
        ("entity,description\nAI,x,y\n", "row 1 on line 2 (it has 3 cells, the header has 2)"),
        ("entity,description\n\nAI, \n", "row 1 on line 3 (description is empty)"),
        ('entity,description\nAI,x\nAI,"never closed\n\n', "is not valid CSV in the row that starts on line 3"),
    ],
)
def test_bad_csv_is_located(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text, "facts.csv")


def test_of_contradicting_rows_the_last_wins_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [("AI", "one"), ("B", "two"), ("AI", "three"), ("B", "two"), ("AI", "four"), ("C", "five"), ("C", "six")]
    text = "\n".join(json.dumps({"entity": entity, "description": value}) for entity, value in rows)
    with caplog.at_level(logging.WARNING, logger="kblam"):
        triples = read(tmp_path, text)
    assert [(triple.entity, triple.value) for triple in triples] == [("AI", "four"), ("B", "two"), ("C", "six")]
    (message,) = caplog.messages
    assert "facts.json gives the description of AI with different values (rows 1 and 5, and 1 fact more)" in message


def test_equal_rows_are_one_fact_and_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path, f"{AI_ROW}\n{AI_ROW}") == [AI]
    assert caplog.messages == []


characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
texts = st.text(characters, min_size=1, max_size=20).filter(lambda text: bool(text.strip()))
triples = st.builds(
    Triple, texts, texts, texts, aliases=st.lists(texts, max_size=3).map(tuple), id=st.none() | texts
)  # fmt: skip
facts = st.lists(triples, max_size=5, unique_by=lambda triple: triple.identity)


@settings(max_examples=150, deadline=None)
@given(facts, st.sampled_from([".json", ".jsonl", ".csv"]))
def test_any_facts_come_back_as_they_were_written(facts: list[Triple], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"事実{suffix}"
        divided = any("|" in alias for triple in facts for alias in triple.aliases)
        if suffix == ".csv" and divided:
            with pytest.raises(KnowledgeError, match=r"divides aliases in CSV: write \.jsonl"):
                write_triples(path, facts)
            assert list(Path(folder).iterdir()) == []
            return
        write_triples(path, facts)
        if facts or suffix != ".jsonl":  # no lines at all is an empty file, which is refused
            assert read_triples(path) == facts
        assert list(Path(folder).iterdir()) == [path]


def test_nothing_is_written_to_a_wrong_name(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"give a name that ends in \.json, \.jsonl, \.csv"):
        write_triples(tmp_path / "facts.txt", [AI])
    with pytest.raises(InputError, match="there is no folder"):
        write_triples(tmp_path / "no" / "facts.json", [AI])
    (tmp_path / "facts.json").mkdir()
    with pytest.raises(InputError, match="is a folder, so no file"):
        write_triples(tmp_path / "facts.json", [AI])
    assert [path.name for path in tmp_path.rglob("*")] == ["facts.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), replace_file(path) as aside:
        aside.write_text("half", encoding="utf-8")
        raise ZeroDivisionError
    with pytest.raises(InputError, match=r"facts\.json cannot be written: No space left on device"), replace_file(path):
        raise OSError(28, "No space left on device")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "base"
    for content in ("one", "two"):
        with replace_directory(path, mark="about.json") as aside:
            (aside / "about.json").write_text(content, encoding="utf-8")
    assert (path / "about.json").read_text(encoding="utf-8") == "two"
    with pytest.raises(ZeroDivisionError), replace_directory(path, mark="about.json") as aside:
        (aside / "about.json").write_text("three", encoding="utf-8")
        raise ZeroDivisionError
    rename = Path.rename

    def fail_for_the_new_one(self: Path, target: Path) -> Path:
        if self.name.endswith(".part") and "old" not in self.name:
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(InputError, match="Permission denied"), replace_directory(path, mark="about.json") as aside:
        (aside / "about.json").write_text("four", encoding="utf-8")
    assert (path / "about.json").read_text(encoding="utf-8") == "two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "holiday"
    path.mkdir()
    (path / "photo.jpg").write_bytes(b"sea")
    with pytest.raises(InputError, match="holds other files"), replace_directory(path, mark="about.json"):
        pytest.fail("it must be refused before anything is written")
    with pytest.raises(InputError, match="is a file"), replace_directory(path / "photo.jpg", mark="about.json"):
        pytest.fail("it must be refused before anything is written")
    assert (path / "photo.jpg").read_bytes() == b"sea"
