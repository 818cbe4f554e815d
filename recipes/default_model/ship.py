"""Put the trained model into the package: `python recipes/default_model/ship.py`."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from itertools import cycle
from pathlib import Path

import torch
from train_base import new_model
from transformers import PreTrainedTokenizerFast

from kblam.knowledge import load_encoder
from kblam.models.adapter import Adapter
from kblam.synthesis.facts import HELD_OUT_THEMES, make_facts, split_properties
from kblam.training.prior import calibrate_refusal
from kblam.training.questions import Exam, make_exam

HERE = Path(__file__).parent
RUNS = HERE / "runs"
SHIPPED = HERE.parent.parent / "src" / "kblam" / "default"


READING = ("beta_", "question_", "name_bonus")
"""What the names of the tensors begin with that read questions."""
EXAMS = 6
RETRIEVAL_SHARE = 0.25
"""Share of the language model's own attention in the retrieval score; with all of it, 1.7 of 100 paraphrased questions about properties that no
training saw found another row of the same entity."""


def joined_adapter() -> Adapter:
    """Vectors and slots from train_slots.py, question reading from train_reading.py, refusal calibrated anew."""
    reading, adapter = Adapter.load(RUNS / "reading"), Adapter.load(RUNS / "slots")
    read = {name: tensor for name, tensor in reading.state_dict().items() if name.startswith(READING)}
    adapter.load_state_dict({**adapter.state_dict(), **read})
    adapter.question_updates = reading.question_updates
    with torch.no_grad():
        adapter.query_weight[0] *= RETRIEVAL_SHARE
    chance, truth = calibrate_refusal(adapter, exams(), load_encoder("all-MiniLM-L6-v2"))
    adapter.provenance = {
        **adapter.provenance,
        **reading.provenance,
        "refusal_measured": {
            "answerable accepted": round((chance[truth == 1] > 0.5).float().mean().item(), 4),
            "unanswerable refused": round((chance[truth == 0] <= 0.5).float().mean().item(), 4),
        },
    }
    return adapter


def exams() -> list[Exam]:
    """Half about themes that reading was not trained on, half about those it was."""
    unseen = [item for item in split_properties(held_out=True) if item.theme in HELD_OUT_THEMES]
    return [
        make_exam(make_facts(2500, seed, properties=properties, other_scripts=0.06), seed, 600)
        for seed, properties in zip(range(31, 31 + EXAMS), cycle((unseen, split_properties(False))))
    ]


def main() -> None:
    """Copy base, tokenizer and adapter, and write the hashes that `python -m kblam.test` checks."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(RUNS / "tokenizer")
    model = new_model(tokenizer)
    model.load_state_dict(torch.load(RUNS / "base" / "checkpoint.pt", weights_only=True)["model"])
    shutil.rmtree(SHIPPED / "base", ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(SHIPPED / "base")
    tokenizer.save_pretrained(SHIPPED / "base")
    joined_adapter().save(SHIPPED / "adapter")
    weights = sorted(path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.safetensors"))
    hashes = {name: hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() for name in weights}
    (SHIPPED / "sha256.json").write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
