"""Value slots: each token of a chosen row's value as one more key and value, so that a value is said letter for letter.

One vector for a whole value loses its digits and rare words. A slot stands for one token: its value is made from that
token's embedding, its key from the tokens before it, so that a model that has just said the first two tokens of a
value finds the third, the way copying heads do in a context. Slots are made for the few rows that attention has chosen
and are weighed by the attention that chose them; a row costs nothing beside its text.

Shapes: n questions, R chosen rows, S slots of a row, T tokens, L slot layers, H heads, d width of a head's key, v width
of its value, E width of the base model's token embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

__all__ = ["REACH", "SlotTokens", "ValueSlots", "slot_tokens", "unit_rms", "value_tokens"]

REACH = 3
"""Tokens before a slot that its key is made from."""
SMALLEST_SHARE = 1e-9
NO_TOKEN = -1


@dataclass(frozen=True, eq=False)
class SlotTokens:
    """The values of the rows chosen for each question, as tokens, and how much each row was attended to."""

    tokens: Tensor
    """(n, R, S): token ids, NO_TOKEN behind the end."""
    share: Tensor
    """(n, R): the rows' attention weights at the retrieval layer."""


def slot_tokens(
    tokenizer: PreTrainedTokenizerBase, values: Sequence[Sequence[str]], share: Tensor, most: int
) -> SlotTokens:
    """The values of the chosen rows, n lists of R texts, as slots; longer ones than `most` tokens lose their end."""
    tokens = value_tokens(tokenizer, [value for row in values for value in row], most)
    return SlotTokens(tokens.view(*share.shape, -1).to(share.device), share)


def value_tokens(tokenizer: PreTrainedTokenizerBase, values: Sequence[str], most: int) -> Tensor:
    """Each value's first `most` tokens, the model's end token behind them among these: (M, S)."""
    # A space in front, as a value has behind `is` and behind a colon.
    ids = tokenizer([f" {value}" for value in values], add_special_tokens=False)["input_ids"] if values else []
    cut = [[*value, tokenizer.eos_token_id][:most] for value in ids]
    tokens = torch.full((len(cut), max(map(len, cut), default=1)), NO_TOKEN)
    for row, value in enumerate(cut):
        tokens[row, : len(value)] = torch.tensor(value)
    return tokens


class ValueSlots(nn.Module):
    """The trained maps of value slots, for the knowledge layers that have them."""

    query_weight: nn.Parameter
    """(L, H * d, hidden); starts as the model's own query projection, or as `training/slot_start.py` finds better."""
    key_weight: nn.Parameter
    """(L, H * d, REACH * E): from the embeddings of the tokens before, nearest first."""
    value_weight: nn.Parameter
    """(L, H * v, E): from the embedding of the slot's token."""
    opening: nn.Parameter
    """(E,): stands before a value's first token."""
    sharpness: nn.Parameter
    """(L,): how strongly the rows' shares weigh their slots; 1 makes the slots of a row together as likely as it."""

    def __init__(self, layers: int, head_width: int, value_width: int, hidden: int, embedding: int) -> None:
        super().__init__()
        scale = embedding**-0.5
        self.query_weight = nn.Parameter(torch.randn(layers, head_width, hidden) * hidden**-0.5)
        self.key_weight = nn.Parameter(torch.randn(layers, head_width, REACH * embedding) * scale / 4)
        self.value_weight = nn.Parameter(torch.randn(layers, value_width, embedding) * scale)
        self.opening = nn.Parameter(torch.randn(embedding))
        self.sharpness = nn.Parameter(torch.ones(layers))

    @torch.no_grad()
    def start(self, index: int, query: Tensor, value: Tensor | None) -> None:
        """Begin the index-th slot layer as a copying head: a slot is found where the present token stood before it.

        Shapes: query (H * d, hidden), the model's own query map; value (H * v, hidden), its value map if it has one.
        """
        self.query_weight[index].copy_(query)
        width = self.opening.shape[0]
        if query.shape[1] == width:
            self.key_weight[index, :, :width].copy_(query / 2)
        if value is not None and value.shape == self.value_weight[index].shape:
            self.value_weight[index].copy_(value)

    @torch.no_grad()
    def open_after(self, embedding: Tensor) -> None:
        """Begin with a value's first token behind the token of this embedding (E,), a prompt's last."""
        self.opening.copy_(unit_rms(embedding.to(self.opening.dtype)))

    def embed(self, slots: SlotTokens, table: Tensor) -> tuple[Tensor, Tensor]:
        """What keys and values are made from: (n, R, S, REACH * E) and (n, R, S, E), from the model's token table.

        Embeddings are divided by their root mean square, since models differ in how loud theirs are.
        """
        here = unit_rms(table[slots.tokens.clamp(min=0)].to(self.opening.dtype))
        opening = unit_rms(self.opening).expand(*here.shape[:2], REACH, -1)
        behind = torch.cat([opening, here], 2)
        before = [behind[:, :, REACH - back : REACH - back + here.shape[2]] for back in range(1, REACH + 1)]
        return torch.cat(before, -1), here

    def pairs(self, index: int, before: Tensor, here: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """Keys (n, H, R * S, d) and values (n, H, R * S, v) of the index-th slot layer, from what `embed` gives."""
        key, value = before @ self.key_weight[index].T, here @ self.value_weight[index].T
        key, value = (
            tensor.flatten(1, 2).reshape(len(tensor), -1, heads, tensor.shape[-1] // heads) for tensor in (key, value)
        )
        return key.transpose(1, 2), value.transpose(1, 2)

    def bias(self, index: int, slots: SlotTokens) -> Tensor:
        """What is added to the slots' scores, (n, 1, 1, R * S): -inf where there is no token, or a row has no share."""
        share = self.sharpness[index] * slots.share.to(self.sharpness.dtype).clamp(min=SMALLEST_SHARE).log()
        bias = share[..., None].expand(slots.tokens.shape)
        hidden = (slots.tokens == NO_TOKEN) | (slots.share == 0)[..., None]
        return bias.masked_fill(hidden, -torch.inf).flatten(1)[:, None, None]

    def query(self, index: int, hidden_states: Tensor) -> Tensor:
        """The slot query of the index-th slot layer: (B, T, hidden) to (B, T, H * d)."""
        return nn.functional.linear(hidden_states.to(self.query_weight.dtype), self.query_weight[index])


def unit_rms(vectors: Tensor) -> Tensor:
    """Vectors (..., E) divided by their root mean square."""
    return vectors * (vectors.square().mean(-1, keepdim=True) + 1e-12).rsqrt()
