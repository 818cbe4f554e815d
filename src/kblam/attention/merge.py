"""Attention in parts: each gives its output and the logarithm of its softmax denominator, and they join exactly.

Shapes: B batch, T query tokens, S context tokens, H heads, G key/value heads (H is a multiple of G), d width of a
head's key, v width of a head's value.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["cap", "context_attention", "merge", "needs_gradient", "normalise", "wide_type"]


def cap(scores: Tensor, soft_cap: float | None) -> Tensor:
    """Bend scores smoothly into (-soft_cap, soft_cap), as Gemma 2 does; None leaves them alone."""
    return scores if soft_cap is None else soft_cap * torch.tanh(scores / soft_cap)


def needs_gradient(*tensors: Tensor | None) -> bool:
    """True when autograd is on and one of the tensors takes part in it."""
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def normalise(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split a softmax over the last axis into exponentials, their sum and its logarithm, with no NaN for a hidden row.

    Shapes: scores (..., n) with n > 0. Returns the exponentials relative to the row's maximum (..., n), their sum
    (..., 1) with 1 in place of 0 so that it can be divided by, and the log-sum-exp (...), -inf where every score is
    -inf.
    """
    maximum = scores.detach().amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
    exponentials = (scores - maximum).exp()
    total = exponentials.sum(-1, keepdim=True)
    hidden = total == 0
    total = total.masked_fill(hidden, 1.0)
    log_sum_exp = (maximum + total.log()).masked_fill(hidden, -torch.inf)
    return exponentials, total, log_sum_exp.squeeze(-1)


def merge(outputs: Sequence[Tensor | None], log_sum_exps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Join attentions over disjoint sets of keys into the attention over all of them.

    Shapes: outputs (B, H, T, v) each, log_sum_exps broadcastable to (B, H, T) each. An output None is a part whose
    values are zero (a null row, an attention sink): it only takes weight. Where every part is -inf the output is 0
    and the sum -inf. Returns the output (B, H, T, v) and the joint log-sum-exp (B, H, T).
    """
    shape = torch.broadcast_shapes(*(part.shape for part in log_sum_exps))  # type: ignore[no-untyped-call]
    joint = torch.stack([part.expand(shape) for part in log_sum_exps], -1)
    exponentials, total, log_sum_exp = normalise(joint)
    weights = (exponentials / total).unbind(-1)
    parts = [weight[..., None] * output for weight, output in zip(weights, outputs, strict=True) if output is not None]
    return torch.stack(parts).sum(0) if len(parts) > 2 else sum(parts[1:], parts[0]), log_sum_exp


def context_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    scaling: float,
    causal: bool = False,
    soft_cap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Attend to one set of keys and values and return the output with its log-sum-exp.

    Shapes: query (B, H, T, d), key (B or 1, G, S, d), value (B or 1, G, S, v), mask broadcastable to (B, H, T, S),
    boolean (true is seen) or added to the scores; `causal` hides what lies above the diagonal and excludes a mask.
    Returns float32 (float64 for float64 input): output (B, H, T, v) and log-sum-exp (B, H, T), -inf with output 0
    where nothing is seen. Keys are never repeated for grouped heads. Without gradients on a CPU the stock fused
    kernel does the work.
    """
    if key.shape[2] == 0:
        empty = query.new_zeros(*query.shape[:3], value.shape[-1], dtype=wide_type(query.dtype))
        return empty, empty.new_full(query.shape[:3], -torch.inf)
    fast = (
        query.device.type == "cpu"
        and soft_cap is None
        and query.shape[-1] == value.shape[-1]
        and not needs_gradient(query, key, value, mask)
    )
    if fast:
        return _fused_cpu(query, key, value, mask, scaling, causal)
    return _eager(query, key, value, mask, scaling, causal, soft_cap)


def wide_type(dtype: torch.dtype) -> torch.dtype:
    """What sums over tensors of this type are kept in: float32, or float64 for float64."""
    return dtype if dtype == torch.float64 else torch.float32


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, -torch.inf)


def _fused_cpu(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, causal: bool
) -> tuple[Tensor, Tensor]:
    batch = query.shape[0]
    mask = None if mask is None else _additive(mask, query.dtype)
    key, value = (tensor.expand(batch, -1, -1, -1) for tensor in (key, value))
    output, log_sum_exp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, causal, attn_mask=mask, scale=scaling
    )
    output, log_sum_exp = output.to(wide_type(query.dtype)), log_sum_exp.to(wide_type(query.dtype))
    if mask is not None:
        # The kernel calls the log-sum-exp of a row that sees nothing 0, which would weigh it like a score of 0.
        hidden = (mask == -torch.inf).all(-1)
        output, log_sum_exp = output.masked_fill(hidden[..., None], 0.0), log_sum_exp.masked_fill(hidden, -torch.inf)
    return output, log_sum_exp


def _eager(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float,
    causal: bool,
    soft_cap: float | None,
) -> tuple[Tensor, Tensor]:
    wide = wide_type(query.dtype)
    query, key, value = (tensor.to(wide) for tensor in (query, key, value))
    batch, heads, tokens, width = query.shape
    groups, columns = key.shape[1:3]
    # Keys shared by the batch stay one set: einsum folds the batch into the queries instead of repeating them.
    shared = "" if key.shape[0] == 1 and batch > 1 else "b"
    key, value = (key, value) if shared else (key[0], value[0])
    grouped = (query * scaling).reshape(batch, groups, -1, tokens, width)
    scores = torch.einsum(f"bgrtd,{shared}gsd->bgrts", grouped, key)
    scores = cap(scores.reshape(batch, heads, tokens, columns), soft_cap)
    if causal:
        above = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(above, -torch.inf)
    elif mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    exponentials, total, log_sum_exp = normalise(scores)
    output = torch.einsum(f"bgrts,{shared}gsv->bgrtv", exponentials.reshape(batch, groups, -1, tokens, columns), value)
    return output.flatten(1, 2) / total, log_sum_exp
