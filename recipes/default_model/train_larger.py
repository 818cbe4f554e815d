"""Train how `default-large` reads questions, and put it into the package: `python recipes/default_model/train_larger.py`.

Low-rank updates of all-mpnet-base-v2, on the practice of train_reading.py and by the same loss, but for questions without
names only; keys and values stay those of the default encoder. With the larger cross-encoder of train_cross.py beside them
refusal is fitted. The updates are also the teacher of train_reading.py's last run. `pip install 'kblam[large]'` first. Writes
`runs/larger.safetensors` and, with `--ship`, `src/kblam/default/large/`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import torch
from ship import calibration_exams, read_together, refusal_measured, write_hashes
from train_reading import RUNS, log_losses, practice, top_1_on_new_themes

from kblam.knowledge import load_encoder
from kblam.knowledge.encoders import LARGER_ENCODER
from kblam.knowledge.sentence_model import Updates, load_sentence_model
from kblam.models.shipped import save_larger_reading, shipped_adapter
from kblam.models.tensor_files import read_updates, save_updates
from kblam.training.prior import calibrate_refusal
from kblam.training.question_encoder import LowRankPlan, train_question_encoder

PATH = RUNS / "larger.safetensors"


def train_larger(facts: int, steps: int) -> Updates:
    """The larger encoder's updates, unless they are there already."""
    if PATH.exists():
        return read_updates(PATH)
    torch.set_num_threads(1)
    plan = LowRankPlan(steps=steps, seed=11, english=True, batch=0, defined=0, rank=16, rate=6e-4)
    model = load_sentence_model(LARGER_ENCODER)
    updates, _ = train_question_encoder(model, practice(facts, 0), plan, log_losses(PATH))
    save_updates(PATH, updates)
    return updates


def ship(updates: Updates, how: dict[str, Any]) -> None:
    """Fit what decides about answers to this reading, and write it beside the shipped adapter."""
    adapter = shipped_adapter()
    adapter.config = replace(adapter.config, meaning_encoder=LARGER_ENCODER)
    adapter.meaning_updates = updates
    read_together(adapter, LARGER_ENCODER, RUNS / "cross_larger.safetensors")
    outcome = calibrate_refusal(adapter, calibration_exams(), load_encoder("all-MiniLM-L6-v2"))
    measured = {
        "larger_reading_measured": {
            "paraphrased top-1 on new themes": round(top_1_on_new_themes(adapter), 4),
            **refusal_measured(*outcome),
        }
    }
    save_larger_reading(adapter, {"larger_reading": how, **measured})
    write_hashes()
    print(measured)


def main() -> None:
    """The whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=60_000)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--ship", action="store_true", help="after ship.py: calibrate, and write into the package")
    options = parser.parse_args()
    updates = train_larger(options.facts, options.steps)
    if options.ship:
        ship(updates, vars(options))


if __name__ == "__main__":
    main()
