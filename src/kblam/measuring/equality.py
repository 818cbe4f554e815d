"""What must hold before any speed is printed: every form gives the formula's result."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kblam.attention.latent import Latents, Projections, knowledge_attention, row_statistics
from kblam.attention.merge import context_attention, merge
from kblam.attention.reference import knowledge_keys, rectangular_attention
from kblam.errors import KBLaMError
from kblam.measuring.decoders import SHAPES, WIDTH, build_decoder, exact_adapter, random_rows, retrieving_adapter
from kblam.measuring.original import OriginalAlgorithm
from kblam.models.active import ActiveKnowledge, Recorder
from kblam.models.adapter import Adapter
from kblam.models.inject import inject

__all__ = ["UnequalError", "check_equalities"]

ROWS = 300


class UnequalError(KBLaMError):
    """Two forms of the same computation disagree, so their speeds say nothing."""


def check_equalities(device: str = "cpu") -> dict[str, float]:
    """The largest difference of each pair of forms on this device, in float32 but where it says otherwise.

    Raises UnequalError when one is larger than rounding explains.
    """
    found = {
        "latent form and formula": (_formula(torch.float32, device), 1e-4),
        "latent form in bfloat16 and formula": (_formula(torch.bfloat16, device), 0.06),
        **_models(device),
    }
    for name, (difference, most) in found.items():
        if not difference <= most:
            raise UnequalError(
                f"no speed is shown, because {name} differ by {difference:.2g}, more than {most:.2g}: "
                "run the tests (pytest tests/test_latent.py tests/test_active.py) and report what they say"
            )
    return {name: difference for name, (difference, _) in found.items()}


def _formula(dtype: torch.dtype, device: str) -> float:
    """One layer: our attention merged with the context's, against the reference; relative to the output's size."""
    torch.manual_seed(3)
    heads, head_dim, tokens = 4, 16, 5
    weight, bias = torch.randn(3 * heads * head_dim, WIDTH), torch.randn(3 * heads * head_dim)
    value_weight, value_bias = torch.randn(heads, head_dim, WIDTH), torch.randn(heads, head_dim)
    keys, values = random_rows(ROWS, torch.float32)
    query, key, value = (torch.randn(1, heads, tokens, head_dim) for _ in range(3))
    block = slice(heads * head_dim, 2 * heads * head_dim)
    built = knowledge_keys(keys, weight, bias)[:, block].view(ROWS, heads, head_dim).transpose(0, 1)[None]
    built_values = (torch.einsum("me,hve->hmv", values, value_weight) + value_bias[:, None])[None]
    wanted, _ = rectangular_attention(query, key, value, query, built, built_values, scaling=0.3)
    mean, inverse = (tensor.to(device) for tensor in row_statistics(keys, weight, bias))
    latents = Latents(keys.to(device, dtype), values.to(device, dtype), mean, inverse)
    maps = (weight[block].view(heads, head_dim, WIDTH), bias[block].view(heads, head_dim), value_weight, value_bias)
    projections = Projections(*(tensor.to(device, dtype) for tensor in maps))
    ours = knowledge_attention(query.to(device, dtype), latents, projections, scaling=0.3)
    context = context_attention(*(tensor.to(device, dtype) for tensor in (query, key, value)), scaling=0.3)
    output, _ = merge([ours[0], context[0]], [ours[1], context[1]])
    return _difference(output.cpu(), wanted)


@torch.no_grad()
def _models(device: str) -> dict[str, tuple[float, float]]:
    """Whole small decoders: the original's algorithm, all rows kept, and 8-bit scans."""
    decoder = build_decoder(SHAPES["tiny"], 4, torch.float32, device)
    exact, retrieving = exact_adapter(decoder, 2, torch.float32), retrieving_adapter(decoder, torch.float32)
    keys, values = random_rows(ROWS, torch.float32, device)
    ids = torch.arange(3, 12, device=device)[None]
    latents = exact.latents(keys, values)
    with OriginalAlgorithm(decoder, exact, latents).attend():
        original = decoder(ids).logits
    ours, _ = _ask(decoder, exact, ActiveKnowledge(latents), ids)
    question, rows = keys[:1], retrieving.latents(keys, values)
    everything, _ = _ask(decoder, retrieving, ActiveKnowledge(rows, question, top_k=ROWS), ids)
    all_kept, _ = _ask(
        decoder, retrieving, ActiveKnowledge(rows, question, selected=torch.arange(ROWS, device=device)[None]), ids
    )
    once, chosen = _ask(decoder, retrieving, ActiveKnowledge(rows, question), ids)
    coarse, same = _ask(decoder, retrieving, ActiveKnowledge(rows.quantised(), question), ids)
    plain = decoder(ids).logits
    return {
        "ours and the original's algorithm": (_difference(ours, original), 1e-3),
        "k of all rows and exact attention": (_difference(all_kept, everything), 1e-4),
        "8-bit and exact choice of rows": (float(len(set(chosen) ^ set(same))), 0.0),
        "answers after either choice": (_difference(coarse, once), 1e-4),
        "knowledge that changes nothing and a change": (float(torch.allclose(ours, plain, atol=1e-5)), 0.0),
    }


def _ask(decoder: Any, adapter: Adapter, knowledge: ActiveKnowledge, ids: Tensor) -> tuple[Tensor, list[int]]:
    injection, recorder = inject(decoder, adapter), Recorder()
    try:
        with injection.attend(knowledge, recorder):
            logits = decoder(ids).logits
    finally:
        injection.remove()
    seen = recorder.retrieval
    return logits, [] if seen is None or seen.indices is None else seen.indices[0].tolist()


def _difference(left: Tensor, right: Tensor) -> float:
    return float((left.float() - right.float()).abs().max() / right.float().abs().max())
