"""The worked examples answer as they should, and their knowledge is large enough to be one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kblam import KBLaM
from kblam.knowledge import read_triples

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = ("chemistry", "help_desk", "course")


@pytest.fixture(scope="module")
def model() -> KBLaM:
    return KBLaM.from_pretrained("default")


@pytest.fixture
def example(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield import_module(request.param)
    for name in (*NAMES, "asking"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("example", NAMES, indirect=True)
def test_an_example_answers_and_refuses(example: Any, model: KBLaM, capsys: pytest.CaptureFixture[str]) -> None:
    facts = read_triples(EXAMPLES / f"{example.__name__}.jsonl")
    assert len(facts) >= 60 and len({fact.identity for fact in facts}) == len(facts)
    wanted = [len(values) for _, values in example.CASES]
    assert {0, 1, 2} <= set(wanted)
    held = [value for _, values in example.CASES for value in values]
    assert all(any(value in fact.value for fact in facts) for value in held)
    marks = example.run(example.__name__, example.CASES, model)
    assert sum(marks) >= 8, capsys.readouterr().out
    assert any(right for right, count in zip(marks, wanted, strict=True) if count == 2)
    assert any(right for right, count in zip(marks, wanted, strict=True) if count == 0)
