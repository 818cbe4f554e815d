"""The adapter: everything that is trained for one base model, and its file.

Shapes: B batch, T tokens, M knowledge rows, L knowledge layers, H heads, d width of a head's key, v width of a head's
value, D embedding width, N key outputs of all layers together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from kblam.attention.built import build
from kblam.attention.latent import LatentParts, Latents, Projections, row_statistics
from kblam.attention.merge import cap, needs_gradient, wide_type
from kblam.attention.retrieval import similarities
from kblam.errors import ModelError
from kblam.knowledge import Encoder
from kblam.knowledge.encoders import LocalEncoder
from kblam.knowledge.sentence_model import Updates
from kblam.models.anatomy import (
    AttentionSite,
    attention_sites,
    query_projection,
    refuse_unsupported,
    value_projection,
)
from kblam.models.low_rank import LowRankQuery
from kblam.models.slots import ValueSlots
from kblam.models.tensor_files import read_tensors, read_updates, save_updates

__all__ = ["EVIDENCE", "FORMAT_VERSION", "Adapter", "AdapterConfig"]

FORMAT_VERSION = 2
WEIGHTS_FILE = "adapter.safetensors"
QUESTION_FILE = "question_encoder.safetensors"
CONFIG_FILE = "adapter.json"
EVIDENCE = (
    "score", "entity named", "property named", "another property named", "property of other things named",
    "lead over the entity's other rows", "masked cosine", "masked lead over the entity's other rows",
    "masked lead over the knowledge's other properties",
)  # fmt: skip
"""What speaks for the best row: its prior score; what the question names; and how well the question fits what the row says
when the entity is masked on both sides, so that only property and value count."""
_UNCALIBRATED = (0.5, *[0.0] * (len(EVIDENCE) - 1))
_BLOCK = 1 << 16
"""Rows whose statistics are computed at once, so that a large knowledge base needs no second copy of itself."""


@dataclass(frozen=True)
class AdapterConfig:
    """What an adapter fits: its encoder, its base model and the layers where knowledge enters."""

    encoder: str
    """Name of the sentence encoder whose embeddings the adapter was trained on."""
    encoder_width: int
    """Width D of those embeddings."""
    base_model: str
    """Hub id or folder of the base model."""
    knowledge_layers: tuple[int, ...]
    """Indices of the decoder layers that attend to knowledge, ascending."""
    heads: int
    """Query heads H of each of these layers."""
    head_dim: int
    """Width d of a head's query and key."""
    value_head_dim: int
    """Width v of a head's value."""
    hidden_size: int
    """Width of the hidden states that enter the attention."""
    retrieval_layer: int | None = None
    """Knowledge layer that chooses the rows once per prompt, the first of them; None attends to all rows everywhere."""
    top_k: int = 100
    """Rows that the retrieval layer keeps; with no more rows than this every row is attended to."""
    length_scale: float | None = None
    """The paper's C: knowledge scores are shifted by log C - log(rows attended to); None leaves them alone."""
    question_prior: bool = True
    """Add learned shares of the similarity between the question and each row's two embeddings to the scores."""
    null_row: bool = True
    """Give every knowledge layer a learned row that stands for "none of these" and has a zero value."""
    query_bias: bool = False
    """Give the knowledge query projections a bias, for base models whose own have one."""
    query_rank: int = 0
    """Rank of the update that the query heads add to the base's own projection; 0 means a whole matrix of their own."""
    english_encoder: bool = False
    """The encoder reads English only: what questions and facts mean is put into English before it compares them."""
    quote_rows: int = 4
    """Rows shown to the model, at most, when it quotes."""
    check_quotes: bool = False
    """Replace a quoting answer that lacks the value of the row it rests on by that value; for bases too small to be
    trusted."""
    slot_layers: tuple[int, ...] = ()
    """Knowledge layers where the tokens of the chosen rows' values enter as slots; none is the paper's form."""
    slot_rows: int = 4
    """Rows whose values are cut into slots, the best ones."""
    slot_tokens: int = 64
    """Slots of a value; what lies behind them can only be said from its one vector."""
    embedding_size: int = 0
    """Width of the base model's token embeddings, from which slots are made; 0 means hidden_size."""
    key_norm_eps: float = 1e-5
    """Added to the variance in the layer norm over a row's keys."""
    key_blocks: int = 0
    """Blocks of H * d key outputs under the layer norm; 0 means one per layer (the original has spare ones)."""

    def __post_init__(self) -> None:
        layers = self.knowledge_layers
        if isinstance(layers, (list, tuple)):  # JSON knows lists only
            layers = tuple(layers)
            object.__setattr__(self, "knowledge_layers", layers)
        object.__setattr__(self, "slot_layers", tuple(self.slot_layers))
        whole = isinstance(layers, tuple) and all(isinstance(layer, int) for layer in layers)
        if not whole or not layers or list(layers) != sorted(set(layers)) or layers[0] < 0:
            raise ModelError(f"knowledge_layers must be ascending layer indices without repetition, not {layers}.")
        if not set(self.slot_layers) <= set(layers):
            raise ModelError(f"slot_layers {self.slot_layers} must be among the knowledge layers {layers}.")
        if self.retrieval_layer is not None and self.retrieval_layer != layers[0]:
            raise ModelError(
                f"retrieval_layer {self.retrieval_layer} must be the first of the knowledge layers {layers}, "
                "because layers below it would have no chosen rows."
            )
        for name in ("encoder_width", "heads", "head_dim", "value_head_dim", "hidden_size", "top_k"):
            number = getattr(self, name)
            if not isinstance(number, int) or number < 1:
                raise ModelError(f"{name} must be a whole number of at least 1, not {number!r}.")
        if not isinstance(self.query_rank, int) or self.query_rank < 0:
            raise ModelError(f"query_rank must be a whole number of at least 0, not {self.query_rank!r}.")
        if self.key_blocks and self.key_blocks < len(layers):
            raise ModelError(f"key_blocks is {self.key_blocks} but there are {len(layers)} knowledge layers.")
        if self.length_scale is not None and self.length_scale <= 0:
            raise ModelError(f"length_scale must be positive or null, not {self.length_scale}.")


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
    """(3,): added to the scores of rows whose entity the question names, and to those whose property it names as
    well; and the share of the
    score that the question without the name has with the property alone."""
    refusal_weight: Tensor | None
    """(len(EVIDENCE),): weighs the evidence that the best row answers the question; a logistic regression."""
    refusal_bias: Tensor | None
    """()."""
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
        self._question_encoders: dict[str, LocalEncoder] = {}
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
        self.register_buffer("name_bonus", torch.tensor([8.0, 4.0, 1.0]) if prior else None)
        self.register_buffer("refusal_weight", torch.tensor(_UNCALIBRATED) if prior else None)
        self.register_buffer("refusal_bias", torch.tensor(-6.0) if prior else None)
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
        if not self.question_updates or not isinstance(encoder, LocalEncoder):
            return encoder
        if encoder.name not in self._question_encoders:
            self._question_encoders[encoder.name] = encoder.tuned(self.question_updates)
        return self._question_encoders[encoder.name]

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
        """Write adapter.safetensors, adapter.json and, where there are some, the question encoder's updates into a
        directory, each aside first and then in one move."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        record = {"format_version": FORMAT_VERSION, "config": asdict(self.config), "provenance": self.provenance}
        weights, description = (directory / f"{name}.part" for name in (WEIGHTS_FILE, CONFIG_FILE))
        save_file(tensors, weights)
        description.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        save_updates(directory / QUESTION_FILE, self.question_updates)
        weights.replace(directory / WEIGHTS_FILE)
        description.replace(directory / CONFIG_FILE)

    @classmethod
    def load(cls, directory: str | Path) -> Adapter:
        """Read an adapter that `save` wrote, in float32, in evaluation mode and without gradients.

        Raises ModelError for a missing, damaged or foreign file.
        """
        directory = Path(directory)
        adapter = cls(*_read_description(directory / CONFIG_FILE))
        tensors = read_tensors(directory / WEIGHTS_FILE)
        expected = {name: tuple(tensor.shape) for name, tensor in adapter.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if expected != found:
            wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            raise ModelError(
                f"{directory / WEIGHTS_FILE} does not fit {CONFIG_FILE} beside it (tensors {', '.join(wrong)}); "
                "copy both files from the same adapter."
            )
        adapter.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        adapter.question_updates = read_updates(directory / QUESTION_FILE)
        return adapter.requires_grad_(False).eval()


def _read_description(path: Path) -> tuple[AdapterConfig, dict[str, Any]]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; an adapter is a folder with {CONFIG_FILE} and {WEIGHTS_FILE}.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error}); restore it or save the adapter again.") from error
    version = record.get("format_version") if isinstance(record, dict) else None
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format_version {version!r}, this kblam reads {FORMAT_VERSION}; use a matching kblam."
        )
    options = record.get("config")
    names = {field.name for field in fields(AdapterConfig)}
    if not isinstance(options, dict) or not options.keys() <= names:
        extra = sorted(options.keys() - names) if isinstance(options, dict) else options
        raise ModelError(f"{path}: `config` must hold adapter options only, not {extra}; save the adapter again.")
    try:
        return AdapterConfig(**options), record.get("provenance") or {}
    except (TypeError, ModelError) as error:
        reason = str(error).rstrip(".")
        raise ModelError(f"{path} has a `config` that cannot be used ({reason}); save the adapter again.") from error
