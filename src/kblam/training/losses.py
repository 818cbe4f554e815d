"""The forward pass of training and its losses, summed so that any division of a batch gives the same step.

Shapes: B questions, T tokens, M knowledge rows, D embedding width, K positions at which something is said, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kblam.answering.prompts import chat_prompt, quoting_prompt
from kblam.knowledge import Triple
from kblam.models.active import ActiveKnowledge, Recorder
from kblam.models.adapter import Adapter
from kblam.models.inject import Injection
from kblam.models.slots import value_tokens

__all__ = ["Exercise", "TextBatch", "Weights", "losses", "tokenise"]


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Prompts with their answers, right-padded."""

    ids: Tensor
    """(B, T)."""
    mask: Tensor
    """(B, T)."""
    said: Tensor
    """(B, T): the token to be said next, -100 where nothing is learnt."""
    prompt_end: Tensor
    """(B,)."""

    def to(self, device: torch.device) -> TextBatch:
        """The same on a device."""
        return TextBatch(*(tensor.to(device) for tensor in (self.ids, self.mask, self.said, self.prompt_end)))


@dataclass(frozen=True, eq=False)
class Exercise:
    """Questions, the knowledge they are asked about, and what should come out."""

    questions: Sequence[str]
    answers: Sequence[str]
    shown: Sequence[Sequence[Triple]]
    """The facts each question needs, for the teacher who reads them; none for questions without an answer."""
    keys: Tensor
    """(M, D)."""
    values: Tensor
    """(M, D)."""
    asked: Tensor | None
    """(B, D): embeddings of the questions; None without a question prior."""
    hidden: Tensor
    """(B, M): -inf on rows that a question must not see, 0 elsewhere."""
    target: Tensor
    """(B, M + 1): the shares that the rows, and last the null row, should have; they sum to one."""
    texts: Sequence[str]
    """The M values, for adapters with value slots."""


@dataclass(frozen=True)
class Weights:
    """What counts how much."""

    retrieval: float = 0.5
    """Of the retrieval layer's cross-entropy, beside the answer's."""
    teacher: float = 0.0
    """Of the divergence from the same model reading the facts as text."""
    top_k: int = 24
    """Rows attended to."""


def tokenise(tokenizer: PreTrainedTokenizerBase, questions: Sequence[str], answers: Sequence[str]) -> TextBatch:
    """Chat prompts and answers as token ids; an answer starts with a space, as a value does behind a fact's colon."""
    bare = tokenizer.chat_template is not None
    prompts = [chat_prompt(tokenizer, text) for text in questions]
    asked = [list(tokenizer(prompt, add_special_tokens=not bare)["input_ids"]) for prompt in prompts]
    spoken = [
        [*tokenizer(" " + answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for answer in answers
    ]
    longest = max(len(a) + len(b) for a, b in zip(asked, spoken, strict=True))
    ids = torch.full((len(asked), longest), int(tokenizer.pad_token_id))
    mask, said = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, (prompt, answer) in enumerate(zip(asked, spoken, strict=True)):
        whole = torch.tensor(prompt + answer)
        ids[row, : len(whole)], mask[row, : len(whole)] = whole, 1
        said[row, len(prompt) - 1 : len(whole) - 1] = whole[len(prompt) :]
    return TextBatch(ids, mask, said, torch.tensor([len(prompt) - 1 for prompt in asked]))


def losses(
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    adapter: Adapter,
    injection: Injection,
    exercise: Exercise,
    text: TextBatch,
    weights: Weights,
    recorder: Recorder | None = None,
) -> dict[str, Tensor]:
    """One forward pass: sums over the answers' tokens (answer, token accuracy, teacher, tokens) and over the questions
    (retrieval, top-1, refusal, ...); only answer, retrieval and teacher carry gradients. recorder: gets the scores."""
    latents = adapter.latents(exercise.keys, exercise.values)
    recorder = recorder or Recorder()
    tokens = (
        None
        if adapter.value_slots is None
        else value_tokens(tokenizer, exercise.texts, adapter.config.slot_tokens).to(text.ids.device)
    )
    knowledge = ActiveKnowledge(
        latents, exercise.asked, exercise.hidden, tokens=tokens, prompt_end=text.prompt_end, top_k=weights.top_k
    )
    with injection.attend(knowledge, recorder):
        logits, said = _spoken(base, text)
    sums = {
        "answer": nn.functional.cross_entropy(logits, said, reduction="sum"),
        "token accuracy": (logits.argmax(-1) == said).sum(),
        "tokens": said.new_tensor(len(said)),
        **_retrieval(recorder, exercise),
    }
    if weights.teacher:
        sums["teacher"] = _divergence(base, tokenizer, exercise, text, logits)
    return sums


def _spoken(base: PreTrainedModel, text: TextBatch) -> tuple[Tensor, Tensor]:
    """The logits where something is said, and what: (n, V) and (n,)."""
    somewhere = (text.said != -100).any(0).nonzero()[:, 0]
    model: Any = base
    logits = model(input_ids=text.ids, attention_mask=text.mask, use_cache=False, logits_to_keep=somewhere).logits
    said = text.said[:, somewhere]
    return logits[said != -100].float(), said[said != -100]


def _retrieval(recorder: Recorder, exercise: Exercise) -> dict[str, Tensor]:
    assert recorder.retrieval is not None, "an adapter without a retrieval layer"
    scores, null = recorder.retrieval.scores, recorder.retrieval.null
    target = exercise.target
    if null is None:
        known = target[:, -1] == 0  # nothing can stand for "none of these"
        scores, target = scores[known], target[known, :-1]
    else:
        scores = torch.cat([scores, null[:, None]], -1)
    logarithms = scores.float().log_softmax(-1)
    # A hidden row's logarithm is minus infinity, and its target zero.
    loss = -(torch.where(target > 0, logarithms, 0.0) * target).sum()
    answerable = exercise.target[:, -1] == 0
    rows = recorder.retrieval.scores
    best = rows.argmax(-1)
    right = exercise.target.gather(1, best[:, None])[:, 0] > 0
    refused = torch.zeros_like(answerable) if null is None else null > rows.max(-1).values
    return {
        "retrieval": loss,
        "top-1": (right & answerable).sum(),
        "answerable": answerable.sum(),
        "questions": answerable.new_tensor(len(answerable), dtype=torch.long),
        "accepted": (answerable & ~refused).sum(),
        "refused": (~answerable & refused).sum(),
    }


def _divergence(
    base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, exercise: Exercise, text: TextBatch, logits: Tensor
) -> Tensor:
    """KL from the same model without vectors, which reads the needed facts as text; refusals have no teacher."""
    prompts = [
        quoting_prompt(question, shown) for question, shown in zip(exercise.questions, exercise.shown, strict=True)
    ]
    with torch.no_grad():
        wise, _ = _spoken(base, tokenise(tokenizer, prompts, exercise.answers).to(logits.device))
    taught = torch.tensor([bool(shown) for shown in exercise.shown], device=logits.device)
    tokens = taught.repeat_interleave((text.said != -100).sum(-1))
    return nn.functional.kl_div(
        logits[tokens].log_softmax(-1), wise[tokens].log_softmax(-1), reduction="sum", log_target=True
    )
