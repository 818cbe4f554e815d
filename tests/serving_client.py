"""A server in a thread, on loopback, for the tests of clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kblam import KnowledgeBase, Triple
from kblam.serving.app import make_app
from kblam.serving.library import Library, open_library
from kblam.serving.listening import address, open_socket, server_of
from kblam.serving.settings import Settings

FACTS = [
    Triple("Mongolia", "capital", "Ulaanbaatar"),
    Triple("Iceland", "capital", "Reykjavík"),
    Triple("AI", "description", "人工智能是模拟人类智能的技术"),
]
OTHER_FACTS = [Triple("Mongolia", "capital", "Karakorum")]
QUESTION = "What is the capital of Mongolia?"


def make_library(directory: Path) -> Library:
    """Two knowledge bases of the shipped model: `facts` and `other`."""
    for name, facts in (("facts", FACTS), ("other", OTHER_FACTS)):
        with KnowledgeBase.open(directory / name, create=True) as store:
            store.set_many(facts)
    return open_library("default", [str(directory / "facts"), f"other={directory / 'other'}"])


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
