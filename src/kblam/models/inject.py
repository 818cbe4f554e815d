"""Let a Hugging Face decoder attend to knowledge without a copy of its modelling code.

A forward pre-hook on the decoder puts the state of the current attend block into the call's keyword arguments, which
reach every attention module; a pre-hook there adds the layer's hidden states; and the attention function, registered
with transformers under a name of ours, merges the knowledge into the context's attention. Outside an attend block the
stock function is called with the very arguments it would have had.

Shapes: B batch, T query tokens, S context tokens, H heads, G key/value heads, d width of a head's key, v of its value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kblam.attention.built import layer_attention
from kblam.attention.merge import context_attention, merge
from kblam.errors import ModelError, UnsupportedModelError
from kblam.models.active import ActiveKnowledge, Attended, ForwardPass, Recorder
from kblam.models.adapter import Adapter
from kblam.models.anatomy import (
    PREFIX,
    AttentionSite,
    apply_query_norm,
    attention_sites,
    decoder_of,
    eager_function,
    refuse_site,
    refuse_unsupported,
    stock_attention,
)
from kblam.models.batches import fit_batch

__all__ = ["Injection", "inject"]

_ARGUMENT = "kblam"

_UNMERGEABLE = {
    "position_bias": "a position bias",
    "cache": "a paged cache (continuous batching)",
    "indices": "a sparse choice of context tokens",
    "block_indices": "a sparse choice of context blocks",
}

_ATTENDED: ContextVar[Mapping[int, Attended]] = ContextVar("kblam_attended")
"""The open attend blocks of this thread or task, by injection: threads with different knowledge share one model."""


def inject(model: PreTrainedModel, adapter: Adapter) -> Injection:
    """Prepare a model to attend to knowledge; nothing changes until an attend block is open.

    Raises UnsupportedModelError when the model's attention cannot take knowledge exactly, ModelError when the adapter
    was made for other shapes or the model already carries an injection.
    """
    return Injection(model, adapter)


class Injection:
    """An adapter inside a model. The model's weights, files and results without knowledge stay as they are."""

    def __init__(self, model: PreTrainedModel, adapter: Adapter) -> None:
        self.model = model
        self.adapter = adapter
        self._decoder: Any = decoder_of(model)
        self._stock_name = stock_attention(model)
        if self._stock_name != self._decoder.config._attn_implementation:
            raise ModelError(
                f"{type(model).__name__} already carries an adapter; call remove() on its injection first."
            )
        refuse_unsupported(model)
        sites = attention_sites(model, adapter.config.knowledge_layers)
        for site in sites.values():
            refuse_site(model, site)
            adapter.check_site(site)
        self._signature = inspect.signature(self._decoder.forward)
        self.standing: ActiveKnowledge | None = None
        """What calls outside an attend block attend to; for adapters that need no question beside the prompt."""
        table: Any = model.get_input_embeddings()
        self._token_table: Tensor = table.weight
        self._handles: list[Any] = []
        self._install(sites)

    def _install(self, sites: Mapping[int, AttentionSite]) -> None:
        name = _register(self._stock_name)
        self._decoder.config._attn_implementation = name
        configs: list[Any] = [site.module.config for site in sites.values()]
        if any(config._attn_implementation != name for config in configs):
            self.remove()
            raise UnsupportedModelError(
                f"{type(self.model).__name__} does not let its attention layers change their implementation."
            )
        self._handles.append(self._decoder.register_forward_pre_hook(self._open_pass, with_kwargs=True))
        for site in sites.values():
            hook = partial(self._hand_over, site)
            self._handles.append(site.module.register_forward_pre_hook(hook, with_kwargs=True))

    def remove(self) -> None:
        """Restore the model: no hooks, its own attention implementation. Harmless when repeated."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if str(self._decoder.config._attn_implementation).startswith(PREFIX):
            self._decoder.config._attn_implementation = self._stock_name

    @contextmanager
    def attend(self, knowledge: ActiveKnowledge, recorder: Recorder | None = None) -> Iterator[None]:
        """Let every call of the model inside the block attend to this knowledge, in this thread or task only.

        One block serves one batch of prompts: the first forward pass is the prompt, at whose end the retrieval layer
        chooses the rows for this and all later passes. A thread started inside the block (a streamer's) does not
        inherit it: open the block there.
        """
        attended = Attended(self.adapter, knowledge, recorder, self._token_table)
        token = _ATTENDED.set({**_ATTENDED.get({}), id(self): attended})
        try:
            yield
        finally:
            _ATTENDED.reset(token)

    def _open_pass(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        attended = _ATTENDED.get({}).get(id(self))
        if attended is None and self.standing is not None:
            attended = Attended(self.adapter, self.standing, None)
        if attended is None:
            return None
        given = self._signature.bind_partial(*args, **kwargs).arguments
        tokens = given["inputs_embeds"] if given.get("input_ids") is None else given["input_ids"]
        mask, ids = given.get("attention_mask"), given.get("input_ids")
        forward_pass = attended.begin(tokens.shape[0], tokens.shape[1], mask, tokens.device, ids)
        return args, {**kwargs, _ARGUMENT: forward_pass}

    def _hand_over(self, site: AttentionSite, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        forward_pass = kwargs.get(_ARGUMENT)
        if forward_pass is None:
            if id(self) in _ATTENDED.get({}):
                raise UnsupportedModelError(
                    f"{type(self.model).__name__} does not pass keyword arguments on to its attention layers."
                )
            return None
        hidden_states = args[0] if args else kwargs["hidden_states"]
        return args, {**kwargs, _ARGUMENT: _LayerCall(forward_pass, site, hidden_states)}


@dataclass(eq=False)
class _LayerCall:
    """What one knowledge layer's attention function needs beside its own arguments."""

    forward_pass: ForwardPass
    site: AttentionSite
    hidden_states: Tensor


def _register(stock_name: str) -> str:
    name = PREFIX + stock_name
    AttentionInterface.register(name, _ATTENTION_FUNCTIONS[stock_name])
    # A name without a mask function would silently get no mask.
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[stock_name])
    return name


