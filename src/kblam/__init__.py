"""A language model that answers from your own facts: knowledge as key/value vectors inside attention."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kblam.version import __version__

if TYPE_CHECKING:
    from kblam.answering.answer import Answer, Citation
    from kblam.answering.model import KBLaM
    from kblam.knowledge import KnowledgeBase, Triple

__all__ = ["Answer", "Citation", "KBLaM", "KnowledgeBase", "Triple", "__version__"]

_ROOMS = {
    "Answer": "kblam.answering.answer",
    "Citation": "kblam.answering.answer",
    "KBLaM": "kblam.answering.model",
    "KnowledgeBase": "kblam.knowledge",
    "Triple": "kblam.knowledge",
}


def __getattr__(name: str) -> Any:
    # torch and transformers take seconds to import, so a name is fetched when it is first used.
    if name in _ROOMS:
        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module 'kblam' has no attribute {name!r}")
