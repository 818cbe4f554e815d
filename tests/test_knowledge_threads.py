"""A knowledge base that several threads read and change."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from counting_encoder import AI, CAPITAL, CountingEncoder, consistent

from kblam.knowledge.base import KnowledgeBase
from kblam.knowledge.triples import Triple


def test_readers_never_see_half_a_change() -> None:
    encoder = CountingEncoder(width=2)
    # A value's text is the version that set it, and so is its vector: a mixture of two versions would show.
    encoder.vector = lambda text: np.full(2, float(text) if text.isdigit() else 0, np.float32)  # type: ignore[method-assign]
    base = KnowledgeBase.from_triples([Triple(f"e{row}", "p", "0") for row in range(20)], encoder)
    finished = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not finished.is_set():
            snapshot = base.snapshot()
            held = {triple.value for triple in snapshot.triples} | {str(int(n)) for n in snapshot.values[:, 0]}
            rows = len(snapshot.triples), len(snapshot.keys), len(snapshot.values)
            if held != {str(snapshot.version)} or rows != (20 + snapshot.version,) * 3:
                wrong.append(f"version {snapshot.version} has {rows} rows and holds {held}")
            found = base.get("e40", "p")
            if found is not None and found.entity != "e40":
                wrong.append(f"e40 is {found}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for reader in readers:
            reader.start()
        for version in range(1, 61):
            base.set_many([Triple(f"e{row}", "p", str(version)) for row in range(20 + version)])
    finally:
        finished.set()
        sys.setswitchinterval(interval)
        for reader in readers:
            reader.join()
    assert base.version == 60 and wrong == []


def test_writers_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = CountingEncoder()
    base = KnowledgeBase.empty(encoder)
    swap = KnowledgeBase._swap

    def slow_swap(*arguments: Any) -> None:
        time.sleep(0.0005)
        swap(*arguments)

    monkeypatch.setattr(KnowledgeBase, "_swap", slow_swap)

    def write(name: str) -> None:
        for row in range(25):
            base.set(Triple(f"{name}{row}", "p", "v"))
            base.set(Triple("shared", "p", f"{name}{row}"))

    writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(base) == 101 and base.version == 200
    consistent(base, encoder)


def test_a_fact_is_found_only_once_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    base = KnowledgeBase.from_triples([AI], CountingEncoder())
    swap = KnowledgeBase._swap
    seen: list[bool] = []

    def observed_swap(*arguments: Any) -> None:
        seen.append(CAPITAL in base)
        swap(*arguments)
        seen.append(CAPITAL in base)

    monkeypatch.setattr(KnowledgeBase, "_swap", observed_swap)
    base.set(CAPITAL)
    base.remove(*CAPITAL.identity)
    assert seen == [False, True, True, False]
