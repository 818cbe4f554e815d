"""Begin value slots as copying heads, measured on the frozen model itself.

The slot to look at is the one behind the token that was just read, and what it holds is to be said. Which directions of a layer's
hidden states tell the token just read is found by canonical correlation with the token embeddings (Hotelling, 1936, "Relations between
two sets of variates"), on a few hundred prompts; what makes the model say a token is its output embedding, sent back through the
layer's output projection. From maps of random size a model first has to unlearn what slots do to it: SmolLM2-135M began at a loss of
12.2, where it has 3.8 without knowledge, and had 7.6 after 40 steps in place of 2.4.

Shapes: n tokens read, hidden width of the hidden states, E of token embeddings, H heads, d width of a head's key, v of its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from kblam.models.adapter import Adapter
from kblam.models.anatomy import AttentionSite, apply_query_norm, attention_sites, decoder_of, output_projection
from kblam.models.slots import unit_rms
from kblam.training.losses import TextBatch

__all__ = ["start_slots"]

MATCHED = 6.0
"""Score of the slot behind the token just read, above that of others, at first."""
LOUDNESS = 1.0
"""What a slot says in the last slot layer, in units of the hidden states it is added to; a third of it in each layer before."""
RIDGE = 0.05
"""Added to variances, in units of their mean: some directions are hardly seen in a few hundred prompts."""
SMALLEST = 0.05
"""Singular values of an output projection below this share of its largest are not undone."""
BLOCK = 8192
"""Tokens of the vocabulary that are compared at once."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a layer was given while it read."""

    entering: Tensor
    """(n, hidden): what its queries are made of."""
    loudness: float
    """Root mean square of the stream that its output is added to."""


@torch.no_grad()
def start_slots(adapter: Adapter, base: PreTrainedModel, batches: Sequence[TextBatch]) -> None:
    """Set the slot maps of a new adapter; batches: prompts with answers, a few thousand tokens of them."""
    maps = adapter.value_slots
    if maps is None:
        return
    layers = adapter.config.slot_layers
    sites = attention_sites(base, layers)
    read, seen = _observe(base, sites, batches)
    embeddings: Any = base.get_input_embeddings()
    table: Tensor = embeddings.weight
    here = unit_rms(table[read].float())
    weights = 1.0 / torch.bincount(read)[read]  # each token of the vocabulary counts the same
    saying = _saying(base)
    for index, layer in enumerate(layers):
        query, key = _matching(seen[layer].entering, here, weights / weights.sum(), sites[layer])
        maps.query_weight[index].copy_(query)
        maps.key_weight[index].zero_()
        maps.key_weight[index, :, : key.shape[1]].copy_(key)
        maps.value_weight[index].zero_()
        output = output_projection(sites[layer])
        if output is not None and output.shape[1] == maps.value_weight.shape[1]:
            loudness = LOUDNESS * 3.0 ** (index + 1 - len(layers)) * seen[layer].loudness
            says = torch.linalg.pinv(output.float(), rtol=SMALLEST)
            if saying is not None and len(saying) == says.shape[1]:
                says = says @ saying
            if says.shape == maps.value_weight[index].shape:  # else embeddings have a width of their own
                maps.value_weight[index].copy_(loudness * says)


def _observe(
    base: PreTrainedModel, sites: Mapping[int, AttentionSite], batches: Sequence[TextBatch]
) -> tuple[Tensor, dict[int, _Seen]]:
    """The tokens read, (n,), and what each layer was given for them."""
    given: dict[int, Tensor] = {}
    entering: dict[int, list[Tensor]] = {layer: [] for layer in sites}
    loudness: dict[int, list[Tensor]] = {layer: [] for layer in sites}
    hooks = [
        site.module.register_forward_pre_hook(partial(_note, given, layer), with_kwargs=True)
        for layer, site in sites.items()
    ]
    read = []
    try:
        for batch in batches:
            text = batch.to(base.device)
            streams = decoder_of(base)(
                input_ids=text.ids, attention_mask=text.mask, use_cache=False, output_hidden_states=True
            ).hidden_states
            # The first token takes the attention that nothing else wants, and is much louder than the rest.
            kept = text.mask.bool() & (text.mask.cumsum(-1) > 1)
            read.append(text.ids[kept])
            for layer in sites:
                entering[layer].append(given[layer][kept].float())
                loudness[layer].append(streams[layer][kept].float().square().mean())
    finally:
        for hook in hooks:
            hook.remove()
    seen = {
        layer: _Seen(torch.cat(entering[layer]), float(torch.stack(loudness[layer]).mean().sqrt())) for layer in sites
    }
    return torch.cat(read), seen


