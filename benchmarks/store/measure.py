"""How quick the store is: import of encoded facts, open, set, pages, search, and a running reader that follows.

    python benchmarks/store/measure.py [--facts 100000] [--answer] [--output benchmarks/results/store.json]

The vectors are random (384 numbers, float16), for no speed here depends on what they mean. --answer also attaches the
shipped model and asks it. Prints a line for each figure, with the target of issue "Knowledge that changes".
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kblam.knowledge import KnowledgeBase, Triple
from kblam.knowledge.snapshot import Snapshot
from kblam.knowledge.store.store import StoredKnowledge

ENCODER = "all-MiniLM-L6-v2"
WIDTH = 384
CHANGES = 200


def facts_of(count: int) -> list[Triple]:
    """Distinct facts with a short value each."""
    return [
        Triple(f"entity {row} of group {row % 997}", f"property {row % 50}", f"value {row} 値") for row in range(count)
    ]


def encoded(facts: list[Triple]) -> KnowledgeBase:
    """Give facts random vectors."""
    random = np.random.default_rng(7)
    keys, values = (
        (random.standard_normal((len(facts), WIDTH), dtype=np.float32) / WIDTH**0.5).astype(np.float16)
        for _ in range(2)
    )
    return KnowledgeBase(Snapshot(tuple(facts), keys, values, encoder_name=ENCODER))


class Took(NamedTuple):
    """Seconds on the clock, and seconds of this process on a core: on a busy machine they differ."""

    clock: float
    core: float


Figure = tuple[str, Took, float | None]
"""What, how long, and the target on the clock at 100,000 facts."""


def seconds(run: Callable[[], Any]) -> Took:
    """Run it and return how long it took."""
    clock, core = time.perf_counter(), time.process_time()
    run()
    return Took(time.perf_counter() - clock, time.process_time() - core)


def median(run: Callable[[int], Any], times: int) -> Took:
    """Run it with 0, 1, 2 ... and return the median times."""
    return middle([seconds(lambda row=row: run(row)) for row in range(times)])  # type: ignore[misc]


def middle(times: list[Took]) -> Took:
    """Return the median of each kind of time."""
    return Took(*(statistics.median(kind) for kind in zip(*times, strict=True)))


def measure(facts: list[Triple], folder: Path) -> Iterator[Figure]:
    """Yield the figures of a new store in this folder."""
    count, base = len(facts), encoded(facts)
    base.save(folder / "facts")
    directory = folder / "store"
    KnowledgeBase.open(directory, create=True).close()
    with KnowledgeBase.open(directory) as store:
        yield (
            "import of encoded facts (a directory of vectors, with its reading)",
            seconds(lambda: store.import_file(folder / "facts")),
            5.0,
        )
    with KnowledgeBase.open(directory) as store:
        yield "open", seconds(lambda: KnowledgeBase.open(directory).close()), 0.5
        yield "open and read everything (facts in memory, vectors mapped)", seconds(store.snapshot), None
        yield from measure_use(store, facts, count)


def measure_use(store: StoredKnowledge, facts: list[Triple], count: int) -> Iterator[Figure]:
    """Yield the figures of a store that is open."""
    with KnowledgeBase.open(store.directory) as writer:

        def change(row: int, step: int = 1) -> None:
            fact = facts[row * (count // CHANGES)]
            writer.set(Triple(fact.entity, fact.property, facts[row + step].value))

        def change_and_follow(row: int) -> Took:
            change(row, step=2)
            return seconds(store.snapshot)

        yield "one set (already encoded)", median(change, CHANGES), 0.010
        follows = [change_and_follow(row) for row in range(CHANGES)]
        yield "a reader takes over one commit of another connection, median", middle(follows), 0.100
        yield (
            "a reader takes over one commit of another connection, longest",
            max(follows, key=lambda took: took.clock),
            0.100,
        )
        yield "get", median(lambda row: store.get(*facts[row].identity), CHANGES), None
        yield "a page of 20, at the end", median(lambda row: store.page(count - 20 - row, 20), 20), 0.050
        yield (
            "search, a page of 20, nothing found (reads every fact)",
            median(lambda row: store.search("zzz 値"), 5),
            0.050,
        )
        yield "search, a page of 20, a common word", median(lambda row: store.search("値"), 5), 0.050
        yield "history of an entity", median(lambda row: store.history(facts[row].entity), CHANGES), None
        yield "rollback of 400 changes", seconds(lambda: store.rollback(1)), None
        yield "a version of the past, with vectors", seconds(lambda: store.at(2)), None
        yield "check", seconds(lambda: assert_whole(store)), None


def assert_whole(store: StoredKnowledge) -> None:
    """Fail when the check finds a problem."""
    assert store.check().problems == ()


def measure_answer(facts: list[Triple], folder: Path) -> Iterator[Figure]:
    """Yield the figures of a model that answers from the store."""
    from kblam import KBLaM

    model = KBLaM.from_pretrained("default")
    with KnowledgeBase.open(folder / "store") as store:
        model.attach(store)
        fact = facts[len(facts) // 2]
        question = f"What is the {fact.property} of {fact.entity}?"
        yield "first answer after attaching", seconds(lambda: assert_answers(model.ask(question), fact)), None
        changed = [facts[row * (len(facts) // CHANGES)] for row in range(100)]

        def change_and_follow(row: int) -> Took:
            store.set(Triple(changed[row].entity, changed[row].property, facts[row + 3].value))
            return seconds(model._current)

        follows = [change_and_follow(row) for row in range(100)]
        yield "the model takes over one commit, median", middle(follows), 0.100
        yield "the model takes over one commit, longest", max(follows, key=lambda took: took.clock), 0.100
        yield "next answer", median(lambda row: assert_answers(model.ask(question), fact), 5), None


def assert_answers(answer: Any, fact: Triple) -> None:
    """Fail unless the answer quotes and cites the fact."""
    assert fact.value in answer.text and answer.citations[0].triple == fact, answer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How quick the store is.")
    parser.add_argument("--facts", type=int, default=100_000)
    parser.add_argument("--answer", action="store_true", help="ask the shipped model too")
    parser.add_argument("--folder", type=Path, help="where to work (a temporary folder)")
    parser.add_argument("--output", type=Path, help="a JSON file to add the figures to")
    options = parser.parse_args()
    facts = facts_of(options.facts)
    figures = {}
    print(f"{'ms, clock':>12} {'ms, core':>12}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        steps = list(measure(facts, Path(name)))
        size = (Path(name) / "store" / "facts.sqlite3").stat().st_size
        steps += measure_answer(facts, Path(name)) if options.answer else []
    for what, took, target in steps:
        figures[what] = {"clock": round(took.clock, 5), "core": round(took.core, 5)}
        wanted = f"   (wanted at 100,000 facts: {target * 1000:,.0f} ms)" if target is not None else ""
        print(f"{took.clock * 1000:>12,.2f} {took.core * 1000:>12,.2f}  {what}{wanted}")
    print(f"{size / options.facts:>12,.0f} bytes a fact on the disk, without the column cache")
    if options.output is not None:
        machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
        known = json.loads(options.output.read_text()) if options.output.exists() else {}
        known[f"{options.facts:,} facts"] = {"machine": machine, "seconds": figures}
        options.output.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
