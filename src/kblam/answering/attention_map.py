"""How much each token of an answer attends to which facts, by their vectors.

Shapes: H heads, T tokens, m rows attended to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kblam.answering.answer import Answer
from kblam.answering.speech import Speech
from kblam.models.active import ActiveKnowledge, Recorder

if TYPE_CHECKING:
    from kblam.answering.model import KBLaM

__all__ = ["SeenFacts", "attention_of"]

MOST_TOKENS = 200
"""Longer answers are looked at up to here."""


@dataclass(frozen=True)
class SeenFacts:
    """The attention of an answer's tokens to the facts that it cites."""

    tokens: list[str]
    facts: list[int]
    """Numbers of the citations, one for each column."""
    weights: list[list[float]]
    """For each token, the cited facts' shares of its attention to knowledge (all facts and none of these)."""


@torch.no_grad()
def attention_of(model: KBLaM, answer: Answer) -> SeenFacts | None:
    """Read the answer once more after its question, with the facts' vectors attended to, and note what it looks at.

    The mean over heads and over the layers that knowledge enters. None for a model without an adapter.
    """
    if model.adapter is None or model.speech.injection is None or not answer.citations:
        return None
    reader = model.reader(answer.version)
    if not reader.snapshot.triples:
        return None
    rows = {triple: row for row, triple in enumerate(reader.snapshot.triples)}
    cited = [rows[citation.triple] for citation in answer.citations]
    reading = reader.read([answer.question])
    best = reader.scores(reading)[0].topk(min(model.adapter.config.top_k, len(rows))).indices.tolist()
    selected = list(dict.fromkeys([*cited, *best]))
    speech = model.speech
    inputs = speech.encode([answer.question])
    start = inputs["input_ids"].shape[1]
    said = speech.tokenizer(answer.text, add_special_tokens=False)["input_ids"][:MOST_TOKENS]
    ids = torch.cat([inputs["input_ids"], inputs["input_ids"].new_tensor([said])], 1)
    recorder = Recorder(layers=model.adapter.config.knowledge_layers, every_position=True)
    attended = ActiveKnowledge(reader.latents, reading.embedding, selected=ids.new_tensor([selected]))
    with model.speech.injection.attend(attended, recorder):
        model.base(ids, use_cache=False)
    layers = [records[0].weights()[0].mean(0) for records in recorder.attention.values()]
    # The position before a token is the one that chose it.
    seen = torch.stack(layers).float().mean(0)[start - 1 : start - 1 + len(said)]
    shares = (seen / seen.sum(-1, keepdim=True).clamp(min=1e-9))[:, : len(cited)]
    pieces = _pieces(speech, said)
    weights = [[round(float(share), 4) for share in shares[start:end].mean(0)] for _, start, end in pieces]
    return SeenFacts([text for text, _, _ in pieces], list(range(len(cited))), weights)


def _pieces(speech: Speech, tokens: list[int]) -> list[tuple[str, int, int]]:
    """Text, first token and last: one token each, or the several that a character is made of."""
    pieces: list[tuple[str, int, int]] = []
    begun = 0
    for end in range(1, len(tokens) + 1):
        text = str(speech.tokenizer.decode(tokens[begun:end]))
        if not text.endswith("\ufffd") or end == len(tokens):
            pieces.append((text, begun, end))
            begun = end
    return pieces
