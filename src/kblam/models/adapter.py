"""The adapter: everything that is trained for one base model, and its file.

Shapes: B batch, T tokens, M knowledge rows, L knowledge layers, H heads, d width of a head's key, v width of a head's
value, D embedding width, N key outputs of all layers together.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kblam.attention.built import build
from kblam.attention.latent import LatentParts, Latents, Projections, row_statistics
from kblam.attention.merge import cap, needs_gradient, wide_type
from kblam.attention.retrieval import similarities
from kblam.errors import ModelError
from kblam.knowledge import Encoder
from kblam.knowledge.cross_encoder import CrossEncoder, CrossWeights, load_cross_encoder
from kblam.knowledge.encoders import LocalEncoder, load_encoder
from kblam.knowledge.sentence_model import Updates
from kblam.models.adapter_config import CONFIG_FILE, FORMAT_VERSION, AdapterConfig, read_description
from kblam.models.anatomy import (
    AttentionSite,
    attention_sites,
    query_projection,
    refuse_unsupported,
    value_projection,
)
from kblam.models.low_rank import LowRankQuery
from kblam.models.refusal import (
    CROSS_EVIDENCE,
    EVIDENCE,
    FACT_EVIDENCE,
    for_all_ways,
    grown,
    uncalibrated,
    weighed_again,
)
from kblam.models.slots import ValueSlots
from kblam.models.tensor_files import (
    named_updates,
    named_weights,
    read_cross_weights,
    read_tensors,
    read_updates,
    save_cross_weights,
    save_updates,
    write_tensors,
)

__all__ = ["FORMAT_VERSION", "Adapter", "AdapterConfig"]

WEIGHTS_FILE = "adapter.safetensors"
QUESTION_FILE = "question_encoder.safetensors"
MEANING_FILE = "meaning_encoder.safetensors"
CROSS_FILE = "cross_encoder.safetensors"
FACT_FILE = "fact_encoder.safetensors"
_BONUS = (8.0, 16.0, 1.0, 0.0, 0.0)
_WAYS = frozenset(("refusal_weight", "refusal_bias"))
"""What knows fewer ways of calling a thing in older adapters."""
_GROWING = frozenset(("name_bonus", "refusal_weight"))
"""What has fewer numbers in adapters that were made before there was more to weigh."""
_tuning = threading.Lock()
_BLOCK = 1 << 16
"""Rows whose statistics are computed at once, so that a large knowledge base needs no second copy of itself."""


class Adapter(nn.Module):
    """The trained part: per knowledge layer, maps from embeddings to keys and values and an extra query projection."""

    key_weight: nn.Parameter
    """(blocks * H * d, D); the layers' blocks come first, in their order."""
    key_bias: nn.Parameter
    """(blocks * H * d,)."""
    value_weight: nn.Parameter
    """(L * H * v, D)."""
    value_bias: nn.Parameter
    """(L * H * v,)."""
    query_weight: nn.Parameter | None
    """(L, H * d, hidden); None with a query rank."""
    low_rank_query: LowRankQuery | None
    """None without a query rank."""
    query_bias: nn.Parameter | None
    """(L, H * d)."""
    beta_key: nn.Parameter | None
    """(L,): weight of the similarity between the question and the key embedding, which starts as their cosine."""
    beta_value: nn.Parameter | None
    """(L,): weight of the similarity between the question and the value embedding."""
    question_key: nn.Parameter | None
    """(D, D), the identity at first: turns the question's embedding before it is compared with keys."""
    question_value: nn.Parameter | None
    """(D, D), likewise before it is compared with values."""
    name_bonus: Tensor | None
    """(5,): added to the scores of rows whose entity the question names, and to those whose property it names as well; the
    share of the score that the question without the name has with what the row says; and those of the logits of what
    reads both together, without names and with them."""
    refusal_weight: Tensor | None
    """(W, len(self.evidence)): weighs the evidence that the best row answers the question; see `refusal`."""
    refusal_bias: Tensor | None
    """(W,)."""
    null_key: nn.Parameter | None
    """(L, H, d)."""
    null_offset: nn.Parameter | None
    """(L,): added to the null row's score."""
    value_slots: ValueSlots | None
    """None without slot layers."""

    def __init__(self, config: AdapterConfig, provenance: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.config = config
        self.provenance = dict(provenance or {})
        self.question_updates: Updates = {}
        """Low-rank updates of the sentence encoder, for questions only (see `SentenceModel.tuned`)."""
        self.meaning_updates: Updates = {}
        """Those of the meaning encoder, if there is one."""
        self.cross_weights: CrossWeights | None = None
        """What makes a cross-encoder of `config.cross_encoder`, if there is one."""
        self._tuned_encoders: dict[tuple[str, str], LocalEncoder] = {}
        self.fact_weights: CrossWeights | None = None
        """What makes one that reads whole facts of `config.fact_encoder`, if there is one."""
        self._made: dict[str, CrossEncoder] = {}
        layers, heads, width = len(config.knowledge_layers), config.heads, config.encoder_width
        key = nn.Linear(width, (config.key_blocks or layers) * heads * config.head_dim)
        value = nn.Linear(width, layers * heads * config.value_head_dim)
        self.key_weight, self.key_bias = nn.Parameter(key.weight.detach()), nn.Parameter(key.bias.detach())
        self.value_weight, self.value_bias = nn.Parameter(value.weight.detach()), nn.Parameter(value.bias.detach())
        outputs = heads * config.head_dim
        rank, hidden = config.query_rank, config.hidden_size
        self.query_weight = None if rank else nn.Parameter(torch.randn(layers, outputs, hidden) * hidden**-0.5)
        self.low_rank_query = LowRankQuery(layers, rank, outputs, hidden) if rank else None
        self.query_bias = nn.Parameter(torch.zeros(layers, outputs)) if config.query_bias else None
        self.beta_key = nn.Parameter(torch.full((layers,), 20.0)) if config.question_prior else None
        self.beta_value = nn.Parameter(torch.zeros(layers)) if config.question_prior else None
        self.question_key = nn.Parameter(torch.eye(width)) if config.question_prior else None
        self.question_value = nn.Parameter(torch.eye(width)) if config.question_prior else None
        # Fitted to what retrieval finds, not by the gradient of the model's loss.
        prior = config.question_prior
        self.register_buffer("name_bonus", torch.tensor(_BONUS) if prior else None)
        weight, bias = uncalibrated(len(self.evidence))
        self.register_buffer("refusal_weight", weight if prior else None)
        self.register_buffer("refusal_bias", bias if prior else None)
        self.null_key = nn.Parameter(torch.zeros(layers, heads, config.head_dim)) if config.null_row else None
        self.null_offset = nn.Parameter(torch.zeros(layers)) if config.null_row else None
        widths = outputs, heads * config.value_head_dim, config.hidden_size, config.embedding_size or config.hidden_size
        self.value_slots = ValueSlots(len(config.slot_layers), *widths) if config.slot_layers else None

    @classmethod
    def for_model(cls, model: PreTrainedModel, config: AdapterConfig) -> Adapter:
        """A new adapter whose query projections are copies of the model's own.

        Raises UnsupportedModelError where a layer has no query projection that can be copied, ModelError where shapes
        differ.
        """
        adapter = cls(config)
        refuse_unsupported(model)
        sites = attention_sites(model, config.knowledge_layers)
        for index, layer in enumerate(config.knowledge_layers):
            adapter.check_site(sites[layer])
            weight, bias = query_projection(sites[layer])
            with torch.no_grad():
                if adapter.query_weight is not None:
                    adapter.query_weight[index].copy_(weight)
                if adapter.query_bias is not None and bias is not None:
                    adapter.query_bias[index].copy_(bias)
            if adapter.value_slots is not None and layer in config.slot_layers:
                adapter.value_slots.start(adapter.slot_layer(layer), weight, value_projection(sites[layer]))
        return adapter

    def check_site(self, site: AttentionSite) -> None:
        """Raise ModelError when the shapes of a layer's attention are not those of the adapter."""
        for name in ("heads", "head_dim", "value_head_dim", "hidden_size"):
            ours, theirs = getattr(self.config, name), getattr(site, name)
            if ours != theirs:
                raise ModelError(
                    f"The adapter was made for {self.config.base_model} with {name} {ours}, but layer {site.layer} of "
                    f"this model has {theirs}; use the adapter's own base model or train one for this model."
                )

    def latents(self, keys: Tensor, values: Tensor) -> Latents:
        """Prepare rows for attention without building any key or value.

        Shapes: keys and values (M, D). The result carries gradients to the key projection only when autograd is on;
        without it the statistics are computed in float64, block by block.
        """
        width = self.config.encoder_width
        if keys.shape != values.shape or keys.dim() != 2 or keys.shape[1] != width:
            raise ModelError(
                f"The adapter reads embeddings of width {width} by {self.config.encoder}, a key and a value per row, "
                f"but got keys {tuple(keys.shape)} and values {tuple(values.shape)}."
            )
        if needs_gradient(keys, self.key_weight):
            mean, inverse = row_statistics(keys, self.key_weight, self.key_bias, self.config.key_norm_eps)
            return Latents(keys, values, mean, inverse)
        weight, bias = self.key_weight.detach().double(), self.key_bias.detach().double()
        blocks = [
            row_statistics(block.double(), weight, bias, self.config.key_norm_eps)
            for block in torch.split(keys, _BLOCK)
        ]
        wide = wide_type(self.key_weight.dtype)
        mean, inverse = (torch.cat(numbers).to(wide) for numbers in zip(*blocks, strict=True))
        return Latents(keys, values, mean, inverse)

    def built(self, latents: Latents) -> Latents:
        """The same rows with the keys and values of all knowledge layers beside them (see `attention/built.py`)."""
        if len(latents) == 0:
            return latents
        parts = build(latents, [self.projections(slot) for slot in range(len(self.config.knowledge_layers))])
        return parts[0] if len(parts) == 1 else LatentParts(parts)

    def slot(self, layer: int) -> int:
        """The place of a decoder layer among the knowledge layers."""
        return self.config.knowledge_layers.index(layer)

    def slot_layer(self, layer: int) -> int:
        """The place of a decoder layer among the layers with value slots."""
        return self.config.slot_layers.index(layer)

    def projections(self, slot: int) -> Projections:
        """The maps of the slot-th knowledge layer."""
        config = self.config
        keys = slice(slot * config.heads * config.head_dim, (slot + 1) * config.heads * config.head_dim)
        values = slice(slot * config.heads * config.value_head_dim, (slot + 1) * config.heads * config.value_head_dim)
        heads, width = config.heads, config.encoder_width
        return Projections(
            key_weight=self.key_weight[keys].view(heads, -1, width),
            key_bias=self.key_bias[keys].view(heads, -1),
            value_weight=self.value_weight[values].view(heads, -1, width),
            value_bias=self.value_bias[values].view(heads, -1),
        )

    def query(self, slot: int, hidden_states: Tensor, site: AttentionSite) -> Tensor:
        """The knowledge query of the slot-th knowledge layer, at `site`: hidden states (B, T, hidden) to (B, T, H * d)."""
        bias = None if self.query_bias is None else self.query_bias[slot]
        if self.low_rank_query is not None:
            query: Tensor = self.low_rank_query(slot, site, hidden_states)
            return query if bias is None else query + bias
        assert self.query_weight is not None
        return nn.functional.linear(hidden_states.to(self.query_weight.dtype), self.query_weight[slot], bias)

    @torch.no_grad()
    def scale_query(self, share: float, slots: Sequence[int]) -> None:
        """Multiply what the query heads of these knowledge layers make of the hidden states, biases left out."""
        whole = self.low_rank_query
        for part in (self.query_weight,) if whole is None else (whole.scale, whole.up):
            assert part is not None
            part[list(slots)] *= share

    def read_question(self, question: Tensor) -> tuple[Tensor, Tensor]:
        """What keys and what values are compared with in the question prior: embeddings (n, D) to two of (n, D)."""
        assert self.question_key is not None and self.question_value is not None, "an adapter without a question prior"
        unit = nn.functional.normalize(question.to(self.question_key.dtype), dim=-1)
        return unit @ self.question_key.T, unit @ self.question_value.T

    def question_encoder(self, encoder: Encoder) -> Encoder:
        """What reads questions: the encoder with this adapter's updates; the encoder itself where there are none."""
        return self._tuned("question", encoder, self.question_updates)

    def meaning_encoder(self, encoder: Encoder) -> Encoder:
        """What compares questions and facts without their names: the adapter's meaning encoder, else what reads questions."""
        if self.config.meaning_encoder is None:
            return self.question_encoder(encoder)
        return self._tuned("meaning", load_encoder(self.config.meaning_encoder), self.meaning_updates)

    def _tuned(self, use: str, encoder: Encoder, updates: Updates) -> Encoder:
        if not updates or not isinstance(encoder, LocalEncoder):
            return encoder
        with _tuning:
            if (use, encoder.name) not in self._tuned_encoders:
                self._tuned_encoders[use, encoder.name] = encoder.tuned(updates, alone=use == "meaning")
            return self._tuned_encoders[use, encoder.name]

    def cross_encoder(self) -> CrossEncoder | None:
        """What reads questions and statements without names together; raises EncoderError when its encoder cannot be
        found."""
        return self._cross_encoder("cross", self.config.cross_encoder, self.cross_weights)

    def fact_encoder(self) -> CrossEncoder | None:
        """What reads whole questions and facts together; likewise."""
        return self._cross_encoder("fact", self.config.fact_encoder, self.fact_weights)

    def _cross_encoder(self, use: str, name: str | None, weights: CrossWeights | None) -> CrossEncoder | None:
        if name is None or weights is None:
            return None
        with _tuning:
            if use not in self._made:
                self._made[use] = load_cross_encoder(name, weights)
            return self._made[use]

    def encoder_weights(self) -> dict[str, Tensor]:
        """What this adapter changes in encoders, by name: `state_dict` has the rest."""
        named = named_updates(self.question_updates, "question.") | named_updates(self.meaning_updates, "meaning.")
        for weights, prefix in ((self.cross_weights, "cross."), (self.fact_weights, "fact.")):
            named |= {} if weights is None else named_weights(weights, prefix)
        return named

    def take_cross_encoder(self, name: str | None, weights: CrossWeights | None) -> None:
        """Read questions and statements together by the encoder of this name, with these weights, or not at all; what its
        logit counts is to be calibrated then."""
        known = self.evidence
        self.config, self.cross_weights = replace(self.config, cross_encoder=name), weights
        self._weigh_again(known)

    def take_fact_encoder(self, name: str | None, weights: CrossWeights | None) -> None:
        """Likewise whole questions and facts."""
        known = self.evidence
        self.config, self.fact_weights = replace(self.config, fact_encoder=name), weights
        self._weigh_again(known)

    def _weigh_again(self, known: Sequence[str]) -> None:
        """Keep the weights of what was evidence before and is."""
        self._made = {}
        if self.refusal_weight is not None:
            self.refusal_weight = weighed_again(self.refusal_weight, known, self.evidence)

    @property
    def evidence(self) -> tuple[str, ...]:
        """What the refusal weighs."""
        cross = () if self.config.cross_encoder is None else CROSS_EVIDENCE
        return (*EVIDENCE, *cross, *(() if self.config.fact_encoder is None else FACT_EVIDENCE))

    def weigh(self, for_keys: Tensor, for_values: Tensor) -> tuple[Tensor, Tensor]:
        """What `read_question` gives, or the similarities with it, as the first knowledge layer counts them."""
        assert self.beta_key is not None and self.beta_value is not None
        return self.beta_key[0] * for_keys, self.beta_value[0] * for_values

    def prior_scores(self, question: Tensor, latents: Latents) -> Tensor:
        """The question prior at the first knowledge layer: questions (n, D) to (n, M)."""
        key, value = self.weigh(*similarities(*self.read_question(question), latents))
        return key + value

    def null_score(self, slot: int, query: Tensor, scaling: float, soft_cap: float | None = None) -> Tensor | None:
        """The null row's score, query (B, H, T, d) to (B, H, T); None without a null row."""
        if self.null_key is None or self.null_offset is None:
            return None
        score = torch.einsum("bhtd,hd->bht", query * scaling, self.null_key[slot])
        return cap(score, soft_cap) + self.null_offset[slot]

    def save(self, directory: str | Path) -> None:
        """Write adapter.safetensors, adapter.json and, where there are some, the updates of encoders into a
        directory, each aside first and then in one move."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        record = {"format_version": FORMAT_VERSION, "config": asdict(self.config), "provenance": self.provenance}
        weights, description = (directory / f"{name}.part" for name in (WEIGHTS_FILE, CONFIG_FILE))
        write_tensors(weights, tensors)
        description.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        save_updates(directory / QUESTION_FILE, self.question_updates)
        save_updates(directory / MEANING_FILE, self.meaning_updates)
        save_cross_weights(directory / CROSS_FILE, self.cross_weights)
        save_cross_weights(directory / FACT_FILE, self.fact_weights)
        weights.replace(directory / WEIGHTS_FILE)
        description.replace(directory / CONFIG_FILE)

    @classmethod
    def load(cls, directory: str | Path) -> Adapter:
        """Read an adapter that `save` wrote, in float32, in evaluation mode and without gradients.

        Raises ModelError for a missing, damaged or foreign file.
        """
        directory = Path(directory)
        adapter = cls(*read_description(directory / CONFIG_FILE))
        tensors = read_tensors(directory / WEIGHTS_FILE)
        expected = {name: tuple(tensor.shape) for name, tensor in adapter.state_dict().items()}
        for name in _WAYS & tensors.keys() & expected.keys():
            tensors[name] = for_all_ways(tensors[name], len(expected[name]))
        for name in _GROWING & tensors.keys() & expected.keys():
            tensors[name] = grown(tensors[name], expected[name][-1], most=1)
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if expected != found:
            wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            raise ModelError(
                f"{directory / WEIGHTS_FILE} does not fit {CONFIG_FILE} beside it (tensors {', '.join(wrong)}); "
                "copy both files from the same adapter."
            )
        adapter.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        adapter.question_updates = read_updates(directory / QUESTION_FILE)
        if adapter.config.meaning_encoder is not None:
            adapter.meaning_updates = read_updates(directory / MEANING_FILE, needed=True)
        if adapter.config.cross_encoder is not None:
            adapter.cross_weights = read_cross_weights(directory / CROSS_FILE)
        if adapter.config.fact_encoder is not None:
            adapter.fact_weights = read_cross_weights(directory / FACT_FILE)
        return adapter.requires_grad_(False).eval()
