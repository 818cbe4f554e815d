"""Start the base model with its copying heads in place.

Transformers learn to copy through induction heads (Olsson et al., 2022, arXiv 2209.11895): one layer writes into each
position what stood before it,
the next looks for a position whose predecessors are the present tokens and repeats what stands there. Gradient
descent finds them late: after
4 million tokens this model had not begun to copy. Here they are written into the initial weights, and training
refines them.

The residual stream (256 wide) starts as: 128 dimensions for the token, one that is always 1, and slots for the one or
two tokens before. Low
rotary frequencies carry content (they hardly turn within a prompt), high ones carry the distance.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

TOKEN = slice(0, 128)
CONSTANT = 128
NEAR, FAR = 24, 14
"""Dimensions in which the last token, and the one before it, are compared."""
SLOTS = {
    ("first", "one"): slice(129, 167),
    ("second", "one"): slice(167, 205),
    ("first", "two"): slice(205, 219),
    ("second", "two"): slice(219, 233),
}
SHARP = range(0, 6)
"""Rotary pairs that turn fast enough to tell one position from the next."""
STEADY = range(13, 32)
"""Rotary pairs that turn by less than a radian in three hundred positions."""
GAIN = 4.0
"""How much louder the copied token is than the present one."""


def projection(rows: int, generator: torch.Generator) -> Tensor:
    """(rows, 128) orthogonal rows that keep the length of a random vector."""
    return torch.linalg.qr(torch.randn(128, rows, generator=generator))[0].T * (128 / rows) ** 0.5


def look_back(
    layer: torch.nn.Module, head: int, distance: int, read: Tensor, slot: slice, frequencies: Tensor, scale: float
) -> None:
    """Make a head of the first layer attend `distance` positions back and write `read` of that token into a slot."""
    attention, start = layer.self_attn, head * 64
    size = 10.0 / scale
    for pair in SHARP:
        angle = frequencies[pair] * distance
        attention.k_proj.weight[start + pair, CONSTANT] = size
        attention.q_proj.weight[start + pair, CONSTANT] = size * torch.cos(angle)
        attention.q_proj.weight[start + 32 + pair, CONSTANT] = -size * torch.sin(angle)
    rows = read.shape[0]
    attention.v_proj.weight[start : start + rows, TOKEN] = read / scale
    attention.o_proj.weight[slot, start : start + rows] = torch.eye(rows)


def repeat(
    layer: torch.nn.Module, head: int, reads: tuple[Tensor, Tensor], one: slice, two: slice, scale: float
) -> None:
    """Make a head of the second layer attend where the last two tokens came before, and say half of the token that
    stands there."""
    attention, start = layer.self_attn, head * 64
    steady = [start + pair for pair in STEADY] + [start + 32 + pair for pair in STEADY]
    order = torch.randperm(len(steady), generator=torch.Generator().manual_seed(head)).tolist()
    near, far = [steady[at] for at in order[:NEAR]], [steady[at] for at in order[NEAR:]]
    loud, soft = (8 * 10) ** 0.5 / scale, (8 * 6) ** 0.5 / scale
    attention.q_proj.weight[near, TOKEN] = loud * reads[0]
    attention.k_proj.weight[near, one.start : one.start + NEAR] = loud * torch.eye(NEAR)
    attention.q_proj.weight[far, one.start + NEAR : one.stop] = soft * torch.eye(FAR)
    attention.k_proj.weight[far, two] = soft * torch.eye(FAR)
    half = slice(head * 64, head * 64 + 64)
    attention.v_proj.weight[start : start + 64, half] = torch.eye(64) / scale
    attention.o_proj.weight[half, start : start + 64] = torch.eye(64) * GAIN


@torch.no_grad()
def wire_copying(model: LlamaForCausalLM, seed: int = 0) -> None:
    """Write two copying heads, and the heads they read from, into the first two layers."""
    generator = torch.Generator().manual_seed(seed)
    embedding = model.model.embed_tokens.weight
    embedding.zero_()
    embedding[:, TOKEN] = torch.nn.functional.normalize(
        torch.randn(embedding.shape[0], 128, generator=generator), dim=-1
    )
    embedding[:, CONSTANT] = 1.0
    first, second = model.model.layers[0], model.model.layers[1]
    for layer, heads in ((first, 3), (second, 2)):
        rows = heads * 64
        for name in ("q_proj", "k_proj", "v_proj"):
            getattr(layer.self_attn, name).weight[:rows] = 0
        layer.self_attn.o_proj.weight[:, :rows] = 0
    frequencies = model.model.rotary_emb.inv_freq
    reads = {name: (projection(NEAR, generator), projection(FAR, generator)) for name in ("first", "second")}
    at_first, at_second = 16 / 2**0.5, 16 / 8**0.5
    for head, name in enumerate(reads):
        look_back(first, head, 1, torch.cat(reads[name]), SLOTS[name, "one"], frequencies, at_first)
        repeat(second, head, reads[name], SLOTS[name, "one"], SLOTS[name, "two"], at_second)
    both = torch.cat([reads["first"][1], reads["second"][1]])
    look_back(first, 2, 2, both, slice(SLOTS["first", "two"].start, SLOTS["second", "two"].stop), frequencies, at_first)