def _note(given: dict[int, Tensor], layer: int, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given[layer] = args[0] if args else kwargs["hidden_states"]


def _matching(entering: Tensor, here: Tensor, weights: Tensor, site: AttentionSite) -> tuple[Tensor, Tensor]:
    """Maps of queries and keys, (H * d, hidden) and (H * d, E), that agree where a key is of the token just read.

    Shapes: entering (n, hidden), here (n, E), weights (n,), which sum to one.
    """
    entering, here = (part - weights @ part for part in (entering, here))
    weighed = weights[:, None] * entering
    whiten, unfold = _whitening(weighed.T @ entering), _whitening((weights[:, None] * here).T @ here)
    left, strength, right = torch.linalg.svd(whiten @ (weighed.T @ here).double() @ unfold, full_matrices=False)
    found = min(len(strength), site.heads * site.head_dim)
    # Each head gets every H-th direction, so that all of them tell tokens apart.
    places = _dealt(found, site.heads, site.head_dim)
    query = entering.new_zeros(site.heads * site.head_dim, entering.shape[1])
    key = entering.new_zeros(site.heads * site.head_dim, here.shape[1])
    root = strength[:found].sqrt()[:, None]
    query[places] = (root * (left.T @ whiten)[:found]).to(query.dtype)
    key[places] = (root * (right @ unfold)[:found]).to(key.dtype)
    query = query * _scale(entering, here, weights, query, key, site).sqrt()
    # Where the model normalises queries, the rest is for the keys to do.
    return query, key * _scale(entering, here, weights, query, key, site)


def _scale(entering: Tensor, here: Tensor, weights: Tensor, query: Tensor, key: Tensor, site: AttentionSite) -> Tensor:
    """What brings the score of a key of the token just read to MATCHED, (H * d, 1), by a number for each head."""
    asked = apply_query_norm(site.module, (entering @ query.T)[None], site.heads)[0]
    matched: Tensor = weights @ (asked * (here @ key.T).view_as(asked)).sum(-1) * site.scaling
    return (MATCHED / matched.clamp(min=1e-6)).repeat_interleave(site.head_dim)[:, None]


def _dealt(count: int, heads: int, width: int) -> Tensor:
    """Where directions go, the strongest first: one to each head, then a second one ... (count,)."""
    order = torch.arange(count)
    return order % heads * width + order // heads


def _whitening(covariance: Tensor) -> Tensor:
    """The inverse square root of a covariance, in float64."""
    values, vectors = torch.linalg.eigh(covariance.double())
    root: Tensor = (vectors * (values + RIDGE * values.mean()).rsqrt()) @ vectors.T
    return root


def _saying(base: PreTrainedModel) -> Tensor | None:
    """The map (hidden, E) from a token's own embedding to the direction that makes the model say it, by ridge regression over the
    vocabulary; None where they are the same."""
    model: Any = base
    own, spoken = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    if spoken is own:
        return None
    gram = own.new_zeros(own.shape[1], own.shape[1], dtype=torch.float32)
    cross = own.new_zeros(own.shape[1], spoken.shape[1], dtype=torch.float32)
    for left, right in zip(own.split(BLOCK), spoken.split(BLOCK), strict=False):
        count = min(len(left), len(right))
        left, right = unit_rms(left[:count].float()), unit_rms(right[:count].float())
        gram, cross = gram + left.T @ left, cross + left.T @ right
    gram.diagonal().add_(RIDGE * gram.diagonal().mean())
    saying: Tensor = torch.linalg.solve(gram, cross).T
    return saying
