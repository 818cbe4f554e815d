"""How near a text is to what was expected, by the vectors of its tokens: BERTScore's computation.

Shapes: t tokens of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from kblam.errors import InputError
from kblam.knowledge import DEFAULT_ENCODER
from kblam.knowledge.encoders import one_line
from kblam.knowledge.sentence_model import load_sentence_model

__all__ = ["TokenSimilarity", "load_bertscore", "local_similarity"]

LAYERS = {"roberta-large": 17}
"""The layer that bert-score takes of a model, chosen by its authors on human judgements; the last one of any other."""


# Written here because bert-score has had no release since 2023, and torchmetrics 1.9 mixes up the texts of a batch that
# differ in length (for SAID and EXPECTED of the test .08, .31, .09 where one pair at a time gives .67, .48, .58).
class TokenSimilarity:
    """F1 of BERTScore (Zhang et al., 2020): each token is matched with the most similar one of the other text.

    No weights by rarity, not rescaled; special tokens are matched with but do not count. These are the numbers of bert-score
    0.3.13 for the same model and layer (tests/test_experiments.py); numbers of different models do not compare.
    """

    def __init__(self, tokenizer: Any, network: Any, layer: int = -1, most: int = 512) -> None:
        """layer: whose hidden states are compared, the last one by default. most: tokens of a text that are read."""
        self._tokenizer, self._network, self._layer, self._most = tokenizer, network, layer, most

    def __call__(self, texts: Sequence[str], references: Sequence[str]) -> list[float]:
        """One number for each pair; 0 where a text is empty."""
        found: list[float] = []
        for start in range(0, len(texts), 32):
            said, expected = (self._vectors(some[start : start + 32]) for some in (texts, references))
            found += [_greedy(*left, *right) for left, right in zip(said, expected, strict=True)]
        return found

    def _vectors(self, texts: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """For each text its token vectors (t, width), of length 1, and which of them count (t,)."""
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._most, return_tensors="pt", return_special_tokens_mask=True
        )  # fmt: skip
        counts = tokens.pop("special_tokens_mask") == 0
        there = tokens["attention_mask"] == 1
        with torch.inference_mode():
            states = self._network(**tokens.to(self._network.device), output_hidden_states=True).hidden_states
        unit = torch.nn.functional.normalize(states[self._layer].float().cpu(), dim=-1)
        return [(row[mask], count[mask]) for row, mask, count in zip(unit, there, counts, strict=True)]


def local_similarity() -> TokenSimilarity:
    """With the encoder that is always there, all-MiniLM-L6-v2: what is measured when nothing else is asked for."""
    model = load_sentence_model(DEFAULT_ENCODER)
    return TokenSimilarity(model.tokenizer, model.network, most=model.maximum_tokens)


def load_bertscore(name: str) -> TokenSimilarity:
    """Load a model by its folder or its name on the hub.

    Raises InputError when it is neither here nor to be had.
    """
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
        network: Any = AutoModel.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        raise InputError(
            f"BERTScore's model {name} is no folder and cannot be had from the hub ({one_line(error)[:120]}): "
            "leave --bertscore out, or name a folder that holds it"
        ) from error
    return TokenSimilarity(tokenizer, network, LAYERS.get(name, -1))


def _greedy(said: Tensor, said_counts: Tensor, expected: Tensor, expected_counts: Tensor) -> float:
    if not said_counts.any() or not expected_counts.any():
        return 0.0
    similarity = said @ expected.T
    precision = float(similarity.amax(1)[said_counts].mean())
    recall = float(similarity.amax(0)[expected_counts].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
