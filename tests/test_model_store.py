"""A running model follows its store: the next question sees what any process committed, and names the version."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.reader import Reader
from kblam.cli import main
from kblam.errors import KnowledgeError
from kblam.integrate import integrate
from kblam.knowledge import save_directory
from kblam.knowledge.store.store import StoredKnowledge
from kblam.models.pretrained import DESCRIPTION

FACTS = [
    Triple("Mongolia", "capital", "Ulaanbaatar"),
    Triple("Iceland", "capital", "Reykjavík"),
    Triple("AI", "description", "人工智能是模拟人类智能的技术"),
]
QUESTION = "What is the capital of Mongolia?"


@pytest.fixture(scope="module")
def model() -> KBLaM:
    return KBLaM.from_pretrained("default")


@pytest.fixture
def store(tmp_path: Path) -> StoredKnowledge:
    made = KnowledgeBase.open(tmp_path / "facts", create=True)
    made.set_many(FACTS)
    return made


def test_the_next_question_sees_what_another_process_committed(model: KBLaM, store: StoredKnowledge) -> None:
    model.attach(store)
    before = model.ask(QUESTION)
    assert "Ulaanbaatar" in before.text and (before.version, before.rows) == (1, 3)
    # Both texts are known, so that nothing is encoded and the other process needs no encoder.
    command = [sys.executable, "-m", "kblam", "kb", "set", str(store.directory), "Mongolia", "capital", "Reykjavík"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "replaced, version 2\n"
    after = model.ask(QUESTION)
    assert (
        "Reykjavík" in after.text and after.version == 2 and after.to_json()["knowledge"] == {"rows": 3, "version": 2}
    )
    past = model.ask(QUESTION, version=1)
    assert "Ulaanbaatar" in past.text and (past.version, past.rows) == (1, 3)
    assert "Reykjavík" in model.ask(QUESTION).text


def test_a_version_may_have_other_rows(model: KBLaM, store: StoredKnowledge) -> None:
    model.attach(store)
    store.remove("Mongolia", "capital")
    store.set(Triple("Palau", "capital", "Ngerulmud"))
    assert model.ask(QUESTION).refused and "Ulaanbaatar" in model.ask([QUESTION], version=1)[0].text
    assert "Ngerulmud" in model.ask("What is the capital of Palau?").text
    assert model.ask("What is the capital of Palau?", version=2).refused
    with pytest.raises(KnowledgeError, match="there is no version 9"):
        model.ask(QUESTION, version=9)
    store.rollback(1)
    assert "Ulaanbaatar" in model.ask(QUESTION).text


def test_a_base_in_memory_has_only_its_present_version(model: KBLaM) -> None:
    model.attach(KnowledgeBase.from_triples(FACTS))
    assert "Ulaanbaatar" in model.ask(QUESTION, version=0).text
    with pytest.raises(KnowledgeError, match="version 1 is not kept"):
        model.ask(QUESTION, version=1)


def test_a_question_in_flight_keeps_its_version(
    model: KBLaM, store: StoredKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.attach(store)
    read = Reader.read

    def read_and_change(reader: Reader, questions: Any) -> Any:
        reading = read(reader, questions)
        if store.version == 1:
            store.set(Triple("Mongolia", "capital", "Darkhan"))
            store.remove("Iceland", "capital")
        return reading

    monkeypatch.setattr(Reader, "read", read_and_change)
    first = model.ask(QUESTION)
    assert "Ulaanbaatar" in first.text and (first.version, first.rows) == (1, 3)
    second = model.ask(QUESTION)
    assert "Darkhan" in second.text and (second.version, second.rows) == (3, 2)


def test_integrate_writes_a_store_and_keeps_history(tmp_path: Path) -> None:
    for name, facts in (
        ("first.json", FACTS[:1]),
        ("second.json", [Triple("Mongolia", "capital", "Darkhan"), FACTS[1]]),
    ):
        rows = [{"entity": fact.entity, "property": fact.property, "value": fact.value} for fact in facts]
        (tmp_path / name).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    integrate("default", tmp_path / "first.json", tmp_path / "one")
    change = integrate(str(tmp_path / "one"), tmp_path / "second.json", tmp_path / "two")
    assert (change.added, change.replaced) == (1, 1)
    with KnowledgeBase.open(tmp_path / "one") as one, KnowledgeBase.open(tmp_path / "two") as two:
        assert (one.version, two.version) == (1, 2)
        assert [record.triple.value for record in two.history("Mongolia")] == ["Ulaanbaatar", "Darkhan"]
        assert [version.action for version in two.versions()] == ["integrate", "import", "create"]
        assert two.check().problems == ()
    about = json.loads((tmp_path / "two" / DESCRIPTION).read_text(encoding="utf-8"))
    assert about["facts"] == 2 and about["provenance"]["replaced"] == 1
    loaded = KBLaM.from_pretrained(tmp_path / "two")
    assert "Darkhan" in loaded.ask(QUESTION).text and "Ulaanbaatar" in loaded.ask(QUESTION, version=1).text
    with KnowledgeBase.open(tmp_path / "two") as two:
        two.set(Triple("Mongolia", "capital", "Choibalsan"))
    assert "Choibalsan" in loaded.ask(QUESTION).text  # no reload
    # Into its own directory, which the loaded model goes on reading.
    integrate(str(tmp_path / "two"), tmp_path / "first.json", tmp_path / "two")
    answer = loaded.ask(QUESTION)
    assert "Ulaanbaatar" in answer.text and answer.version == 4


def test_a_store_is_asked_and_integrated_with_its_history(
    store: StoredKnowledge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.set(Triple("Mongolia", "capital", "Reykjavík"))
    for version, city in (("1", "Ulaanbaatar"), ("2", "Reykjavík")):
        main(["ask", QUESTION, "--kb", str(store.directory), "--version", version, "--json"])
        answer = json.loads(capsys.readouterr().out)
        assert city in answer["answer"] and answer["knowledge"]["version"] == int(version)
    integrate("default", store.directory, tmp_path / "model")
    main(["evaluate", "--question", QUESTION, "--model", str(tmp_path / "model"), "--version", "1"])
    assert "Ulaanbaatar" in capsys.readouterr().out
    assert store.version == 2


def test_a_model_that_kblam_0_1_wrote_is_read_and_left_as_it_was(tmp_path: Path) -> None:
    integrate("default", _file(tmp_path), tmp_path / "old")
    knowledge = KnowledgeBase.from_file(tmp_path / "old" / "knowledge")
    for path in (tmp_path / "old" / "knowledge").rglob("*"):
        if path.is_file():
            path.unlink()
    (tmp_path / "old" / "knowledge").rename(tmp_path / "emptied")
    save_directory(tmp_path / "old" / "knowledge", knowledge)
    before = {path.name: path.read_bytes() for path in (tmp_path / "old" / "knowledge").iterdir()}
    assert "triples.jsonl" in before
    loaded = KBLaM.from_pretrained(tmp_path / "old")
    assert "Ulaanbaatar" in loaded.ask(QUESTION).text
    assert {name: (tmp_path / "old" / "knowledge" / name).read_bytes() for name in before} == before
    integrate(str(tmp_path / "old"), _file(tmp_path, FACTS[1:2]), tmp_path / "new")
    assert "Reykjavík" in KBLaM.from_pretrained(tmp_path / "new").ask("What is the capital of Iceland?").text
    assert not (tmp_path / "new" / "knowledge" / "triples.jsonl").exists()


def _file(folder: Path, facts: list[Triple] = FACTS[:1]) -> Path:
    path = folder / "facts.json"
    rows = [{"entity": fact.entity, "property": fact.property, "value": fact.value} for fact in facts]
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.mark.slow
def test_four_that_ask_while_one_writes_get_answers_of_the_version_they_name(
    store: StoredKnowledge,
) -> None:
    """As in test_store_processes, but through the model: the text of the answer, in its version."""
    cities = ["Ulaanbaatar", "Darkhan", "Erdenet", "Choibalsan", "Khovd"]
    commits, readers, done = 1000, 4, threading.Event()
    models = [KBLaM.from_pretrained("default") for _ in range(readers)]  # transformers loads one at a time
    asked: list[list[tuple[int, str]]] = [[] for _ in range(readers)]

    def ask(model: KBLaM, answers: list[tuple[int, str]]) -> None:
        with KnowledgeBase.open(store.directory) as base:
            model.attach(base)
            while not done.is_set():
                answer = model.ask(QUESTION)
                answers.append((answer.version, answer.text))

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(models, asked, strict=True)]
    for thread in threads:
        thread.start()
    version = 1
    while version <= commits or min(len(dict(answers)) for answers in asked) <= 3:  # slow readers get more
        version += 1
        store.set(Triple("Mongolia", "capital", cities[(version - 1) % len(cities)]))
    done.set()
    for thread in threads:
        thread.join()
    for answers in asked:
        assert len(dict(answers)) > 3
        assert [text for version, text in answers if cities[(version - 1) % len(cities)] not in text] == []
