"""A server in a thread, on loopback, for the tests of clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.serving.app import make_app
from kblam.serving.library import Library
from kblam.serving.listening import address, open_socket, server_of
from kblam.serving.settings import Settings

FACTS = [
    Triple("Mongolia", "capital", "Ulaanbaatar"),
    Triple("Iceland", "capital", "Reykjavík"),
    Triple("AI", "description", "人工智能是模拟人类智能的技术"),
]
OTHER_FACTS = [Triple("Mongolia", "capital", "Karakorum")]
QUESTION = "What is the capital of Mongolia?"


@cache
def shared_model() -> KBLaM:
    """The shipped model, loaded once for all tests of a process."""
    return KBLaM.from_pretrained("default")


def make_library(directory: Path) -> Library:
    """Two knowledge bases of the shipped model: `facts` and `other`."""
    stores = {name: KnowledgeBase.open(directory / name, create=True) for name in ("facts", "other")}
    for store, facts in zip(stores.values(), (FACTS, OTHER_FACTS), strict=True):
        store.set_many(facts)
    return Library({name: shared_model().beside(store) for name, store in stores.items()}, stores)


@contextmanager
def serving(library: Library, **settings: Any) -> Iterator[str]:
    """The URL of a running server, which is stopped at the end."""
    chosen = Settings(port=0, **{"rate": 0, **settings})
    taken = open_socket(chosen)
    server = server_of(make_app(library, chosen), chosen)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield address(taken)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server did not stop"
