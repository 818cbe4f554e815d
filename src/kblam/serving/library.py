"""The knowledge bases of a server, by name."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from kblam.answering.model import KBLaM
from kblam.answering.vectors import Scan
from kblam.errors import InputError
from kblam.knowledge import KnowledgeBase
from kblam.knowledge.store.store import StoredKnowledge, write_store
from kblam.serving.problems import RequestError

__all__ = ["Library", "open_library"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OWN = "knowledge"
"""The name of what a model directory holds, and of the example facts."""
EXAMPLE_FACTS = Path(__file__).parent.parent / "default" / "example.json"


@dataclass(eq=False)
class Library:
    """Models that share their weights, each with a knowledge base of its own."""

    models: dict[str, KBLaM]
    """By the name of the knowledge base; the first is the one that is meant when none is named."""
    stores: dict[str, StoredKnowledge]
    notices: tuple[str, ...] = ()
    """What the person who starts the server should know."""
    changing: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "kblam changes"))
    """The thread that makes changes, one after the other; questions go on beside it."""
    _borrowed: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list)

    @property
    def first(self) -> str:
        """The name of the knowledge base that is meant when none is named."""
        return next(iter(self.models))

    def store(self, name: str) -> StoredKnowledge:
        """Return a knowledge base; raise RequestError when there is none of this name."""
        if name not in self.stores:
            raise RequestError(404, f"there is no knowledge base {name!r} here: take one of {', '.join(self.stores)}")
        return self.stores[name]

    def close(self) -> None:
        """Let changes finish, and let go of all files."""
        self.changing.shutdown()
        for store in self.stores.values():
            store.close()
        for directory in self._borrowed:
            directory.cleanup()


def open_library(model: str, kbs: Iterable[str], scan: Scan = "exact") -> Library:
    """Load a model and open its knowledge: what is named (PATH or NAME=PATH), or its own, or the example facts.

    scan: as for `KBLaM.attach`.

    A directory is a store, which lasts; a file is read into a store that lives as long as the server.
    Raises InputError when a name or a path cannot be used.
    """
    library = Library({}, {})
    notices = []
    for name, path in _named(kbs):
        if path.is_dir():
            library.stores[name] = KnowledgeBase.open(path)
        elif not path.exists():
            raise InputError(f"--kb {path} does not exist: make a store with `kblam kb create {path}`, or name a file")
        else:
            library.stores[name] = _borrow(library, KnowledgeBase.from_file(path, progress=True))
            notices.append(
                f"changes of {path} last until the server stops: to keep them, `kblam kb create DIR`, "
                f"`kblam kb import DIR {path}`, and serve DIR"
            )
    first = KBLaM.from_pretrained(model)
    first.tokenizer  # noqa: B018  # raises for a model that cannot be asked
    if first.notice:
        notices.append(first.notice)
    if not library.stores:
        if isinstance(first.knowledge, StoredKnowledge):
            library.stores[OWN] = first.knowledge
        else:
            library.stores[OWN] = _borrow(library, KnowledgeBase.from_file(EXAMPLE_FACTS))
            notices.append("these are example facts, and changes are lost: give your own with --kb DIR")
    library.models = {name: first.beside(store, scan) for name, store in library.stores.items()}
    library.notices = tuple(notices)
    return library


def _named(kbs: Iterable[str]) -> list[tuple[str, Path]]:
    named: dict[str, Path] = {}
    for given in kbs:
        name, equals, path = given.partition("=")
        if not equals or not NAME.fullmatch(name):
            path, name = given, re.sub(r"[^A-Za-z0-9._-]+", "-", Path(given).resolve().stem).strip("-.") or OWN
        if name in named:
            raise InputError(f"two knowledge bases are called {name}: name them, --kb NAME={path}")
        named[name] = Path(path)
    return list(named.items())


def _borrow(library: Library, knowledge: KnowledgeBase) -> StoredKnowledge:
    directory = tempfile.TemporaryDirectory(prefix="kblam-")
    library._borrowed.append(directory)
    return write_store(knowledge, Path(directory.name) / "knowledge")
