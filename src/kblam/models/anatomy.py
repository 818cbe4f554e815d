"""Where a Hugging Face decoder keeps its attention, and whether knowledge can enter there.

Shapes: B batch, T tokens, H heads, d width of a head's query.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from kblam.errors import ModelError, UnsupportedModelError
from kblam.models.quantised import plain_weight

__all__ = [
    "PREFIX",
    "AttentionSite",
    "apply_query_norm",
    "attention_shape",
    "attention_sites",
    "decoder_of",
    "eager_function",
    "output_projection",
    "own_query",
    "query_projection",
    "refuse_site",
    "refuse_unsupported",
    "stock_attention",
    "value_projection",
]

_QUERY_PROJECTIONS = ("q_proj", "qkv_proj", "query_key_value")
_OUTPUT_PROJECTIONS = ("o_proj", "out_proj", "dense", "wo")
PREFIX = "kblam_"
"""What our attention implementations are called: this and the name of the stock one that they call."""

_HEAD_WIDTHS = ("qk_head_dim", "head_dim", "head_size")


@dataclass(frozen=True, eq=False)
class AttentionSite:
    """The attention module of one decoder layer and its shapes."""

    layer: int
    """Index of the decoder layer."""
    module: nn.Module
    """The attention module itself."""
    heads: int
    """Query heads."""
    head_dim: int
    """Width of a head's query and key."""
    value_head_dim: int
    """Width of a head's value."""
    hidden_size: int
    """Width of the hidden states that enter."""
    scaling: float
    """What the module multiplies its scores with."""


def decoder_of(model: PreTrainedModel) -> Any:
    """The stack of decoder layers inside a causal language model."""
    return model.get_decoder()  # type: ignore[no-untyped-call]


def stock_attention(model: PreTrainedModel) -> str:
    """The model's own attention implementation, also while it carries ours."""
    return str(decoder_of(model).config._attn_implementation).removeprefix(PREFIX)


def attention_sites(model: PreTrainedModel, layers: Iterable[int] | None = None) -> dict[int, AttentionSite]:
    """The attention modules by layer index, or those of `layers` only.

    Raises UnsupportedModelError when a wanted layer has no softmax attention with a known query projection.
    """
    sites: dict[int, AttentionSite] = {}
    for module in decoder_of(model).modules():
        index = getattr(module, "layer_idx", None)
        if isinstance(index, int) and hasattr(module, "config") and _query_linear(module) is not None:
            sites[index] = _site(index, module)
    if layers is None:
        return sites
    missing = [layer for layer in layers if layer not in sites]
    if missing:
        raise UnsupportedModelError(
            f"{type(model).__name__} has no attention with a query projection in layers {missing}; "
            f"knowledge can enter layers {sorted(sites)}."
        )
    return {layer: sites[layer] for layer in layers}


def attention_shape(model: PreTrainedModel, layers: Iterable[int]) -> dict[str, Any]:
    """The options of AdapterConfig that the model decides: its heads, their widths, hidden_size and query_bias."""
    refuse_unsupported(model)
    sites = list(attention_sites(model, layers).values())
    names = ("heads", "head_dim", "value_head_dim", "hidden_size")
    shapes = {tuple(getattr(site, name) for name in names) for site in sites}
    if len(shapes) != 1:
        raise UnsupportedModelError(
            f"The layers {[site.layer for site in sites]} of {type(model).__name__} differ in {', '.join(names)}; "
            "choose layers that agree."
        )
    return dict(zip(names, shapes.pop(), strict=True)) | {"query_bias": query_projection(sites[0])[1] is not None}


def query_projection(site: AttentionSite) -> tuple[Tensor, Tensor | None]:
    """The model's own query projection: weight (H * d, hidden), a view unless it is quantised, and bias (H * d,) or None.

    Phi-3 keeps the query in the first rows of a fused projection, GPT-NeoX interleaves query, key and value head by
    head, Qwen3-Next and Qwen3.5 interleave the query with an output gate.
    """
    linear = _query_linear(site.module)
    weight, bias = plain_weight(linear), getattr(linear, "bias", None)
    if weight is None:
        raise UnsupportedModelError(f"The query projection of {type(site.module).__name__} is not a plain linear map.")
    return _query_rows(site, weight), None if bias is None else _query_rows(site, bias)


def own_query(site: AttentionSite, hidden_states: Tensor) -> Tensor:
    """The model's own query of hidden states (B, T, hidden), without its bias, norm or rotary: (B, T, H * d)."""
    linear: Any = _query_linear(site.module)
    if linear.weight.is_floating_point():
        weight, _ = query_projection(site)
        return nn.functional.linear(hidden_states.to(weight.dtype), weight)
    projected = linear(hidden_states)  # quantised: as it is, in place of a copy of its weight
    if linear.bias is not None:
        projected = projected - linear.bias
    return _query_rows(site, projected.movedim(-1, 0)).movedim(0, -1)


def _query_rows(site: AttentionSite, tensor: Tensor) -> Tensor:
    """The rows (H * d, ...) that belong to the query among those of its projection."""
    outputs = site.heads * site.head_dim
    interleaved = 3 if hasattr(site.module, "query_key_value") else 2
    fused = hasattr(site.module, "qkv_proj") and tensor.shape[0] >= outputs
    if not fused and tensor.shape[0] not in (outputs, interleaved * outputs):
        raise UnsupportedModelError(
            f"The query projection of {type(site.module).__name__} gives {tensor.shape[0]} numbers where {site.heads} "
            f"heads of {site.head_dim} were expected; its layout is not known."
        )
    if hasattr(site.module, "qkv_proj") or tensor.shape[0] == outputs:
        return tensor[:outputs]
    return tensor.reshape(site.heads, -1, *tensor.shape[1:])[:, : site.head_dim].flatten(0, 1)


