"""What the experiments share: the options, the model, knowledge bases of every size, and questions about them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from kblam.answering.model import KBLaM
from kblam.errors import InputError
from kblam.evaluation.suite import choose_questions
from kblam.experiments.pieces import Pieces
from kblam.experiments.public import read_public
from kblam.experiments.similarity import TokenSimilarity, load_bertscore
from kblam.knowledge import DEFAULT_ENCODER, KnowledgeBase
from kblam.knowledge.endpoint import open_client
from kblam.measuring.report import about_machine
from kblam.synthesis.dataset import Entry
from kblam.synthesis.making import Recipe, make_dataset
from kblam.synthesis.questions import Question
from kblam.version import __version__

__all__ = ["Setting", "World", "fingerprint"]

Track = Callable[[Sequence[Any], str], Iterable[Any]]


@dataclass(frozen=True)
class Setting:
    """What is asked of which model."""

    output: Path
    """A folder for pieces, plots and the report."""
    model: str = "default"
    sizes: tuple[int, ...] = (100, 1000, 10_000)
    """Numbers of facts, ascending; a smaller base is the beginning of a larger one."""
    questions: int = 40
    """Most questions of each kind, for each size and seed."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each makes other facts and other questions."""
    dataset: Path | None = None
    """Facts and questions in place of synthetic ones."""
    outside: Path | None = None
    """Facts of another kind than training's, for the experiment `unseen`."""
    outside_questions: Path | None = None
    edits: Path | None = None
    """CounterFact or zsRE, for the experiment `edits`."""
    bertscore: str | None = None
    """A model of the hub or a folder, to have `answers` scored by BERTScore too."""
    judge_endpoint: str | None = None
    """An OpenAI-compatible endpoint, for the experiment `judge`; the key comes from the environment."""
    judge_model: str | None = None
    judge_most: int = 40
    """Answers judged, of each kind, way and size."""
    fresh: bool = False
    """Measure anew what is already there."""

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1 or list(self.sizes) != sorted(set(self.sizes)):
            raise InputError(f"sizes are {self.sizes}: give numbers of at least 1, ascending, each once")
        for name in ("questions", "judge_most"):
            if (count := getattr(self, name)) < 1:
                raise InputError(f"{name} is {count}: give at least 1")
        if (self.judge_endpoint is None) != (self.judge_model is None):
            raise InputError(
                "a judge is a model at an endpoint: give both --judge_endpoint and --judge_model, or neither"
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"seeds are {self.seeds}: give one or more, each once")
        if self.output.is_file():
            raise InputError(f"{self.output} is a file: name a folder for the results")
        for path in (self.dataset, self.outside, self.outside_questions, self.edits):
            if path is not None and not path.exists():
                raise InputError(f"there is no file {path}: give a path that exists")


class World:
    """The model and its knowledge, loaded and made when first needed."""

    def __init__(self, setting: Setting, track: Track = lambda parts, what: parts) -> None:
        """track: shows progress through parts."""
        self.setting, self.track = setting, track
        self.pieces = Pieces(setting.output / "pieces", about_machine(), setting.fresh)
        self._entries: dict[int, list[Entry]] = {}
        self._largest: dict[int, KnowledgeBase] = {}

    @cached_property
    def model(self) -> KBLaM:
        """The model under test."""
        return KBLaM.from_pretrained(self.setting.model)

    @cached_property
    def bertscore(self) -> TokenSimilarity:
        """The usual BERTScore; raises InputError when its model is not to be had."""
        assert self.setting.bertscore is not None
        return load_bertscore(self.setting.bertscore)

    @cached_property
    def judge(self) -> Any:
        """The client of the judge's endpoint; raises KBLaMError without an endpoint or a key."""
        if self.setting.judge_model is None:
            raise InputError("judge needs a language model: give --judge_endpoint URL and --judge_model NAME")
        return open_client(self.setting.judge_model, self.setting.judge_endpoint, "leave --judge_endpoint out")

    @cached_property
    def about(self) -> dict[str, Any]:
        """The conditions of every piece."""
        given = {"kblam": __version__, "model": self.setting.model, "weights": self.weights}
        return given | {"questions": self.setting.questions, "data": fingerprint(self.setting.dataset)}

    @cached_property
    def weights(self) -> str:
        """A fingerprint of all weights: base, adapter, and what it changes in encoders."""
        parts: list[Mapping[str, Tensor]] = [self.model.base.state_dict()]
        if (adapter := self.model.adapter) is not None:
            parts.append(adapter.state_dict())
            parts.append(adapter.encoder_weights())
        digest = hashlib.sha256()
        for part in parts:
            for name, tensor in sorted(part.items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def encoder(self) -> str:
        """The encoder whose vectors the model reads."""
        return DEFAULT_ENCODER if self.model.adapter is None else self.model.adapter.config.encoder

    def entries(self, size: int, seed: int) -> list[Entry]:
        """The first `size` facts of a seed with their questions."""
        if seed not in self._entries:
            self._entries[seed] = self._make(seed)
        return self._entries[seed][:size]

    def _make(self, seed: int) -> list[Entry]:
        if self.setting.dataset is not None:
            return read_public(self.setting.dataset).entries
        most = self.setting.sizes[-1]
        shares = {"paraphrased": 1.0, "two": 0.5, "three": 0.3, "open": 0.3, "unanswerable": 0.7, "misspelt": 0.05}
        made = Recipe(facts=4, validation=most + most // 5 + 40, seed=7000 + seed, **shares)
        return make_dataset(made)[1][:most]

    def sizes(self) -> list[int]:
        """The numbers of facts, no larger than what there is."""
        there = len(self.entries(self.setting.sizes[-1], self.setting.seeds[0]))
        return sorted({min(size, there) for size in self.setting.sizes})

    def knowledge(self, size: int, seed: int) -> KnowledgeBase:
        """The first `size` facts of a seed, encoded; the largest base of each seed is kept (2 D numbers a fact)."""
        if seed not in self._largest:
            facts = [entry.fact for entry in self.entries(self.setting.sizes[-1], seed)]
            self._largest[seed] = self.encode(facts, f"Encoding {len(facts):,} facts, seed {seed}")
        base = self._largest[seed]
        return KnowledgeBase.from_embeddings(
            base.keys[:size], base.values[:size], base.triples[:size], encoder=base.encoder
        )

    def encode(self, facts: Sequence[Any], what: str) -> KnowledgeBase:
        """Facts as a knowledge base, part by part so that progress shows."""
        base = KnowledgeBase.empty(self.encoder)
        for part in self.track([facts[at : at + 1000] for at in range(0, len(facts), 1000)], what):
            base.set_many(part)
        return base

    def questions(self, size: int, seed: int, kinds: Sequence[str]) -> list[Question]:
        """Up to so many of each kind about the first `size` facts, or about none of them."""
        chosen = choose_questions(self.entries(size, seed), self.setting.questions, seed)
        return [question for question in chosen if question.kind in kinds]


def fingerprint(path: Path | None) -> str | None:
    """The name of a file or a dataset directory and a digest of its contents."""
    if path is None:
        return None
    files = sorted(part for part in path.rglob("*.jsonl")) if path.is_dir() else [path]
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in files))
    return f"{path.name}/{digest.hexdigest()[:12]}"
