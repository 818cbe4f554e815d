"""Train how the shipped adapter reads questions: `python recipes/default_model/train_prior.py`, about eight minutes
on one core.

Writes `runs/prior/` (an adapter whose question maps and refusal are trained and whose vectors are not) and prints
what it measured on
synthetic facts with properties never trained on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from kblam.answering.evidence import Reader
from kblam.knowledge import KnowledgeBase, load_encoder
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape
from kblam.synthesis.facts import make_facts
from kblam.synthesis.properties import PROPERTIES
from kblam.training.prior import calibrate_refusal, train_prior
from kblam.training.questions import Practice, make_exam, make_practice

RUNS = Path(__file__).parent / "runs"
LAYERS = (1, 2, 3)


def main() -> None:
    """The whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=13000)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = AutoModelForCausalLM.from_pretrained(RUNS / "base") if (RUNS / "base" / "config.json").exists() else None
    shape = (
        attention_shape(base, LAYERS)
        if base
        else {"heads": 4, "head_dim": 64, "value_head_dim": 64, "hidden_size": 256}
    )
    config = AdapterConfig(
        "all-MiniLM-L6-v2", 384, "default", LAYERS, retrieval_layer=1, quote_rows=1, check_quotes=True, **shape
    )  # type: ignore[arg-type]
    adapter, encoder = Adapter(config), load_encoder("all-MiniLM-L6-v2")
    cache = RUNS / "practice.pt"
    practice = (
        Practice.load(cache)
        if cache.exists()
        else make_practice(make_facts(options.facts, options.seed + 1, other_scripts=0.06), encoder, options.seed)
    )
    practice.save(cache)
    train_prior(
        adapter,
        practice,
        options.seed,
        options.steps,
        report=lambda step, loss: print(step, round(loss, 4)) if step % 100 == 0 else None,
    )
    exam = make_exam(make_facts(4000, options.seed + 2, properties=PROPERTIES, other_scripts=0.06), options.seed, 900)
    chance, truth = calibrate_refusal(adapter, exam, encoder)
    accepted, refused = (
        (chance[truth == 1] > 0.5).float().mean().item(),
        (chance[truth == 0] <= 0.5).float().mean().item(),
    )
    fresh = make_facts(1000, options.seed + 3, properties=PROPERTIES, other_scripts=0.0)
    reader = Reader(adapter, KnowledgeBase.from_triples(fresh, encoder).snapshot(), encoder)
    test = make_exam(fresh, 5, 500, 0.0, 0.0)
    best = reader.scores(reader.read([question.text for question in test.questions])).argmax(-1).tolist()
    right = sum(
        reader.snapshot.triples[row].identity == question.facts[0]
        for row, question in zip(best, test.questions, strict=True)
    )
    measured = {"top-1 of 1000": right / len(best), "answerable accepted": accepted, "unanswerable refused": refused}
    print(json.dumps(measured, indent=2))
    adapter.provenance = {"prior": vars(options), "prior_measured": measured, "properties": len(PROPERTIES)}
    adapter.save(RUNS / "prior")


if __name__ == "__main__":
    main()