def _kblam_sdpa(module: nn.Module, *tensors: Any, kblam: object = None, **options: Any) -> Any:
    return _attend(ALL_ATTENTION_FUNCTIONS["sdpa"], kblam, module, tensors, options)


def _kblam_eager(module: nn.Module, *tensors: Any, kblam: object = None, **options: Any) -> Any:
    stock = eager_function(module)
    assert stock is not None, "refused at injection"
    return _attend(stock, kblam, module, tensors, options)


_ATTENTION_FUNCTIONS: dict[str, Callable[..., Any]] = {"sdpa": _kblam_sdpa, "eager": _kblam_eager}


def _attend(
    stock: Callable[..., Any], call: object, module: nn.Module, tensors: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    # Layers without knowledge see the bare ForwardPass.
    if isinstance(call, _LayerCall):
        output = _rectangular(call, module, *tensors, **options)
        if output is not None:
            return output, None
    return stock(module, *tensors, **options)


def _rectangular(
    call: _LayerCall,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> Tensor | None:
    """One layer's attention over [knowledge | context], (B, T, H, v); None when there is no row to attend to."""
    forward_pass, site = call.forward_pass, call.site
    adapter = forward_pass.attended.adapter
    slot, scaling, soft_cap = adapter.slot(site.layer), site.scaling, options.get("softcap")
    knowledge_query = apply_query_norm(module, adapter.query(slot, call.hidden_states, site), site.heads).transpose(
        1, 2
    )
    rows = forward_pass.rows(slot, knowledge_query, scaling)
    if len(rows.latents) == 0:
        return None
    _refuse_call(module, forward_pass, options)
    bias = rows.bias(adapter, slot)
    bias = None if bias is None else fit_batch(bias, query.shape[0])[:, None, None, :]
    null = adapter.null_score(slot, knowledge_query, scaling, soft_cap)
    if null is not None and forward_pass.visible is not None:
        null = null.masked_fill(~forward_pass.visible[:, None, :], -torch.inf)
    knowledge = layer_attention(
        knowledge_query,
        rows.latents,
        adapter.projections(slot),
        slot,
        scaling=scaling,
        bias=bias,
        visible=forward_pass.visible,
        soft_cap=soft_cap,
    )
    context = _context(module, query, key, value, attention_mask, options)
    parts: list[tuple[Tensor | None, Tensor]] = [context, knowledge]
    sinks = getattr(module, "sinks", None)
    parts += [
        (None, weight)
        for weight in (null, None if sinks is None else sinks.float()[None, :, None])
        if weight is not None
    ]
    if forward_pass.attended.slots is not None and site.layer in adapter.config.slot_layers:
        parts.append(_slots(call, module, scaling, soft_cap))
    output, log_sum_exp = merge([part[0] for part in parts], [part[1] for part in parts])
    forward_pass.record(site.layer, knowledge_query, rows, null, log_sum_exp, scaling, soft_cap)
    return output.to(query.dtype).transpose(1, 2).contiguous()


def _slots(call: _LayerCall, module: nn.Module, scaling: float, soft_cap: float | None) -> tuple[Tensor, Tensor]:
    """A slot layer's attention to the tokens of the chosen values."""
    forward_pass, site, attended = call.forward_pass, call.site, call.forward_pass.attended
    assert attended.adapter.value_slots is not None
    projected = attended.adapter.value_slots.query(attended.adapter.slot_layer(site.layer), call.hidden_states)
    query = apply_query_norm(module, projected, site.heads).transpose(1, 2)
    options = {"scaling": scaling, "visible": forward_pass.visible, "soft_cap": soft_cap}
    return attended.slot_attention(site.layer, query, **options)  # type: ignore[arg-type]


def _context(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, options: Mapping[str, Any]
) -> tuple[Tensor, Tensor]:
    is_causal = options.get("is_causal")
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    tokens = query.shape[2]
    causal = tokens > 1 and mask is None and bool(is_causal)
    if causal:
        # As in the stock function: with no mask the tokens are the first ones of an empty static cache.
        key, value = key[:, :, :tokens], value[:, :, :tokens]
    scaling = options.get("scaling")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return context_attention(query, key, value, mask, scaling=scaling, causal=causal, soft_cap=options.get("softcap"))


def _refuse_call(module: nn.Module, forward_pass: ForwardPass, options: Mapping[str, Any]) -> None:
    name = type(module).__name__
    if forward_pass.gradients and not torch.is_grad_enabled():
        raise UnsupportedModelError(
            f"{name} runs under reentrant gradient checkpointing, which loses the gradients of knowledge; "
            "set use_reentrant to False."
        )
    if options.get("dropout"):
        raise UnsupportedModelError(
            f"{name} drops attention weights in training; set attention_dropout to 0 or call model.eval()."
        )
    for option in _UNMERGEABLE:
        if options.get(option) is not None:
            raise UnsupportedModelError(
                f"{name} attends with {_UNMERGEABLE[option]}, which knowledge cannot be merged with."
            )
