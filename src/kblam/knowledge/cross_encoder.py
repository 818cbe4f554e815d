"""A sentence encoder that reads a question and a statement together and says in one number whether the one answers the
other: a cross-encoder (Nogueira and Cho, 2019, arXiv 1901.04085).

It sees which words of the statement meet which of the question, where two vectors only have a direction to compare. It
costs a pass through the encoder for each pair, so it reads the few statements that vectors have chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kblam.errors import EncoderError
from kblam.knowledge.sentence_model import SentenceModel, Updates, load_sentence_model

__all__ = ["CrossEncoder", "CrossWeights", "load_cross_encoder", "pair_logits"]

BATCH = 32


@dataclass(frozen=True, eq=False)
class CrossWeights:
    """What makes a cross-encoder of a sentence encoder."""

    updates: Updates
    """Low-rank updates of the encoder's weights."""
    head: Tensor
    """(D,): the logit is this times the mean of the pair's token vectors, and the bias."""
    bias: Tensor
    """()."""


@dataclass(frozen=True, eq=False)
class CrossEncoder:
    """A tuned encoder with the head on top of it; nothing in it changes, so threads share it."""

    model: SentenceModel
    head: Tensor
    bias: Tensor

    def logits(self, questions: Sequence[str], statements: Sequence[str]) -> Tensor:
        """(n,) float32 on the CPU, for the pairs of a question and a statement: that the statement answers the question
        rather than that nothing does."""
        order = sorted(range(len(questions)), key=lambda at: len(questions[at]) + len(statements[at]))
        found = torch.empty(len(questions))
        with torch.inference_mode():
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                pair = [questions[at] for at in rows], [statements[at] for at in rows]
                found[rows] = pair_logits(self.model, *pair, self.head, self.bias).cpu()
        return found


def pair_logits(
    model: SentenceModel,
    questions: Sequence[str],
    statements: Sequence[str],
    head: Tensor,
    bias: Tensor,
    changed: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """(n,) for one batch, with gradients to head, bias and the weights that `changed` puts in place of the model's."""
    return model.pooled(questions, changed, beside=statements) @ head + bias


def load_cross_encoder(name: str, weights: CrossWeights) -> CrossEncoder:
    """What these weights make of the sentence encoder of this name, read anew. Raises EncoderError as
    `load_sentence_model` does, and for weights that were made for another encoder."""
    model = load_sentence_model(name, keep=False)
    if weights.head.shape != (model.width,):
        raise EncoderError(
            f"the cross-encoder's head is for vectors of {len(weights.head)} numbers, {name} has {model.width}"
        )
    device = model.network.device
    return CrossEncoder(model.tuned(weights.updates, alone=True), weights.head.to(device), weights.bias.to(device))
