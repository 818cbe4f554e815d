"""Train what reads whole questions and whole facts together: `python recipes/default_model/train_facts.py`.

It goes on from the small cross-encoder of train_cross.py, or from other weights (`--start`), on questions about the worlds in `worlds/`
and about synthetic facts. Of five worlds one is kept for the calibration of refusal, of ten one for looking at; properties that are kept
for evaluation or asked in benchmarks/real_world are left out. A step takes 1.3 s of two cores that multiply bfloat16, several times as
long on others. Writes `runs/facts.safetensors`, with the losses and what there is after every hundred steps beside.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import torch
from definitions import LEFT_OUT
from train_cross import LARGER, SMALL
from train_reading import ENCODER, RUNS, log_losses, practice

from kblam.answering.reader import Reader, by_turns
from kblam.knowledge import KnowledgeBase, load_encoder
from kblam.knowledge.cross_encoder import load_cross_encoder
from kblam.knowledge.encoders import LARGER_ENCODER
from kblam.knowledge.sentence_model import load_sentence_model
from kblam.models.adapter import Adapter
from kblam.models.tensor_files import read_cross_weights, save_cross_weights
from kblam.naming.asking import is_description
from kblam.synthesis.questions import is_cjk
from kblam.training.cross_encoder import CrossPlan, train_cross_encoder
from kblam.training.fact_lessons import NamedLessons, WorldLessons
from kblam.training.inverse_questions import turned_round
from kblam.training.pair_lessons import Draw, Lesson, NamelessLessons
from kblam.training.path_lessons import PathLessons
from kblam.training.worlds import World, read_worlds

FACTS = RUNS / "facts.safetensors"
WORLDS = Path(__file__).parent / "worlds"
SHARES = {
    "synthetic": 0.19, "worlds": 0.10, "Asian worlds": 0.12, "told": 0.13, "glossaries": 0.22,
    "inverse": 0.07, "turned round": 0.08, "steps": 0.09,
}  # fmt: skip
"""Of the questions: about synthetic facts; about worlds, and those in Chinese and Japanese; about worlds told in descriptions; about
glossaries; for the things that have something, as people ask them and by forms; in steps. Of the shipped weights only the last steps had all of
these (see the README)."""
INVERSE = ("25.txt", "26.txt")
"""Files of worlds whose questions say a value and ask for the thing that has it."""
ALIKE = 20
"""Facts that each question is set beside, at most."""


def worlds(part: str) -> list[World]:
    """Those to train on (`training`), to calibrate refusal on (`calibration`), or to look at (`looking`)."""
    kept = {"calibration": lambda at: at % 5 == 3, "looking": lambda at: at % 10 == 9}
    chosen = kept.get(part, lambda at: not any(of(at) for of in kept.values()))
    files = sorted(WORLDS.glob("*.txt"))
    return [world.without(LEFT_OUT) for file in files for at, world in enumerate(read_worlds(file)) if chosen(at)]


def is_inverse(world: World) -> bool:
    """Whether a world's questions say values: those that any file of INVERSE holds."""
    return world.name in _inverse_names()


@cache
def _inverse_names() -> frozenset[str]:
    return frozenset(world.name for file in INVERSE for world in read_worlds(WORLDS / file))


def is_glossary(world: World) -> bool:
    """Whether a world's things have descriptions."""
    return any(is_description(fact.property) for fact in world.facts[:2])


def compared(world: World, adapter: Adapter) -> World:
    """The world with the facts that each question resembles, as the adapter's vectors see them."""
    encoder = load_encoder(ENCODER)
    reader = Reader(adapter, KnowledgeBase.from_triples(world.facts, encoder).snapshot(), encoder)
    return world.compared(partial(_alike, reader))


def _alike(reader: Reader, questions: Sequence[str]) -> list[list[int]]:
    scores = reader.adapter.prior_scores(reader.encode(questions, reader.question_encoder), reader.latents)
    best = scores.topk(min(ALIKE, scores.shape[1])).indices.tolist()
    return [by_turns(*both)[:ALIKE] for both in zip(best, reader.telling(reader.encode(questions)), strict=True)]


def main() -> None:
    """The whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=60_000)
    parser.add_argument("--steps", type=int, default=7400)
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--statements", type=int, default=6, help="facts beside each question (6; the last shipped steps had 4)"
    )
    parser.add_argument(
        "--reading", type=Path, default=RUNS / "reading", help="the adapter whose vectors compare facts"
    )
    parser.add_argument("--start", type=Path, default=SMALL, help="the cross-encoder to go on from")
    parser.add_argument(
        "--taught", action="store_true", help="the larger cross-encoder teaches; a step takes twice as long"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    reading = Adapter.load(options.reading)
    known = [compared(world, reading) for world in worlds("training")]
    draw, count = random.Random(options.seed), options.statements
    others = [world for world in known if not (is_glossary(world) or is_inverse(world))]
    turned = [turned_round(world, draw) for world in known if not is_glossary(world)]
    nameless = NamelessLessons.about(practice(options.facts, 0), encoder=load_encoder(ENCODER))
    kinds: dict[str, Draw] = {
        "synthetic": NamedLessons(replace(nameless, statements=options.statements)),
        "worlds": WorldLessons([world for world in others if not is_cjk(world.questions[0].text)], count),
        "Asian worlds": WorldLessons([world for world in others if is_cjk(world.questions[0].text)], count),
        "told": WorldLessons([world.described(draw) for world in others], count),
        "glossaries": WorldLessons([world for world in known if is_glossary(world)], count),
        "inverse": WorldLessons([world for world in known if is_inverse(world)], count),
        "turned round": WorldLessons([world for world in turned if world.questions], count),
        "steps": PathLessons([world for world in known if not is_glossary(world)], count),
    }

    def lessons(draw: random.Random) -> Lesson:
        (kind,) = draw.choices(list(SHARES), list(SHARES.values()))
        return kinds[kind](draw)

    plan = CrossPlan(steps=options.steps, questions=44, rate=options.rate, warmup=100, seed=options.seed)
    model, start = load_sentence_model(ENCODER), read_cross_weights(options.start)
    teacher = load_cross_encoder(LARGER_ENCODER, read_cross_weights(LARGER)) if options.taught else None
    keep = partial(save_cross_weights, FACTS.with_suffix(".part.safetensors"))
    save_cross_weights(FACTS, train_cross_encoder(model, lessons, plan, log_losses(FACTS), start, teacher, keep))


if __name__ == "__main__":
    main()
