"""How soon a changed fact is answerable: `python benchmarks/speed/change.py KNOWLEDGE [--changes 30]`.

KNOWLEDGE is a directory or file with texts and with vectors of the encoder that the shipped adapter reads. Each change
gives one fact a value never seen before; the time, of one thread of the processor, is from `set` (encoding included)
to a reader that scores the new row, and the question after it must find the new value. Printed as JSON: the number of
facts, the median and the slowest.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from dataclasses import replace
from functools import partial

import torch

from kblam import KnowledgeBase, Triple
from kblam.answering.reader import Reader, follow
from kblam.measuring.clock import seconds
from kblam.models.shipped import shipped_adapter


def change(base: KnowledgeBase, fact: Triple, reader: Reader, made: list[Reader | None]) -> None:
    """Change the fact and make the reader that knows it."""
    base.set(fact)
    made.append(follow(reader, base))


@torch.no_grad()
def main() -> None:
    """One JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("knowledge")
    parser.add_argument("--changes", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = KnowledgeBase.from_file(options.knowledge)
    reader = Reader(shipped_adapter(), base.snapshot(), base.encoder)
    times, found = [], 0
    for number, fact in enumerate(random.Random(1).sample(base.triples, options.changes)):
        changed = replace(fact, value=f"new value {number}")
        made: list[Reader | None] = []
        times.append(seconds(partial(change, base, changed, reader, made)))
        if made[0] is None:
            raise SystemExit("the reader could not follow the change")
        reader = made[0]
        best = int(reader.scores(reader.read([f"What is {fact.key_text}?"])).argmax())
        found += reader.snapshot.triples[best].value == changed.value
    timed = times[1:]  # the first loads the encoder
    median, slowest = (round(number * 1e3, 1) for number in (statistics.median(timed), max(timed)))
    print(json.dumps({"facts": len(base), "changes": len(times), "found": found, "ms": median, "slowest ms": slowest}))


if __name__ == "__main__":
    main()
