"""A base model in 8 or 4 bits, by bitsandbytes, when the user has it: how it is asked for, and its weights in full."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

from kblam.errors import ModelError
from kblam.extras import pip_install

__all__ = ["QUANTISED", "keep_gradients", "plain_weight", "quantisation"]

QUANTISED = ("8bit", "4bit")
"""8bit: LLM.int8 (Dettmers et al., 2022, arXiv 2208.07339). 4bit: NF4 (Dettmers et al., 2023, arXiv 2305.14314)."""


def quantisation(precision: str) -> Any:
    """What transformers wants to know to load a model's linear layers in this precision, one of QUANTISED.

    Raises ModelError without bitsandbytes.
    """
    if find_spec("bitsandbytes") is None:
        raise ModelError(
            f"--precision {precision} needs bitsandbytes: run {pip_install('quantised')}, or choose --precision bfloat16"
        )
    from transformers import BitsAndBytesConfig

    if precision == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")  # type: ignore[no-untyped-call]


def keep_gradients(base: nn.Module) -> None:
    """Let gradients pass through 4-bit layers on a CPU after they have run without gradients too.

    bitsandbytes packs their weights then, once and for all, for a kernel that passes none on and does not say so.
    """
    for module in base.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def plain_weight(linear: nn.Module | None) -> Tensor | None:
    """The weight of a linear map as numbers, (outputs, inputs), a copy if it is quantised; None where it is none."""
    weight: Any = getattr(linear, "weight", None)
    if hasattr(weight, "quant_state") or hasattr(weight, "SCB"):
        from transformers.integrations.bitsandbytes import dequantize_bnb_weight

        weight = dequantize_bnb_weight(weight, state=getattr(linear, "state", None))
    return weight if isinstance(weight, Tensor) and weight.dim() == 2 and weight.is_floating_point() else None
