"""What belongs to the elements of a batch: repeated for beams, and without padding.

Shapes: B batch, T tokens of one forward pass, S context tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kblam.errors import ModelError

__all__ = ["fit_batch", "visible_queries"]


def fit_batch(tensor: Tensor, batch: int) -> Tensor:
    """Repeat (n, ...) to (batch, ...): shared by all when n is 1, each element several times in a row for beams."""
    given = tensor.shape[0]
    if given == batch:
        return tensor
    if given == 1:
        return tensor.expand(batch, *tensor.shape[1:])
    if batch % given:
        raise ModelError(
            f"The attend block holds something for {given} questions but the model was called with a batch of {batch}; "
            "open one attend block per batch."
        )
    return tensor.repeat_interleave(batch // given, 0)


def visible_queries(attention_mask: object, tokens: int) -> Tensor | None:
    """Which of the pass's tokens are not padding, (B, T), or None when none is.

    The mask is what the decoder was called with: None, (B, S) with 1 on tokens, a mask already made for the layers
    (B, 1, T, S), boolean or added, or a dictionary of these by layer type. In a made mask padding is what sees nothing.
    """
    if isinstance(attention_mask, dict):
        masks = [mask for mask in attention_mask.values() if isinstance(mask, Tensor)]
        attention_mask = masks[0] if masks else None
    if not isinstance(attention_mask, Tensor):
        return None
    if attention_mask.dim() == 2:
        visible = attention_mask[:, -tokens:] != 0
    elif attention_mask.dtype == torch.bool:
        visible = attention_mask.any(-1).any(1)
    else:
        visible = (attention_mask > torch.finfo(attention_mask.dtype).min).any(-1).any(1)
    return None if bool(visible.all()) else visible
