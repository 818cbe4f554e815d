"""From prompts to text: how the words are chosen, heard while they are made, and stopped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from kblam.answering.streaming import BatchStreamer, Streamer

__all__ = ["Generation", "generate"]


Listener = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Generation:
    """How the words of a call's answers are chosen, heard while they are made, and stopped."""

    temperature: float = 0.0
    """0 takes the likeliest token; above it tokens are drawn."""
    top_p: float = 1.0
    """Tokens are drawn from the likeliest that together have this probability."""
    seed: int | None = None
    """Makes drawing repeatable."""
    listeners: Sequence[Listener | None] = ()
    """What receives the pieces of each question's answer as they are made; none, or one for each question."""
    abandoned: Callable[[int], bool] = field(default=lambda question: False)
    """Whether nobody waits any longer for the answer to the question of this number; asked after each token."""

    def heard_by(self, questions: Collection[int]) -> Generation:
        """The same with listeners to these questions only."""
        return replace(
            self, listeners=[on if number in questions else None for number, on in enumerate(self.listeners)]
        )

    def listener(self, question: int) -> Listener | None:
        """What listens to this question's answer."""
        return self.listeners[question] if self.listeners else None


@torch.no_grad()
def generate(
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    inputs: dict[str, Tensor],
    tokens: int,
    generation: Generation,
    owners: Sequence[int],
    one_line: bool = False,
) -> list[str]:
    """What the model writes after each prompt of a batch; `owners` says which question each prompt is of. one_line: it stops by itself
    at the end of a line only.

    Shapes: input_ids and attention_mask (B, T), padded on the left.
    """
    stopping: list[StoppingCriteria] = [_Abandonment(generation, owners)]
    if one_line:
        stopping.append(_EndOfLine(tokenizer, inputs["input_ids"].shape[1]))
    heard = [generation.listener(owner) for owner in owners]
    rows = [None if listener is None else Streamer(tokenizer, listener) for listener in heard]
    with _seeded(generation):
        made = base.generate(  # type: ignore[operator]
            **inputs,
            max_new_tokens=tokens,
            streamer=BatchStreamer(rows) if any(heard) else None,
            stopping_criteria=StoppingCriteriaList(stopping),
            pad_token_id=tokenizer.pad_token_id,
            **_sampling(generation),
        )
    texts: list[str] = tokenizer.batch_decode(made[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return texts


def _sampling(generation: Generation) -> dict[str, Any]:
    if generation.temperature == 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": generation.temperature, "top_p": generation.top_p, "top_k": 0}


@contextmanager
def _seeded(generation: Generation) -> Iterator[None]:
    """A block in which drawing begins at the generation's seed; what is drawn outside of it goes on as before."""
    seeded = generation.seed is not None and generation.temperature > 0
    with torch.random.fork_rng(enabled=seeded):
        if generation.seed is not None and seeded:
            torch.manual_seed(generation.seed)
        yield


class _Abandonment(StoppingCriteria):
    """Ends the rows of a batch for whose questions nobody waits any longer."""

    def __init__(self, generation: Generation, questions: Sequence[int]) -> None:
        self._generation, self._questions = generation, questions

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        done = [self._generation.abandoned(question) for question in self._questions]
        return torch.tensor(done, device=input_ids.device)


class _EndOfLine(StoppingCriteria):
    """Ends the answers of a model that was not trained to answer: it never says that it is done, and asks itself more."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: int) -> None:
        self._tokenizer, self._prompt = tokenizer, prompt

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        texts = self._tokenizer.batch_decode(input_ids[:, self._prompt :], skip_special_tokens=True)
        return torch.tensor(["\n" in text.lstrip() for text in texts], device=input_ids.device)
