"""What a run begins with: the frozen base model, and an adapter that knows nothing yet or what another one knew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kblam.answering.prompts import chat_prompt
from kblam.errors import InputError, ModelError
from kblam.knowledge.encoders import DEFAULT_ENCODER
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape
from kblam.models.pretrained import load_pretrained
from kblam.models.shipped import DEFAULT_MODEL
from kblam.training.data import TrainingData
from kblam.training.losses import TextBatch, tokenise
from kblam.training.options import Options
from kblam.training.slot_start import start_slots

__all__ = ["base_width", "first_adapter", "frozen_base"]

OWN_QUERY = 0.25
"""Share of the model's own query at first, so that the question prior decides which rows are read."""
EXAMPLES, EXAMPLE_BATCH = 240, 20
"""Questions with their answers that the frozen model reads once, to see where value slots can begin."""


def frozen_base(options: Options) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, str]:
    """The base model, its tokenizer, and the name that goes into the model directory.

    Raises ModelError for a model that cannot be loaded or asked.
    """
    parts = load_pretrained(options.model, options.precision)
    if parts.tokenizer is None:
        raise ModelError(f"{options.model} has no tokenizer, so it cannot be trained on questions: put its files there")
    local = parts.base_model != DEFAULT_MODEL and Path(parts.base_model).is_dir()
    return parts.base, parts.tokenizer, str(Path(parts.base_model).resolve()) if local else parts.base_model


def base_width(base: PreTrainedModel) -> int:
    """Width of the model's hidden states."""
    return int(base.config.get_text_config().hidden_size)


def first_adapter(
    options: Options, base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, data: TrainingData
) -> Adapter:
    """A new adapter, or the one to go on from.

    Raises InputError when that one was trained on another encoder's vectors.
    """
    if options.adapter is not None:
        known = Adapter.load(options.adapter)
        if known.config.encoder != data.encoder.name:
            raise InputError(
                f"the adapter in {options.adapter} reads embeddings by {known.config.encoder}, not by "
                f"{data.encoder.name}: use --encoder_spec {known.config.encoder}"
            )
        return known.to(base.device)
    layers = options.layers(int(base.config.get_text_config().num_hidden_layers))
    embeddings: Any = base.get_input_embeddings()
    table: Tensor = embeddings.weight
    small = {"check_quotes": True} if name == DEFAULT_MODEL else {}
    config = AdapterConfig(
        data.encoder.name,
        data.encoder.width,
        name,
        layers,
        retrieval_layer=layers[0],
        question_prior=data.can_ask,
        english_encoder=data.encoder.name == DEFAULT_ENCODER,
        length_scale=100.0 if options.length_invariance else None,
        query_rank=options.query_rank,
        slot_layers=options.slot_layers(layers),
        embedding_size=table.shape[1],
        **small,  # type: ignore[arg-type]
        **attention_shape(base, layers),
    )
    torch.manual_seed(options.seed)
    adapter = Adapter.for_model(base, config)
    if adapter.value_slots is not None:
        prompt = chat_prompt(tokenizer, "?")
        last = tokenizer(prompt, add_special_tokens=tokenizer.chat_template is None)["input_ids"][-1]
        adapter.value_slots.open_after(table[last])
        # The shipped base was made with copying heads, whose own maps do better: a loss of 1.9 after 80 steps, not 3.0.
        if name != DEFAULT_MODEL:
            start_slots(adapter, base, _examples(tokenizer, data))
    if config.question_prior:
        adapter.scale_query(OWN_QUERY, range(len(layers)))
    return adapter.to(base.device)


def _examples(tokenizer: PreTrainedTokenizerBase, data: TrainingData) -> list[TextBatch]:
    asked = data.train.questions[:: max(1, len(data.train.questions) // EXAMPLES)][:EXAMPLES]
    parts = [asked[at : at + EXAMPLE_BATCH] for at in range(0, len(asked), EXAMPLE_BATCH)]
    return [tokenise(tokenizer, [item.text for item in part], [item.answer for item in part]) for part in parts]
