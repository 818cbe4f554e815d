"""The model's own words: prompts become tokens, and the chosen facts reach it as text or as vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kblam.answering.decoding import Generation, generate
from kblam.answering.forms import MOST_LISTED, Form
from kblam.answering.prompts import chat_prompt, quoting_prompt
from kblam.answering.reader import Reader
from kblam.answering.vectors import read_rows
from kblam.errors import InputError, ModelError
from kblam.knowledge import Snapshot, Triple
from kblam.models.active import ActiveKnowledge, Every
from kblam.models.adapter import Adapter
from kblam.models.inject import Injection
from kblam.models.slots import SlotTokens, slot_tokens

__all__ = ["Choice", "Speech"]

SPARE_TOKENS = 64
"""Tokens an answer may have beyond those of the values it quotes."""
TOKENS_WITHOUT_TEXT = 128
SENTENCE_END = re.compile("[.!?\u3002\uff01\uff1f\u010a]$|\u00e3\u0122\u0124$")
"""Pieces that end a sentence; byte-level vocabularies write a line's end and `\u3002` in letters of their own."""
SENTENCE = re.compile(r"\s*\n\s*")


@dataclass(frozen=True, eq=False)
class Choice:
    """What the model looked at for one clause of a question."""

    clause: str
    """With the name by which its thing is stored."""
    embedding: Tensor
    """(D,): of the clause, for adapters whose question prior weighs rows while they are spoken of."""
    weights: Tensor
    """(M + 1,): the rows and, last, "none of these"."""
    rows: tuple[int, ...]
    """The rows that answer, the best first; none when the clause is refused."""
    attended: Tensor
    """(k,): the rows that generation attends to, best first."""
    form: Form = "value"
    """What the clause asks for."""
    via: tuple[int, ...] = ()
    """The row that says which thing is meant, where another one is named."""

    @property
    def answering(self) -> tuple[int, ...]:
        """The rows that the answer rests on: the best, or all of the things it names."""
        return self.rows[:MOST_LISTED] if self.form == "thing" else (*self.rows[:1], *self.via)