def value_projection(site: AttentionSite) -> Tensor | None:
    """The model's own value map of each query head, (H * v, hidden), heads of a group alike; None where it is not one
    plain linear map of its own."""
    weight = plain_weight(getattr(site.module, "v_proj", None))
    if weight is None:
        return None
    groups, rest = divmod(weight.shape[0], site.value_head_dim)
    if rest or groups == 0 or site.heads % groups:
        return None
    heads = weight.unflatten(0, (groups, site.value_head_dim)).repeat_interleave(site.heads // groups, 0)  # type: ignore[no-untyped-call]
    return heads.flatten(0, 1)  # type: ignore[no-any-return]


def output_projection(site: AttentionSite) -> Tensor | None:
    """The model's own map of what all heads found to the hidden states, (hidden, H * v); None where it is not one plain linear map."""
    found = [getattr(site.module, name) for name in _OUTPUT_PROJECTIONS if hasattr(site.module, name)]
    return plain_weight(found[0]) if found else None


def apply_query_norm(module: nn.Module, query: Tensor, heads: int) -> Tensor:
    """Split a projected query (B, T, H * d) into heads (B, T, H, d) and apply the model's own query norm, if any.

    Qwen3 and Gemma 3 normalise each head, OLMo 2 the whole row.
    """
    norm = getattr(module, "q_norm", None)
    weight = getattr(norm, "weight", None)
    if norm is not None and weight is not None and weight.shape == query.shape[-1:]:
        query, norm = norm(query), None
    split = query.reshape(*query.shape[:-1], heads, -1)
    normed: Tensor = split if norm is None else norm(split)
    return normed


def eager_function(module: nn.Module) -> Callable[..., Any] | None:
    """The eager attention that the module's own modelling file falls back on."""
    for owner in type(module).__mro__:
        function = getattr(sys.modules.get(owner.__module__), "eager_attention_forward", None)
        if function is not None:
            return function  # type: ignore[no-any-return]
    return None


def refuse_unsupported(model: PreTrainedModel) -> None:
    """Raise UnsupportedModelError with the reason when knowledge cannot enter this model exactly."""
    name = type(model).__name__
    if model.config.is_encoder_decoder:
        raise UnsupportedModelError(f"{name} is an encoder-decoder model; knowledge enters decoder-only models.")
    decoder = decoder_of(model)
    if not all(owner._can_set_attn_implementation() for owner in (model, decoder)):
        raise UnsupportedModelError(
            f"{name} does not call its attention through transformers' attention registry, so knowledge cannot enter."
        )
    parameters = inspect.signature(decoder.forward).parameters.values()
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        raise UnsupportedModelError(
            f"{type(decoder).__name__}.forward takes no keyword arguments to carry knowledge to its layers."
        )
    implementation = stock_attention(model)
    if implementation not in ("sdpa", "eager"):
        raise UnsupportedModelError(
            f"{name} runs the attention '{implementation}', which gives no log-sum-exp to merge knowledge with; "
            "load it with attn_implementation='sdpa'."
        )


def refuse_site(model: PreTrainedModel, site: AttentionSite) -> None:
    """Raise UnsupportedModelError with the reason when knowledge cannot enter this layer exactly."""
    name, module, implementation = type(model).__name__, site.module, stock_attention(model)
    if eager_function(module) is None:
        raise UnsupportedModelError(f"{type(module).__name__} has no eager attention function beside it.")
    bending = [
        reason
        for attribute, reason in (("attn_logit_softcapping", "soft-capped scores"), ("sinks", "attention sinks"))
        if getattr(module, attribute, None) is not None
    ]
    if bending and implementation != "eager":
        raise UnsupportedModelError(
            f"{name} has {' and '.join(bending)}, which '{implementation}' leaves out; "
            "load it with attn_implementation='eager'."
        )
    unknown = [
        child
        for child, _ in module.named_children()
        if child.startswith(("q", "query")) and "norm" in child and child != "q_norm"
    ]
    if unknown:
        raise UnsupportedModelError(
            f"{name} changes its queries by {unknown[0]}, which knowledge queries do not know yet."
        )
    weight = getattr(getattr(module, "q_norm", None), "weight", None)
    known = {(site.head_dim,), (site.heads * site.head_dim,), (site.heads, site.head_dim)}
    if isinstance(weight, Tensor) and tuple(weight.shape) not in known:
        raise UnsupportedModelError(
            f"{name} has a q_norm of shape {tuple(weight.shape)}, which knowledge queries do not know yet."
        )


def _query_linear(module: nn.Module) -> nn.Module | None:
    return next((getattr(module, name) for name in _QUERY_PROJECTIONS if hasattr(module, name)), None)


def _site(layer: int, module: nn.Module) -> AttentionSite:
    config: Any = module.config
    linear = _query_linear(module)
    hidden = int(getattr(linear, "in_features", config.hidden_size))
    heads = int(config.num_attention_heads)
    head_dim = next(filter(None, (getattr(module, name, None) for name in _HEAD_WIDTHS)), config.hidden_size // heads)
    if not isinstance(head_dim, int):
        raise ModelError(f"{type(module).__name__} of layer {layer} does not say how wide its heads are.")
    return AttentionSite(
        layer=layer,
        module=module,
        heads=heads,
        head_dim=head_dim,
        value_head_dim=int(getattr(module, "v_head_dim", head_dim)),
        hidden_size=hidden,
        scaling=float(getattr(module, "scaling", head_dim**-0.5)),
    )
