"""Whether an approximate index pays: `python benchmarks/speed/approximate.py KNOWLEDGE [--questions 100]`.

faiss (`pip install faiss-cpu`) finds the rows of the question prior's best scores among lists around centres, in
8-bit codes. Printed for several shares of the lists searched: the share of the exact scan's best 100 rows among the
1,000 proposed, and the milliseconds of one question, beside those of the exact scan. One thread, the processor's time.
"""

from __future__ import annotations

import argparse
import json
import random
from functools import partial

import faiss
import torch
from torch import Tensor

from kblam import KnowledgeBase
from kblam.answering.evidence import Reader
from kblam.attention.latent import Latents
from kblam.measuring.clock import seconds
from kblam.models.pretrained import default_adapter

SHARES = (0.02, 0.05, 0.1, 0.25)
PROPOSED = 1000


def unit_rows(part: Latents) -> Tensor:
    """Key and value embeddings at unit length, side by side: (M, 2 D)."""
    pairs = (part.keys, part.key_norms), (part.values, part.value_norms)
    return torch.cat([rows.float() / norms.float()[:, None].clamp(min=1e-12) for rows, norms in pairs], 1)


@torch.no_grad()
def main() -> None:
    """One JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("knowledge")
    parser.add_argument("--questions", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    base, adapter = KnowledgeBase.from_file(options.knowledge), default_adapter()
    reader = Reader(adapter, base.snapshot(), base.encoder)
    asked = random.Random(1).sample(base.triples, options.questions)
    reading = reader.read([f"What is {fact.key_text}?" for fact in asked])
    wanted = adapter.prior_scores(reading.embedding, reader.latents).topk(100).indices.tolist()
    scan = partial(adapter.prior_scores, reading.embedding[:1], reader.latents)
    scan()
    rows = torch.cat([unit_rows(part) for part in reader.latents.parts]).numpy()
    lists, width = int(2 * len(rows) ** 0.5), rows.shape[1]
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width), width, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = 10
    built = seconds(lambda: (index.train(rows[:: max(1, len(rows) // (64 * lists))]), index.add(rows)))
    for_keys, for_values = adapter.read_question(reading.embedding)
    queries = torch.cat([adapter.beta_key[0] * for_keys, adapter.beta_value[0] * for_values], 1).numpy()
    found = []
    for share in SHARES:
        index.nprobe = max(1, round(share * lists))
        proposed = index.search(queries, PROPOSED)[1].tolist()
        hits = sum(len(set(best) & set(some)) for best, some in zip(wanted, proposed, strict=True))
        took = seconds(lambda: [index.search(query[None], PROPOSED) for query in queries[:20]]) / 20
        recall = round(hits / 100 / len(asked), 4)
        found.append({"lists searched": share, "recall@100": recall, "ms": round(took * 1e3, 1)})
    numbers = {"facts": len(base), "exact ms": round(seconds(scan) * 1e3, 1), "seconds to build": round(built)}
    print(json.dumps({**numbers, "index": found}))


if __name__ == "__main__":
    main()
