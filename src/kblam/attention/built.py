"""Keys and values that are kept built, layer by layer: the paper's memory for the fewest multiplications a prompt.

A prompt of T tokens meets M rows in the latent form with D numbers a query and head, here with the d of a head, a sixth
of it at MiniLM's width and heads of 64; for that each row takes 2 H d numbers in each layer instead of 2 D in all.

Shapes: B batch, T query tokens, M knowledge rows, H heads, d width of a head's key, v width of a head's value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from kblam.attention.latent import Latents, Projections, build_pair, knowledge_attention
from kblam.attention.merge import merge, needs_gradient, wide_type
from kblam.attention.scan import blocks

__all__ = ["ENOUGH_TOKENS", "build", "layer_attention"]

ENOUGH_TOKENS = 8
"""Query tokens from which kept keys are faster on a processor: fewer are bound by memory, and latents are smaller."""
_ROWS = 1 << 14


@torch.no_grad()
def build(latents: Latents, layers: Sequence[Projections]) -> Sequence[Latents]:
    """The pieces of these rows, each with the keys and values of all layers beside it; those that have them stay."""
    return [
        part if part.built is not None else replace(part, built=tuple(_contiguous(part, layer) for layer in layers))
        for part in latents.parts
    ]


def _contiguous(part: Latents, projections: Projections) -> tuple[Tensor, Tensor]:
    key, value = build_pair(part, projections, projections.key_weight.dtype)
    return key.contiguous(), value.contiguous()


def layer_attention(
    query: Tensor,
    latents: Latents,
    projections: Projections,
    slot: int,
    *,
    scaling: float,
    bias: Tensor | None = None,
    visible: Tensor | None = None,
    soft_cap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Attend to all rows in the slot-th knowledge layer, by its kept keys and values where that is faster.

    Shapes as in `knowledge_attention`: query (B, H, T, d), output (B, H, T, v), log-sum-exp (B, H, T).
    """
    if bias is not None and bias.stride(-1) == 0 and bias.shape[-1] > 0:
        # One number for all rows, which moves their sum and not their shares, is not added to every score.
        options = {"scaling": scaling, "visible": visible, "soft_cap": soft_cap}
        output, log_sum_exp = layer_attention(query, latents, projections, slot, **options)  # type: ignore[arg-type]
        return output, log_sum_exp + bias[..., 0]
    kept = len(latents) > 0 and all(part.built is not None for part in latents.parts)
    few = query.shape[2] < ENOUGH_TOKENS
    if not kept or few or needs_gradient(query, projections.key_weight, projections.value_weight, bias):
        options = {"scaling": scaling, "bias": bias, "visible": visible, "soft_cap": soft_cap}
        return knowledge_attention(query, latents, projections, **options)  # type: ignore[arg-type]
    outputs, sums, first = [], [], 0
    for part in latents.parts:
        assert part.built is not None
        key, value = part.built[slot]
        for rows in blocks(len(part), _ROWS):
            shown = None if bias is None else bias[..., first + rows.start : first + rows.stop]
            output, log_sum_exp = _block(query, key[:, rows], value[:, rows], scaling, shown, soft_cap)
            outputs.append(output)
            sums.append(log_sum_exp)
        first += len(part)
    output, log_sum_exp = merge(outputs, sums) if len(outputs) > 1 else (outputs[0], sums[0])
    if visible is None:
        return output, log_sum_exp
    hidden = ~visible[:, None]
    return output.masked_fill(hidden[..., None], 0.0), log_sum_exp.masked_fill(hidden, -torch.inf)


def _block(
    query: Tensor, key: Tensor, value: Tensor, scaling: float, bias: Tensor | None, soft_cap: float | None
) -> tuple[Tensor, Tensor]:
    """Head by head, so that the scores of one stay in the cache; key (H, M, d), value (H, M, v)."""
    batch, heads, tokens, _ = query.shape
    output = query.new_empty(batch, heads, tokens, value.shape[-1], dtype=wide_type(query.dtype))
    log_sum_exp = output.new_empty(batch, heads, tokens)
    scaled = (query * scaling).transpose(0, 1).flatten(1, 2)
    # All heads write over the same two tensors: fresh memory for each would take longer than the softmax.
    product = scaled.new_empty(batch * tokens, key.shape[1])
    scores = product if product.dtype == output.dtype else torch.empty_like(product, dtype=output.dtype)
    for head in range(heads):
        torch.mm(scaled[head], key[head].T, out=product)
        if scores is not product:
            scores.copy_(product)
        if soft_cap is not None:
            scores.div_(soft_cap).tanh_().mul_(soft_cap)
        if bias is not None:
            scores.view(batch, tokens, -1).add_(bias[:, 0])
        largest = scores.amax(-1)
        torch.softmax(scores, -1, out=scores)
        # The largest weight is 1 / sum(exp(score - largest score)): the sum needs no pass of its own.
        sums = largest - scores.amax(-1).log()
        if bias is not None and bool((hidden := largest == -torch.inf).any()):
            scores.masked_fill_(hidden[:, None], 0.0)
            sums.masked_fill_(hidden, -torch.inf)
        if scores is not product:
            product.copy_(scores)
        output[:, head] = (product @ value[head]).view(batch, tokens, -1)
        log_sum_exp[:, head] = sums.view(batch, tokens)
    return output, log_sum_exp
