from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "kblam"
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = [
    {"errors", "extras", "version"},
    {"doors"},
    {"knowledge"},
    {"attention"},
    {"models"},
    {"naming"},
    {"answering"},
    {"synthesis"},
    {"training"},
    {"evaluation"},
    {"measuring"},
    {"experiments"},
    {"serving"},
    {
        "ask",
        "benchmark",
        "cli",
        "evaluate",
        "experiment",
        "integrate",
        "kb",
        "serve",
        "synthesize",
        "test",
        "train",
        "__main__",
    },
]
"""A room imports from itself and from lower floors; those of the last floor are the doors."""
PUBLIC = {"KBLaM": "answering", "Answer": "answering", "Citation": "answering", "KnowledgeBase": "knowledge"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor_of(room: str) -> int:
    return next(floor for floor, rooms in enumerate(FLOORS) if room in rooms)


def imported_rooms(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the whole name"
            if node.module == "kblam":
                yield from ((node.lineno, PUBLIC.get(alias.name, alias.name)) for alias in node.names)
            elif node.module and node.module.startswith("kblam."):
                yield node.lineno, node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, a.name.split(".")[1]) for a in node.names if a.name.startswith("kblam."))


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", [path for path in FILES if path != PACKAGE / "__init__.py"], ids=relative)
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    doors = len(FLOORS) - 1
    for line, other in imported_rooms(ast.parse(path.read_text(encoding="utf-8"))):
        allowed = other == room or floor_of(other) < floor_of(room) or floor_of(other) == floor_of(room) == doors
        assert allowed, f"{relative(path)}:{line} imports {other}, which is not below {room}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{relative(path)}: {node.name} is too long"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_public_names_exist(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined: set[str] = set()
    public: list[str] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            defined.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            defined.update(names)
            if names == ["__all__"] and node.value is not None:
                public = ast.literal_eval(node.value)
        elif isinstance(node, ast.If):  # TYPE_CHECKING, for names that are fetched when used
            imports = [inner for inner in node.body if isinstance(inner, ast.ImportFrom)]
            defined.update(alias.name for inner in imports for alias in inner.names)
    assert set(public) <= defined


def test_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys, kblam, kblam.cli, kblam.ask; print(*{'torch', 'transformers', 'numpy', 'rich'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize("name", ["constraints.txt", "Makefile", ".ci/run", "pyproject.toml"])
def test_packages_come_from_the_index_that_the_user_set_up(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text.replace("https://github.com/", "") and "--index" not in text and "find-links" not in text


def test_pinned_versions_are_for_every_python_that_they_are_pinned_for() -> None:
    oldest = (metadata("kblam")["Requires-Python"] or "").removeprefix(">=")
    here = {canonicalize_name(found.name): found for found in distributions()}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if "==" in line]
    installed = [each for each in pinned if each.name in here and each.specifier.contains(here[each.name].version)]
    assert "rapidfuzz" in {each.name for each in installed}
    assert len(installed) > 10
    for each in installed:
        needed = SpecifierSet(here[each.name].metadata.get("Requires-Python") or "")
        for python in (oldest, "3.11"):
            if each.marker is None or each.marker.evaluate({"python_version": python}):
                assert needed.contains(python), f"{each.name} is pinned for Python {python}"