@dataclass(frozen=True, eq=False)
class Speech:
    """A decoder that speaks about chosen facts."""

    name: str
    base: PreTrainedModel
    own_tokenizer: PreTrainedTokenizerBase | None
    adapter: Adapter | None
    injection: Injection | None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The base model's tokenizer; raises ModelError when its folder has none."""
        if self.own_tokenizer is None:
            raise ModelError(
                f"{self.name} has no tokenizer, so it cannot be asked: put the tokenizer's files into its folder"
            )
        return self.own_tokenizer

    def encode(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Chat prompts as a left-padded batch; raises InputError when one is longer than the model reads."""
        bare = self.tokenizer.chat_template is not None
        inputs = self.tokenizer(
            [chat_prompt(self.tokenizer, prompt) for prompt in prompts],
            return_tensors="pt", padding=True, padding_side="left", add_special_tokens=not bare,
        )  # fmt: skip
        length, most = inputs["input_ids"].shape[1], self._most
        if most is not None and length + SPARE_TOKENS > most:
            raise InputError(
                f"the question and its facts have {length:,} tokens but {self.name} reads {most:,}: ask a shorter question"
            )
        return {name: inputs[name].to(self.base.device) for name in ("input_ids", "attention_mask")}

    def say(
        self,
        reader: Reader,
        choices: Sequence[Choice],
        quoting: bool,
        generation: Generation,
        owners: Sequence[int],
        every: Every = "question",
    ) -> list[str]:
        """The model's words for each clause; when quoting it reads the facts' text, else it has their vectors only. Of a fact that
        is too long for it to read and say, the value as it is stored.

        owners: the question that each clause is of. every: how often rows are chosen, when not quoting.
        """
        if not choices:
            return []
        facts = [
            [reader.snapshot.triples[row] for row in dict.fromkeys((*choice.rows, *choice.via))] for choice in choices
        ]
        quoting = quoting and reader.snapshot.has_texts
        prompts = [
            quoting_prompt(choice.clause, shown) if quoting else choice.clause
            for choice, shown in zip(choices, facts, strict=True)
        ]
        if not quoting:
            with self._attending(reader, choices, every):
                return self.write(prompts, generation, owners)
        said = [shown[0].value for shown in facts]
        spoken = [
            at for at, shown in enumerate(facts) if self._fits(prompts[at], shown, said[at], generation, owners[at])
        ]
        if spoken:
            longest = max(self.count(fact.value) for at in spoken for fact in facts[at])
            words = self.write([prompts[at] for at in spoken], generation, [owners[at] for at in spoken], longest)
            for at, text in zip(spoken, words, strict=True):
                said[at] = text
        return said

    def _fits(self, prompt: str, shown: Sequence[Triple], value: str, generation: Generation, owner: int) -> bool:
        """Whether the model can read a prompt and say the values in it once more; else whoever listens hears the value."""
        most = self._most
        if (
            most is None
            or self.count(prompt) + sum(self.count(fact.value) for fact in shown) + 2 * SPARE_TOKENS <= most
        ):
            return True
        if (listener := generation.listener(owner)) is not None:
            listener(value)
        return False

    @property
    def _most(self) -> int | None:
        """Tokens that the model reads and says; None where it does not tell."""
        most: int | None = getattr(self.base.config, "max_position_embeddings", None)
        return most

    def write(
        self,
        prompts: Sequence[str],
        generation: Generation,
        owners: Sequence[int],
        longest: int = TOKENS_WITHOUT_TEXT,
    ) -> list[str]:
        """The model's words after each prompt, `longest` tokens and a few to spare; `owners` as in say."""
        inputs = self.encode(prompts)
        untaught = self.adapter is None and self.tokenizer.chat_template is None
        said = generate(
            self.base, self.tokenizer, inputs, longest + SPARE_TOKENS, generation, owners, one_line=untaught
        )
        return [SENTENCE.sub("\n", text).strip() for text in said]

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def cut(self, text: str, tokens: int) -> str:
        """The text's beginning, this many tokens of it."""
        numbers = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(numbers) <= tokens:
            return text
        # A token may end in the middle of a character.
        return str(self.tokenizer.decode(numbers[:tokens], skip_special_tokens=True)).rstrip("\ufffd")

    def plain_latents(self, snapshot: Snapshot) -> Any:
        """All rows, for adapters that need nothing beside the prompt."""
        assert self.adapter is not None
        return read_rows(self.adapter, snapshot)

    def _attending(self, reader: Reader, choices: Sequence[Choice], every: Every) -> AbstractContextManager[None]:
        """Attend to the chosen rows by their vectors; names have done their part in the choice."""
        if self.injection is None or self.adapter is None:
            return nullcontext()
        if not self.adapter.config.question_prior:
            return self.injection.attend(ActiveKnowledge(self.plain_latents(reader.snapshot)))
        selected = torch.stack([choice.attended for choice in choices])
        if every != "question":
            return self.injection.attend(self._choosing_again(reader, choices, selected, every))
        if self.adapter.value_slots is None:
            asked = torch.stack([choice.embedding for choice in choices])
            return self.injection.attend(ActiveKnowledge(reader.latents, asked, selected=selected))
        shares = torch.stack([choice.weights[choice.attended.cpu()] for choice in choices]).to(selected.device)
        slots = self._slots(reader.snapshot, selected, shares) if reader.snapshot.has_texts else None
        return self.injection.attend(ActiveKnowledge(reader.latents, selected=selected, shares=shares, slots=slots))

    def _choosing_again(
        self, reader: Reader, choices: Sequence[Choice], selected: Tensor, every: Every
    ) -> ActiveKnowledge:
        """Begin with the rows chosen for the question; where shares weigh rows, names count in later choices too."""
        assert self.adapter is not None
        asked = torch.stack([choice.embedding for choice in choices])
        ends = torch.tensor([token for text, token in self.tokenizer.get_vocab().items() if SENTENCE_END.search(text)])
        shares = slots = named = None
        if self.adapter.value_slots is not None:
            named = reader.read([choice.clause for choice in choices]).named
            shares = torch.stack([choice.weights[choice.attended.cpu()] for choice in choices]).to(selected.device)
            slots = self._slots(reader.snapshot, selected, shares) if reader.snapshot.has_texts else None
        return ActiveKnowledge(
            reader.latents, asked, named, selected, shares, slots, every=every, sentence_ends=ends.to(selected.device)
        )

    def _slots(self, snapshot: Snapshot, selected: Tensor, shares: Tensor) -> SlotTokens:
        """The values of the best rows as tokens."""
        assert self.adapter is not None
        config = self.adapter.config
        best = selected[:, : config.slot_rows]
        values = [[snapshot.triples[row].value for row in rows] for rows in best.tolist()]
        return slot_tokens(self.tokenizer, values, shares[:, : config.slot_rows], config.slot_tokens)
