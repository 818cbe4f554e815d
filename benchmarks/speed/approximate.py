"""What an index finds, and when it pays: `python benchmarks/speed/approximate.py KNOWLEDGE [--questions 200]`.

KNOWLEDGE is a directory or file with real vectors and texts. The model that ships reads questions, half of them plain
and half paraphrased, and its retrieval layer chooses rows by each kind of scan. Printed: the share of the exact scan's
best 100 rows that the other scans choose, how often the best row is the same, the milliseconds from a question to its
chosen rows (the median; with one thread the processor's time), the seconds until the first question can be asked, and
what is kept for the scan beside the rows. `--copies 10` repeats the rows, slightly moved, for times at other sizes.
"""

from __future__ import annotations

import argparse
import json
import random
from functools import partial
from typing import Any, get_args

import numpy as np
import torch

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.vectors import Scan
from kblam.attention.latent import Latents
from kblam.measuring.clock import median, seconds
from kblam.synthesis.questions import paraphrased_question, plain_question

BEST = 100


def kept_bytes(latents: Latents) -> int:
    """What a scan keeps beside the rows."""
    codes = 0 if latents.index is None else latents.index.codes.ntotal * latents.index.codes.code_size
    coarse = [half for part in latents.parts for half in part.coarse or ()]
    return codes + sum(half.codes.nbytes + half.scale.nbytes for half in coarse)


def enlarged(base: KnowledgeBase, copies: int) -> KnowledgeBase:
    """The facts and so many copies of them with other names, each number of a vector moved by about a thousandth."""
    draw = np.random.default_rng(3)
    facts = [
        fact if copy == 0 else Triple(f"{fact.entity} {copy}", fact.property, fact.value)
        for copy in range(copies)
        for fact in base.triples
    ]
    pairs = [
        np.concatenate(
            [
                rows + np.float16(1e-3 if copy else 0) * draw.standard_normal(rows.shape, np.float32).astype(np.float16)
                for copy in range(copies)
            ]
        )
        for rows in (base.keys, base.values)
    ]
    return KnowledgeBase.from_embeddings(*pairs, facts, base.encoder)


def chosen(base: KnowledgeBase, scan: Scan, questions: list[str]) -> tuple[list[list[int]], dict[str, Any]]:
    """The best rows of each question, and what it cost."""
    model = KBLaM.from_pretrained("default").attach(base, scan=scan)
    opened = seconds(model.reader)
    model.nearest(questions[:1], BEST)
    best: list[list[int]] = []
    times = [seconds(partial(lambda text: best.extend(model.nearest([text], BEST)), text)) for text in questions]
    kept = kept_bytes(model.reader().latents)
    return best, {"ms": round(median(times) * 1e3, 1), "opened in s": round(opened, 1), "kept MB": round(kept / 1e6, 1)}


def main() -> None:
    """One JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("knowledge")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--copies", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw, base = random.Random(1), KnowledgeBase.from_file(options.knowledge)
    forms = plain_question, paraphrased_question
    asked = draw.sample(base.triples, options.questions)
    questions = [forms[number % 2](fact, draw).text for number, fact in enumerate(asked)]
    base = base if options.copies == 1 else enlarged(base, options.copies)
    small = KnowledgeBase.from_embeddings(base.keys[:BEST], base.values[:BEST], base.triples[:BEST], base.encoder)
    numbers: dict[str, Any] = {"facts": len(base), "questions": len(questions)}
    numbers["ms with 100 facts"] = chosen(small, "exact", questions[:50])[1]["ms"]
    wanted: list[list[int]] = []
    for scan in get_args(Scan):
        found, cost = chosen(base, scan, questions)
        wanted = wanted or found
        pairs = list(zip(wanted, found, strict=True))
        recall = sum(len(set(one) & set(other)) for one, other in pairs) / BEST / len(pairs)
        same = sum(one[0] == other[0] for one, other in pairs) / len(pairs)
        numbers[scan] = {"recall@100": round(recall, 4), "same best row": same, **cost}
    print(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()
