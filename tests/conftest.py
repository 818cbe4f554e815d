"""Fixtures that several files of tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kblam.training.lessons import Lessons


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, `model/`, and a small dataset, `data/`; every run has an output of its own there."""
    from tiny_training import make_folder

    return make_folder(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="session")
def lessons(folder: Path) -> Lessons:
    """The dataset's training half, embedded."""
    from tiny_training import make_lessons

    return make_lessons(folder)


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """A closed store with forty facts and a column cache."""
    from stored_facts import FACTS, opened

    with opened(tmp_path / "facts", create=True) as store:
        store.set_many(FACTS)
        store.snapshot()
    return tmp_path / "facts"
