"""Train the vectors: the maps from a row's embeddings to keys and values inside the layers of a frozen model.

Shapes: B batch, T tokens, M knowledge rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kblam.answering.prompts import REFUSAL
from kblam.models.active import ActiveKnowledge, Recorder
from kblam.models.adapter import Adapter
from kblam.models.inject import inject
from kblam.training.questions import Practice

__all__ = ["Schedule", "TextBatch", "tokenise", "train_vectors"]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    steps: int = 2000
    batch: int = 24
    """Questions a step."""
    rows: int = 768
    """Facts in the knowledge base of a step, shared by its questions."""
    top_k: int = 24
    """Rows attended to."""
    rate: float = 3e-3
    warmup: int = 50
    unanswerable: float = 0.1
    """Share of questions whose fact is hidden; the answer is then the refusal."""
    retrieval: float = 0.5
    """Weight of the retrieval loss."""
    seed: int = 0

    def scale(self, step: int) -> float:
        """Warm-up, then a straight line down to a fiftieth."""
        return min((step + 1) / self.warmup, max(0.02, (self.steps - step) / self.steps))


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


def tokenise(tokenizer: PreTrainedTokenizerBase, questions: list[str], answers: list[str]) -> TextBatch:
    """Chat prompts and answers as token ids; an answer starts with a space, as a value does behind a fact's colon."""
    prompts = [
        str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
            )
        )
        for text in questions
    ]
    asked = [list(tokenizer(prompt, add_special_tokens=False)["input_ids"]) for prompt in prompts]
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


def train_vectors(
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    adapter: Adapter,
    practice: Practice,
    schedule: Schedule,
    report: Callable[[int, dict[str, float]], None],
) -> None:
    """Train keys, values, queries and null rows; the base and the question prior stay as they are."""
    adapter.requires_grad_(False)
    trained = [
        tensor.requires_grad_(True)
        for name, tensor in adapter.named_parameters()
        if name.startswith(("key_", "value_", "query_", "null_"))
    ]
    base.requires_grad_(False).eval()  # type: ignore[no-untyped-call]
    injection = inject(base, adapter)
    optimizer = torch.optim.AdamW(trained, lr=schedule.rate, weight_decay=0.0, betas=(0.9, 0.98))
    try:
        for step, (rows, right, hidden) in enumerate(_draws(practice, schedule)):
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate * schedule.scale(step)
            losses = _step(base, tokenizer, adapter, injection, practice, schedule, rows, right, hidden)
            (losses["answer"] + schedule.retrieval * losses["retrieval"]).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            report(step + 1, {name: value.item() for name, value in losses.items()})
    finally:
        injection.remove()
        adapter.requires_grad_(False)


def _draws(practice: Practice, schedule: Schedule) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For each step: the rows of its knowledge base, which of them are asked about, and which questions have theirs
    hidden."""
    draw, groups = random.Random(schedule.seed), practice.by_entity()
    for _ in range(schedule.steps):
        rows: list[int] = []
        while len(rows) < schedule.rows:
            rows += draw.choice(groups)
        rows = list(dict.fromkeys(rows))
        right = torch.tensor(draw.sample(range(len(rows)), schedule.batch))
        yield torch.tensor(rows), right, torch.tensor([draw.random() < schedule.unanswerable for _ in right])


def _step(
    base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, adapter: Adapter, injection: object, practice: Practice, schedule: Schedule,
    rows: Tensor, right: Tensor, hidden: Tensor,
) -> dict[str, Tensor]:  # fmt: skip
    asked = rows[right].tolist()
    answers = [
        REFUSAL if gone else practice.questions[row].answer for row, gone in zip(asked, hidden.tolist(), strict=True)
    ]
    text = tokenise(tokenizer, [practice.questions[row].text for row in asked], answers)
    prior = torch.zeros(len(asked), len(rows))
    prior[hidden, right[hidden]] = -torch.inf
    latents = adapter.latents(practice.keys[rows], practice.values[rows])
    recorder = Recorder()
    knowledge = ActiveKnowledge(
        latents, practice.asked[rows[right]], prior, prompt_end=text.prompt_end, top_k=schedule.top_k
    )
    with injection.attend(knowledge, recorder):  # type: ignore[attr-defined]
        states = base.model(input_ids=text.ids, attention_mask=text.mask, use_cache=False).last_hidden_state
    logits = base.lm_head(states[text.said != -100])
    said = text.said[text.said != -100]
    assert recorder.retrieval is not None
    scores = torch.cat([recorder.retrieval.scores, recorder.retrieval.null[:, None]], -1)  # type: ignore[index]
    target = torch.where(hidden, len(rows), right)
    return {
        "answer": nn.functional.cross_entropy(logits.float(), said),
        "retrieval": nn.functional.cross_entropy(scores, target),
        "token accuracy": (logits.argmax(-1) == said).float().mean(),
        "top-1": (scores[~hidden, :-1].argmax(-1) == right[~hidden]).float().mean(),
    }
