from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

import kblam
from kblam import ask, evaluate, test
from kblam.answering.answer import Answer, Citation
from kblam.cli import COMMANDS, main
from kblam.errors import InputError
from kblam.knowledge import Triple

FACT = Triple("Mongolia", "capital", "Ulaan\nbaatar")
OTHER = Triple("Mongolia", "currency", "tögrög")


def answered(question: str, refused: bool = False, **changes: Any) -> Answer:
    text = "Not in the knowledge base." if refused else "It is Ulaanbaatar."
    citations = (Citation(FACT, 0.9), Citation(OTHER, 0.06), Citation(Triple("Iceland", "capital", "Reykjavík"), 0.001))
    given = {"corrected": False, "confidence": 0.96, "grounding": "quote", "rows": 2, "version": 0, "model": "default"}
    return Answer(question=question, text=text, refused=refused, citations=citations, **given | changes)


class FakeModel:
    """Stands in for KBLaM behind the doors; what was asked is kept."""

    notice: str | None = None
    knowledge: Any = None
    refused = False
    asked: list[tuple[Any, str]] = []  # noqa: RUF012

    @classmethod
    def from_pretrained(cls, reference: str) -> FakeModel:
        return cls()

    def attach(self, knowledge: Any, scan: str) -> None:
        assert scan == "exact"
        self.knowledge = knowledge

    def ask(
        self,
        asked: Any,
        grounding: str = "quote",
        on_text: Callable[[str], None] | None = None,
        version: int | None = None,
    ) -> Any:
        self.asked.append((asked, grounding))
        if isinstance(asked, list):
            return [answered(question, self.refused) for question in asked]
        for piece in ("It is ", "Ulaanbaatar.") if on_text else ():
            on_text(piece)  # type: ignore[misc]
        return answered(asked, self.refused)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeModel]:
    model = type("Fake", (FakeModel,), {"asked": [], "knowledge": range(7)})
    monkeypatch.setitem(kblam.__dict__, "KBLaM", model)
    return model


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"], ["help"]):
        assert main(arguments) == 0
        text = capsys.readouterr().out
        assert all(f"  {name} " in text for name in COMMANDS) and "example" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert (
        leaving.value.code == 0
        and text.startswith(f"usage: kblam {name} ")
        and "example: " in text.replace(":\n", ": ")
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kblam {kblam.__version__}\n"


def test_an_unknown_command_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aks"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "'aks'" in said.err and "ask" in said.err


def test_ask_prints_the_answer_and_its_facts(fake: type[FakeModel], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "What?", "--grounding", "tokens"]) == 0
    said = capsys.readouterr()
    assert said.err == "" and fake.asked == [("What?", "tokens")]
    assert said.out.splitlines() == [
        "It is Ulaanbaatar.",
        "",
        "  ███████▎  90%  Mongolia · capital: Ulaan baatar",
        "  ▌          6%  Mongolia · currency: tögrög",
    ]


def test_ask_shows_a_refusal_as_one(fake: type[FakeModel], capsys: pytest.CaptureFixture[str]) -> None:
    fake.refused = True
    main(["ask", "What?"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Not in the knowledge base." and "none of which answers" in lines[2] and "capital" in lines[3]


def test_ask_json_is_one_object(fake: type[FakeModel], capsys: pytest.CaptureFixture[str]) -> None:
    main(["ask", "AI是什么?", "--json"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "tögrög" in out and json.loads(out) == answered("AI是什么?").to_json()


def test_ask_streams_to_a_terminal_and_says_nothing_twice(
    fake: type[FakeModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", terminal)
    main(["ask", "What?"])
    lines = terminal.getvalue().splitlines()
    assert lines[0] == "It is Ulaanbaatar." and lines[1] == "" and "capital" in lines[2]
    assert terminal.getvalue().count("It is") == 1


def test_ask_without_knowledge_takes_the_example(fake: type[FakeModel], capsys: pytest.CaptureFixture[str]) -> None:
    fake.knowledge = None
    assert main(["ask", "What?"]) == 0
    assert "2 example facts; give your own with --kb" in capsys.readouterr().err


def test_a_notice_is_said_once_on_standard_error(fake: type[FakeModel], capsys: pytest.CaptureFixture[str]) -> None:
    fake.notice = "x has no trained adapter."
    main(["evaluate", "--question", "a", "--question", "b"])
    said = capsys.readouterr()
    assert said.err == "x has no trained adapter.\n" and "adapter" not in said.out


def test_evaluate_asks_all_questions_at_once(fake: type[FakeModel], capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main(["--question", "a", "--question", "b"])
    assert fake.asked == [(["a", "b"], "quote")]
    assert capsys.readouterr().out.count("It is Ulaanbaatar.\n\n  ███") == 2
    evaluate.main(["--question", "a", "--question", "b", "--json"])
    assert [json.loads(line)["question"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]


def test_bars_are_as_long_as_the_weights() -> None:
    assert [ask._bar(weight) for weight in (0, 0.5, 1)] == [" " * 8, "████    ", "█" * 8]
    assert all(len(ask._bar(weight / 100)) == 8 for weight in range(101))


def test_a_failed_check_is_named_and_fails_the_installation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def good() -> str:
        return "all is well"

    def refused() -> str:
        raise InputError("a file is missing; get it")

    def broken() -> str:
        raise ImportError("No module named 'torch'")

    monkeypatch.setattr(test, "CHECKS", (refused, broken, good))
    with pytest.raises(SystemExit) as leaving:
        test.main([])
    lines = capsys.readouterr().out.splitlines()
    assert leaving.value.code == 1 and len(lines) == 3
    assert lines[0] == "✗ refused: a file is missing; get it"
    assert (
        lines[1].startswith("✗ broken: ImportError: No module named 'torch'; install") and lines[2] == "✓ all is well"
    )
