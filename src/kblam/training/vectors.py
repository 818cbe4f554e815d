"""Train the vectors: the maps from a row's embeddings to keys and values inside the layers of a frozen model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kblam.models.active import Recorder
from kblam.models.adapter import Adapter
from kblam.models.inject import inject
from kblam.training.lessons import Lessons, Mixture
from kblam.training.losses import Exercise, Weights, losses, tokenise
from kblam.training.processes import Processes
from kblam.training.questions import Practice

__all__ = ["TRAINED", "Schedule", "VectorTraining", "rates", "train_vectors"]

OPENING_SPEED = 8.0
"""The opening of value slots is one vector of unit size among matrices of small numbers, and must get as far as they."""
TRAINED = ("key_", "value_", "query_", "low_rank_query", "null_")
"""What the names of the trained tensors begin with."""


@dataclass(frozen=True)
class Schedule:
    """How long, how fast and on what."""

    steps: int = 2000
    batch: int = 24
    """Questions in one forward pass of one process."""
    accumulate: int = 1
    """Forward passes a step."""
    rate: float = 3e-3
    warmup: int = 50
    decay: bool = True
    """Whether the rate falls, in a straight line to a fiftieth."""
    clip: float = 1.0
    """The norm that gradients are cut to."""
    mixture: Mixture = field(default_factory=Mixture)
    weights: Weights = field(default_factory=Weights)
    seed: int = 0

    def scale(self, step: int) -> float:
        """The rate of a step, counted from 0, as a share of the highest."""
        falling = max(0.02, (self.steps - step) / self.steps) if self.decay else 1.0
        return min((step + 1) / self.warmup, falling)

    def seed_of(self, step: int) -> str:
        """What decides the questions of a step."""
        return f"{self.seed}/{step}"


class VectorTraining:
    """Trains keys, values, queries and null rows step by step; the base and the question prior stay as they are."""

    def __init__(
        self,
        base: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        adapter: Adapter,
        lessons: Lessons,
        schedule: Schedule,
        processes: Processes | None = None,
    ) -> None:
        self.base, self.tokenizer, self.adapter = base, tokenizer, adapter
        self.lessons, self.schedule, self.processes = lessons, schedule, processes or Processes()
        adapter.requires_grad_(False)
        named = {name: tensor for name, tensor in adapter.named_parameters() if name.startswith(TRAINED)}
        self.names, self.trained = list(named), list(named.values())
        for tensor in self.trained:
            tensor.requires_grad_(True)
        base.requires_grad_(False).eval()  # type: ignore[no-untyped-call]
        self.injection = inject(base, adapter)
        eager = [tensor for name, tensor in named.items() if name.endswith(".opening")]
        others = [tensor for name, tensor in named.items() if not name.endswith(".opening")]
        groups = [{"params": others, "speed": 1.0}, {"params": eager, "speed": OPENING_SPEED}]
        self.optimizer = torch.optim.AdamW(groups, lr=schedule.rate, weight_decay=0.0, betas=(0.9, 0.98))

    def close(self) -> None:
        """Give the base model back as it was."""
        self.injection.remove()
        self.adapter.requires_grad_(False)

    def step(self, step: int) -> dict[str, float]:
        """Do the step of this number, counted from 0; what it does depends on the number and the schedule alone."""
        schedule, processes = self.schedule, self.processes
        for group in self.optimizer.param_groups:
            group["lr"] = group["speed"] * schedule.rate * schedule.scale(step)
        count = schedule.batch * schedule.accumulate * processes.count
        picked = self.lessons.pick(schedule.mixture, count, step / schedule.steps, schedule.seed_of(step))
        mine = range(processes.rank, count, processes.count)
        parts = [mine[at : at + schedule.batch] for at in range(0, len(mine), schedule.batch)]
        exercises = [self.lessons.exercise(picked, part, self.base.device) for part in parts]
        texts = [tokenise(self.tokenizer, item.questions, item.answers).to(self.base.device) for item in exercises]
        said = torch.stack([(text.said != -100).sum() for text in texts]).sum()
        tokens = processes.sum({"tokens": said})["tokens"]
        totals: dict[str, Tensor] = {}
        for exercise, text in zip(exercises, texts, strict=True):
            sums = losses(self.base, self.tokenizer, self.adapter, self.injection, exercise, text, schedule.weights)
            whole = sums["answer"] / tokens + schedule.weights.retrieval * sums["retrieval"] / count
            if "teacher" in sums:
                whole = whole + schedule.weights.teacher * sums["teacher"] / tokens
            whole.backward()  # type: ignore[no-untyped-call]
            totals = {name: totals.get(name, 0) + number.detach() for name, number in sums.items()}
        processes.sum_gradients(self.trained)
        norm = nn.utils.clip_grad_norm_(self.trained, schedule.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {**rates(processes.sum(totals)), "gradient": float(norm), "rows": float(len(picked.rows))}

    @torch.no_grad()
    def measure(
        self, lessons: Lessons, rows: int, count: int, shuffle: bool = False, seed: str = "validation"
    ) -> dict[str, float]:
        """The losses on other lessons, `count` questions among `rows` rows, the same ones for the same seed.

        shuffle: every row gets another row's value: a model that does not read its knowledge would not notice.
        """
        totals: dict[str, Tensor] = {}
        for sums, _, _ in self._asked(lessons, rows, count, shuffle, seed):
            totals = {name: totals.get(name, 0) + number for name, number in sums.items()}
        return rates({name: float(number) for name, number in totals.items()})

    @torch.no_grad()
    def margins(self, lessons: Lessons, rows: int, count: int, seed: str) -> tuple[Tensor, Tensor] | None:
        """How far the best row's score lies above the null row's at the retrieval layer, (n,), and whether the question
        has an answer, (n,); the questions of `measure` with this seed. None without a null row."""
        found: list[tuple[Tensor, Tensor]] = []
        for _, exercise, recorder in self._asked(lessons, rows, count, False, seed):
            retrieval = recorder.retrieval
            if retrieval is None or retrieval.null is None:
                return None
            found.append((retrieval.scores.max(-1).values - retrieval.null, exercise.target[:, -1] == 0))
        margins, answerable = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
        return margins, answerable

    def _asked(
        self, lessons: Lessons, rows: int, count: int, shuffle: bool, seed: str
    ) -> Iterator[tuple[dict[str, Tensor], Exercise, Recorder]]:
        mixture = replace(self.schedule.mixture, unanswerable=0.3, first_rows=rows, rows=rows)
        picked = lessons.pick(mixture, count, 1.0, seed)
        weights = replace(self.schedule.weights, teacher=0.0)
        for start in range(0, count, self.schedule.batch):
            part = range(start, min(start + self.schedule.batch, count))
            exercise, recorder = lessons.exercise(picked, part, self.base.device), Recorder()
            if shuffle:
                by = 1 + len(picked.rows) // 3
                texts = [*exercise.texts[-by:], *exercise.texts[:-by]]
                exercise = replace(exercise, values=exercise.values.roll(by, 0), texts=texts)
            text = tokenise(self.tokenizer, exercise.questions, exercise.answers).to(self.base.device)
            parts = self.base, self.tokenizer, self.adapter, self.injection
            yield losses(*parts, exercise, text, weights, recorder), exercise, recorder


def rates(sums: dict[str, float]) -> dict[str, float]:
    """Sums over tokens and questions as means; the refusal is a balanced accuracy."""
    tokens, questions, answerable = (max(1.0, sums[name]) for name in ("tokens", "questions", "answerable"))
    missing = sums["questions"] - sums["answerable"]
    both = [sums["accepted"] / answerable] + ([sums["refused"] / missing] if missing else [])
    means = {
        "answer": sums["answer"] / tokens,
        "retrieval": sums["retrieval"] / questions,
        "token accuracy": sums["token accuracy"] / tokens,
        "top-1": sums["top-1"] / answerable,
        "refusal": sum(both) / len(both),
        "tokens": sums["tokens"],
    }
    return means | ({"teacher": sums["teacher"] / tokens} if "teacher" in sums else {})


def train_vectors(
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    adapter: Adapter,
    practice: Practice,
    schedule: Schedule,
    report: Callable[[int, dict[str, float]], None],
) -> None:
    """All steps on practice with one question about each fact."""
    needed = tuple((row,) for row in range(len(practice.facts)))
    lessons = Lessons(
        practice.facts, practice.keys, practice.values, practice.questions, practice.asked, needed, tuple(range(len(needed)))
    )  # fmt: skip
    training = VectorTraining(base, tokenizer, adapter, lessons, schedule)
    try:
        for step in range(schedule.steps):
            report(step + 1, training.step(step))
    finally:
        training.close()
