"""From prompts to text: a base model and its tokenizer.

Shapes: B prompts, T tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from kblam.errors import InputError, ModelError

__all__ = ["Decoder", "Generation"]

SPARE_TOKENS = 64
"""Tokens an answer may have beyond those of the values it quotes."""
SENTENCE = re.compile(r"\s*\n\s*")

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

    def listener(self, question: int) -> Listener | None:
        """What listens to this question's answer."""
        return self.listeners[question] if self.listeners else None


class Decoder:
    """Writes texts after prompts."""

    def __init__(self, base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, name: str) -> None:
        self.base = base
        self.name = name
        self._tokenizer = tokenizer

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The base model's tokenizer; raises ModelError when its folder has none."""
        if self._tokenizer is None:
            raise ModelError(
                f"{self.name} has no tokenizer, so it cannot be asked: put the tokenizer's files into its folder"
            )
        return self._tokenizer

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def cut(self, text: str, tokens: int) -> str:
        """The text's beginning, this many tokens of it."""
        numbers = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(numbers) <= tokens:
            return text
        # A token may end in the middle of a character.
        return str(self.tokenizer.decode(numbers[:tokens], skip_special_tokens=True)).rstrip("\ufffd")

    def chat(self, text: str) -> str:
        """A user's message as the model was taught to read it."""
        if self.tokenizer.chat_template is None:
            return f"{text}\nAnswer:"
        return str(
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
            )
        )

    def encode(self, prompts: list[str]) -> dict[str, Tensor]:
        """input_ids and attention_mask, (B, T), padded on the left; raises InputError for more than the model reads."""
        bare = self.tokenizer.chat_template is not None
        inputs = self.tokenizer(
            prompts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=not bare
        )
        length, most = inputs["input_ids"].shape[1], getattr(self.base.config, "max_position_embeddings", None)
        if most is not None and length + SPARE_TOKENS > most:
            raise InputError(
                f"the question and its facts have {length:,} tokens but {self.name} reads {most:,}: ask a shorter question"
            )
        return {name: inputs[name].to(self.base.device) for name in ("input_ids", "attention_mask")}

    @torch.no_grad()
    def write(
        self,
        prompts: Sequence[str],
        tokens: int,
        generation: Generation,
        listeners: Sequence[Listener | None],
        questions: Sequence[int],
    ) -> list[str]:
        """The model's words after each prompt: at most `tokens` and a few to spare.

        listeners, questions: what hears each prompt's words, and which question each belongs to.
        """
        inputs = self.encode([self.chat(prompt) for prompt in prompts])
        streamer = None
        if any(listeners):
            streamer = BatchStreamer([None if on is None else Streamer(self.tokenizer, on) for on in listeners])
        stop = StoppingCriteriaList([_Abandonment(generation, questions)])
        with _seeded(generation):
            made = self.base.generate(  # type: ignore[operator]
                **inputs,
                max_new_tokens=tokens + SPARE_TOKENS,
                streamer=streamer,
                stopping_criteria=stop,
                pad_token_id=self.tokenizer.pad_token_id,
                **_sampling(generation),
            )
        said = self.tokenizer.batch_decode(made[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [SENTENCE.sub("\n", text).strip() for text in said]


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
