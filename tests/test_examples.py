"""The worked examples answer as they should, and their knowledge is large enough to be one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

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


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_its_script_and_runs_from_top_to_bottom(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    notebooks = import_module("notebooks")
    made = notebooks.notebook_of(EXAMPLES / f"{name}.py")
    kept = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ], "run python examples/notebooks.py"
    outputs = [item for cell in notebooks.run(made).cells if cell.cell_type == "code" for item in cell.outputs]
    assert any("as they should be, from 6" in item.get("text", "") for item in outputs)
    assert sum("image/png" in item.get("data", {}) for item in outputs) == 1


def test_a_notebook_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    notebooks = import_module("notebooks")
    (tmp_path / "broken.py").write_text("# %%\n1 / 0\n", encoding="utf-8")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.run(notebooks.notebook_of(tmp_path / "broken.py"))
