"""Forty facts in a store that is opened without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_encoder import FakeEncoder

from kblam.knowledge import KnowledgeBase, Triple
from kblam.knowledge.store.store import StoredKnowledge

FACTS = [Triple(f"e{row}", "p", f"value {row}") for row in range(40)]
NEW = Triple("new", "p", "newer")


def opened(directory: Path, **options: Any) -> StoredKnowledge:
    return KnowledgeBase.open(directory, encoder=FakeEncoder(), **options)


def one_sentence(error: pytest.ExceptionInfo[Exception], *words: object) -> None:
    text = str(error.value)
    assert "\n" not in text and all(str(word) in text for word in words), text
