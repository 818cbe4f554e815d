"""Put the trained model into the package: `python recipes/default_model/ship.py`."""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from train_base import new_model
from train_facts import FACTS, is_glossary, is_inverse, worlds
from train_reading import CALIBRATION_THEMES, ENCODER
from transformers import PreTrainedTokenizerFast

from kblam.evaluation.suite import choose_questions
from kblam.knowledge import load_encoder
from kblam.knowledge.sentence_model import Updates
from kblam.models.adapter import Adapter
from kblam.models.shipped import SHIPPED
from kblam.models.tensor_files import read_cross_weights
from kblam.synthesis.facts import make_facts, split_properties
from kblam.synthesis.making import Recipe, add_questions, with_aliases
from kblam.synthesis.properties import Property
from kblam.synthesis.questions import Question
from kblam.training.inverse_questions import turned_round
from kblam.training.path_lessons import asked_in_steps
from kblam.training.prior import calibrate_refusal
from kblam.training.questions import Exam, make_exam
from kblam.training.worlds import World

RUNS = Path(__file__).parent / "runs"


READING = ("beta_", "question_", "name_bonus")
"""What the names of the tensors begin with that read questions."""
RETRIEVAL_SHARE = 0.25
"""Share of the language model's own attention in the retrieval score; with all of it, 1.7 of 100 paraphrased questions about properties that no
training saw found another row of the same entity."""
BONUS = (8.0, 16.0, 2.0, 2.0, 2.0)
"""For rows whose entity is named, and whose property is; weights of the question without its names, by vectors and by the
cross-encoder, and of the whole question. The third and fourth were found on the themes that refusal is calibrated on, where half
or twice of them differ by less than a point; the second after two of 2,500 plain questions, in Chinese and Japanese, had lost
to the cross-encoder with 4."""


WORLD_WEIGHT = 0.1
"""Of a question about a world in the calibration of refusal: with more, fewer of them are refused wrongly, and more of the synthetic
ones."""
GLOSSARY_WEIGHT = 0.5
"""Of one about a glossary: descriptions are weighed for themselves, and few others are about any."""

INVERSE_WEIGHT = 1.0
"""Of one that says a value and asks for its thing, or means a thing by another one: likewise."""


def joined_adapter() -> Adapter:
    """Vectors and slots from train_slots.py, question reading from train_reading.py, refusal calibrated anew."""
    reading, adapter = Adapter.load(RUNS / "reading"), Adapter.load(RUNS / "slots")
    read = {name: tensor for name, tensor in reading.state_dict().items() if name.startswith(READING)}
    adapter.load_state_dict({**adapter.state_dict(), **read})
    adapter.question_updates = reading.question_updates
    adapter.config = replace(adapter.config, english_encoder=reading.config.english_encoder)
    read_together(adapter, ENCODER, RUNS / "cross.safetensors")
    with torch.no_grad():
        adapter.query_weight[0] *= RETRIEVAL_SHARE
    chance, truth = calibrate_refusal(adapter, calibration_exams(), load_encoder("all-MiniLM-L6-v2"))
    measured = {"refusal_measured": refusal_measured(chance, truth)}
    adapter.provenance = {**adapter.provenance, **reading.provenance, **measured}
    return adapter


def read_together(adapter: Adapter, encoder: str, path: Path) -> None:
    """Give an adapter the cross-encoder in a file, the one that reads whole facts, and what counts for a row of a thing
    named; all updates in half precision, which is enough for them and takes half the space."""
    for take, name, file in ((adapter.take_cross_encoder, encoder, path), (adapter.take_fact_encoder, ENCODER, FACTS)):
        weights = read_cross_weights(file)
        take(name, replace(weights, updates=halved(weights.updates)))
    adapter.question_updates, adapter.meaning_updates = (
        halved(adapter.question_updates),
        halved(adapter.meaning_updates),
    )
    assert adapter.name_bonus is not None
    adapter.name_bonus.copy_(torch.tensor(BONUS))


def halved(updates: Updates) -> Updates:
    """The updates in half precision."""
    return {name: (down.half(), up.half()) for name, (down, up) in updates.items()}


def refusal_measured(chance: Tensor, truth: Tensor) -> dict[str, float]:
    """Both halves of balanced accuracy, of confidences and whether there was an answer (n,)."""
    return {
        "answerable accepted": round((chance[truth == 1] > 0.5).float().mean().item(), 4),
        "unanswerable refused": round((chance[truth == 0] <= 0.5).float().mean().item(), 4),
    }


