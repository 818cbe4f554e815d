"""What an adapter fits and how it was made: the description beside its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kblam.errors import ModelError

__all__ = ["CONFIG_FILE", "FORMAT_VERSION", "AdapterConfig", "read_description"]

FORMAT_VERSION = 2
CONFIG_FILE = "adapter.json"


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
    meaning_encoder: str | None = None
    """Name of a second sentence encoder, which compares what questions and facts mean once names are left out; None: the
    first one does."""
    cross_encoder: str | None = None
    """Name of the sentence encoder that, tuned, reads a question and what a likely row says together, names left out; None:
    none does."""
    fact_encoder: str | None = None
    """Name of the sentence encoder that, tuned otherwise, reads them together with their names; None: none does."""
    quote_rows: int = 1
    """Rows shown to the model, at most, when it quotes; where its words are checked, they must be of the first."""
    check_quotes: bool = False
    """Replace a quoting answer that does not say the value of the row it rests on, whole and of that row only (`answering/quotes.py`), by that
    value; for bases too small to be trusted with a sentence."""
    check_words: bool = True
    """Replace one, likewise, that does not say the value, or says what neither question nor fact does (`answering/given.py`)."""
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


def read_description(path: Path) -> tuple[AdapterConfig, dict[str, Any]]:
    """The options and the provenance in an adapter.json; raises ModelError when it is missing, damaged or foreign."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{path} is missing; an adapter is a folder with {CONFIG_FILE} and adapter.safetensors."
        ) from None
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
