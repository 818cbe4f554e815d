"""What the tests of training share: a quick encoder, a tiny model in a folder, a small dataset; also a script, for runs
in processes of their own: `python tiny_training.py '{"total_steps": 3}'` prints the log of the run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape
from kblam.models.shipped import SHIPPED
from kblam.synthesis.dataset import read_dataset
from kblam.synthesis.making import Recipe
from kblam.synthesis.writing import synthesize
from kblam.training.embedding import embed_lessons
from kblam.training.lessons import Lessons, Mixture
from kblam.training.losses import Weights
from kblam.training.options import Options
from kblam.training.reading import with_questions
from kblam.training.run import train, work_folder
from kblam.training.vectors import Schedule, VectorTraining

WIDTH = 32


class WordsEncoder:
    """An encoder that adds up a random vector for each word."""

    name, width = "words", WIDTH

    def encode(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        total = np.stack([sum((self._word(word) for word in text.lower().split()), np.zeros(WIDTH)) for text in texts])
        return (total / np.linalg.norm(total, axis=1, keepdims=True).clip(1e-9)).astype(np.float32)

    def _word(self, word: str) -> np.ndarray:
        return np.random.default_rng(sum(map(ord, word))).standard_normal(WIDTH)


def tiny_llama(layers: int = 2, width: int = 32) -> Any:
    torch.manual_seed(0)
    shape = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
    }
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=len(AutoTokenizer.from_pretrained(SHIPPED / "base")), **shape)
    ).eval()


def make_folder(folder: Path) -> Path:
    """A folder with a model, `model/`, and a dataset, `data/`."""
    tiny_llama().save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(SHIPPED / "base").save_pretrained(folder / "model")
    synthesize(folder / "data", Recipe(facts=200, validation=60, seed=1))
    return folder


def make_lessons(folder: Path) -> Lessons:
    """The training half of that dataset, embedded."""
    encoder = WordsEncoder()
    config = AdapterConfig("words", WIDTH, "tiny", (0,), heads=1, head_dim=4, value_head_dim=4, hidden_size=8)
    plain = embed_lessons(read_dataset(folder / "data" / "train.jsonl"), encoder, folder / "cache")
    return with_questions(Adapter(config), plain, encoder, folder / "cache")


def vector_training(lessons: Lessons, base: Any = None, query_rank: int = 0, **changed: Any) -> VectorTraining:
    """Training of a new adapter for a tiny model; `changed` are fields of the schedule."""
    base = base or tiny_llama()
    torch.manual_seed(1)
    shape: dict[str, Any] = {"question_prior": lessons.asked is not None, "query_rank": query_rank}
    config = AdapterConfig("words", WIDTH, "tiny", (0, 1), retrieval_layer=0, **shape, **attention_shape(base, (0, 1)))
    mixture = Mixture(first_rows=30, rows=60, negatives=2, unanswerable=0.3)
    schedule = replace(Schedule(steps=10, batch=4, warmup=2, mixture=mixture, weights=Weights(top_k=8)), **changed)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED / "base")
    return VectorTraining(base, tokenizer, Adapter.for_model(base, config), lessons, schedule)


def tiny_options(folder: Path, name: str = "output", **changed: Any) -> Options:
    settings = {
        "dataset": str(folder / "data"), "model": str(folder / "model"), "output": str(folder / name), "N": 200, "B": 4, "total_steps": 6,
        "warmup": 2, "prior_steps": 5, "validate_every": 3, "save_every": 2, "kb_size": 60, "top_k": 8, "negatives": 2, "lr": 3e-3,
    }  # fmt: skip
    return Options(**(settings | changed))  # type: ignore[arg-type]


def logged(options: Options) -> list[dict[str, Any]]:
    lines = (work_folder(options.output) / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def steps(options: Options) -> list[dict[str, Any]]:
    return [row for row in logged(options) if "validation" not in row]


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, changed = Path(sys.argv[1]), json.loads(sys.argv[2])
    resume = changed.pop("resume", False)
    train(tiny_options(folder, **changed), resume, encoder=WordsEncoder())