def write_hashes() -> None:
    """Write the hashes of all weights that ship, which `python -m kblam.test` checks."""
    files = (*SHIPPED.rglob("*.safetensors"), SHIPPED / "large" / "reading.json")
    weights = sorted(path.relative_to(SHIPPED).as_posix() for path in files)
    hashes = {name: hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() for name in weights}
    (SHIPPED / "sha256.json").write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")


def properties(strange: bool) -> list[Property]:
    """Those that refusal is calibrated on and reading has not seen, or those that it has."""
    return [item for item in split_properties(held_out=False) if (item.theme in CALIBRATION_THEMES) == strange]


def mixed_exam() -> Exam:
    """Half about themes that reading was not trained on, half about those it was, in one knowledge base."""
    halves = [
        make_exam(make_facts(4000, 31, properties=properties(strange=True), other_scripts=0.06), 31, 1000),
        make_exam(make_facts(5000, 32, properties=properties(strange=False), other_scripts=0.06), 32, 1000),
    ]
    facts = {fact.identity: fact for half in halves for fact in half.facts}
    asked = [
        (question, answerable)
        for half in halves
        for question, answerable in zip(half.questions, half.answerable, strict=True)
        if answerable == (question.facts[0] in facts)
    ]
    return Exam(tuple(facts.values()), tuple(item for item, _ in asked), tuple(known for _, known in asked))


def dataset_exam() -> Exam:
    """What `kblam synthesize` asks, aliases and slips of the pen among it, of as many strange facts as others."""
    halves = (make_facts(2000, 33 + strange, properties=properties(bool(strange))) for strange in (0, 1))
    facts = list({fact.identity: fact for half in halves for fact in half}.values())
    entries = add_questions(with_aliases(facts, 0.15, random.Random(33)), Recipe(seed=33), "calibration")
    kinds = ("plain", "paraphrased", "misspelt", "alias", "unanswerable")
    questions = [item for item in choose_questions(entries, 400, 31) if item.kind in kinds]
    return Exam(tuple(entry.fact for entry in entries), tuple(questions), tuple(bool(item.facts) for item in questions))


def calibration_exams() -> list[Exam]:
    """What refusal is calibrated on: questions in large knowledge bases and in small ones, and people's."""
    return [mixed_exam(), dataset_exam(), *small_exams(), *world_exams()]


def world_exams() -> list[Exam]:
    """Questions about a third of the worlds that are kept for this, as they are, told in descriptions and turned round; about all
    glossaries and all worlds whose questions say values; and in steps about all."""
    kept = worlds("calibration")
    special = [world for world in kept if is_glossary(world) or is_inverse(world)]
    others = [world for world in kept if world not in special][::3]
    draw = random.Random(51)
    return [
        *(_exam(world, WORLD_WEIGHT) for world in others),
        *(_exam(world.described(draw), WORLD_WEIGHT) for world in others[::2]),
        *(_exam(world, GLOSSARY_WEIGHT if is_glossary(world) else INVERSE_WEIGHT) for world in special),
        *(_exam(turned_round(world, draw), INVERSE_WEIGHT) for world in others[1::4]),
        *(_exam(steps, INVERSE_WEIGHT) for steps in (asked_in_steps(world, draw) for world in kept) if steps.questions),
    ]


def _exam(world: World, weight: float) -> Exam:
    """All questions about a world."""
    asked = [
        Question(each.text, "", () if each.row is None else (world.facts[each.row].identity,), "world")
        for each in world.questions
    ]
    return Exam(tuple(world.facts), tuple(asked), tuple(each.row is not None for each in world.questions), weight)


def small_exams(count: int = 20) -> list[Exam]:
    """Knowledge bases of 160 facts, as people begin with; half of the facts are strange."""
    exams = []
    for seed in range(41, 41 + count):
        halves = (make_facts(80, 100 * seed + strange, properties=properties(bool(strange))) for strange in (0, 1))
        facts = list({fact.identity: fact for half in halves for fact in half}.values())
        exams.append(make_exam(facts, seed, 50, missing_entities=0.15, missing_facts=0.2))
    return exams


def main() -> None:
    """Copy base, tokenizer and adapter, and write the hashes."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(RUNS / "tokenizer")
    model = new_model(tokenizer)
    model.load_state_dict(torch.load(RUNS / "base" / "checkpoint.pt", weights_only=True)["model"])
    shutil.rmtree(SHIPPED / "base", ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(SHIPPED / "base")
    tokenizer.save_pretrained(SHIPPED / "base")
    joined_adapter().save(SHIPPED / "adapter")
    write_hashes()


if __name__ == "__main__":
    main()
