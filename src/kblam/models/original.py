"""Read what the original's trainers saved (microsoft/KBLaM, and AtlasKV under other names) as an adapter of ours.

They save the whole base model with an extra query projection in every layer, a small JSON with the knowledge options,
and beside it `encoder.pt` with the two projections from embeddings to the keys and values of all knowledge layers.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig, PreTrainedModel

from kblam.errors import ModelError
from kblam.models.adapter import Adapter, AdapterConfig

__all__ = ["load_original"]

_OPTIONS_FILE = "kb_config_explicit.json"
_ENCODER_FILE = "encoder.pt"
_QUERY_NAMES = ("q_proj_new", "q_proj_kg")
_KEY_NAMES = ("projector_k", "key_projector")
_VALUE_NAMES = ("projector_v", "value_projector")
_ENCODERS = {1536: "text-embedding-ada-002", 384: "all-MiniLM-L6-v2"}
"""The files do not say which encoder they were trained with; these two widths are the original's only choices."""


def load_original(
    base: str | Path | PreTrainedModel,
    checkpoint_dir: str | Path,
    encoder_dir: str | Path,
    encoder: str | None = None,
) -> Adapter:
    """Read a trained checkpoint of the original as an adapter that attends to all rows in all its layers.

    `base` is the base model, or the folder or hub id of its configuration; `encoder` names the sentence encoder where
    its width does not tell. Only the adapter's tensors are read. Raises ModelError for missing, damaged or unfitting
    files.
    """
    checkpoint_dir, encoder_path = Path(checkpoint_dir), Path(encoder_dir) / _ENCODER_FILE
    shape: Any = base.config if isinstance(base, PreTrainedModel) else _base_config(base)
    options = _read_json(checkpoint_dir / _OPTIONS_FILE)
    projections = _load_pickled(encoder_path)
    key = _linear(projections, _KEY_NAMES, encoder_path)
    value = _linear(projections, _VALUE_NAMES, encoder_path)
    queries = _query_weights(checkpoint_dir)
    base_name = str(shape._name_or_path or base) if isinstance(base, PreTrainedModel) else str(base)
    config = _config(shape, options, key[0], encoder, base_name, checkpoint_dir)
    outputs = config.heads * config.head_dim
    used = len(config.knowledge_layers) * outputs
    missing = [layer for layer in config.knowledge_layers if layer not in queries]
    if missing:
        raise ModelError(
            f"{checkpoint_dir} has no {' or '.join(_QUERY_NAMES)} in layers {missing}; it is not of this base model."
        )
    tensors = {
        "key_weight": key[0],
        "key_bias": key[1],
        "value_weight": value[0][:used],
        "value_bias": value[1][:used],
        "query_weight": torch.stack([queries[layer] for layer in config.knowledge_layers]),
    }
    adapter = Adapter(config, {"source": str(checkpoint_dir), "encoder_source": str(encoder_path), "options": options})
    for name, parameter in adapter.named_parameters():
        if parameter.shape != tensors[name].shape:
            raise ModelError(
                f"{checkpoint_dir} and {encoder_path} give {name} the shape {tuple(tensors[name].shape)} where the "
                f"base model needs {tuple(parameter.shape)}; they belong to another model."
            )
    adapter.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return adapter.requires_grad_(False).eval()


def _config(
    shape: Any, options: Mapping[str, Any], key_weight: Tensor, encoder: str | None, base: str, checkpoint_dir: Path
) -> AdapterConfig:
    path = checkpoint_dir / _OPTIONS_FILE
    if not options.get("sep_query_head", True):
        raise ModelError(
            f"{path} has sep_query_head false: rotated queries on knowledge, which kblam does not reproduce."
        )
    frequency = options.get("kb_layer_frequency")
    if not isinstance(frequency, int) or frequency < 1:
        raise ModelError(f"{path}: kb_layer_frequency must be a positive integer, not {frequency!r}.")
    width = key_weight.shape[1]
    encoder = encoder or _ENCODERS.get(width)
    if encoder is None:
        raise ModelError(f"{checkpoint_dir} was trained on embeddings of width {width}; name their encoder.")
    heads = shape.num_attention_heads
    head_dim = getattr(shape, "head_dim", None) or shape.hidden_size // heads
    return AdapterConfig(
        encoder=encoder,
        encoder_width=width,
        base_model=base,
        knowledge_layers=tuple(range(0, shape.num_hidden_layers, frequency)),
        heads=heads,
        head_dim=head_dim,
        value_head_dim=head_dim,
        hidden_size=shape.hidden_size,
        length_scale=options.get("kb_scale_factor"),
        question_prior=False,
        null_row=False,
        # The layer norm runs over all blocks of the file, also over one that no layer uses.
        key_blocks=key_weight.shape[0] // (heads * head_dim),
    )


def _base_config(base: str | Path) -> Any:
    try:
        return AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise ModelError(f"The base model {base} has no configuration that transformers can read ({error}).") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; give the folder that the original's trainer wrote.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error}); copy it again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} must hold one JSON object.")
    return content


def _load_pickled(path: Path) -> dict[str, Tensor]:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; give the folder that the original's trainer wrote.") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{path} is damaged or holds more than tensors ({reason}); copy it again.") from error
    if not isinstance(tensors, dict):
        raise ModelError(f"{path} must hold a dictionary of tensors.")
    return tensors


def _linear(tensors: Mapping[str, Tensor], names: tuple[str, ...], path: Path) -> tuple[Tensor, Tensor]:
    for name in names:
        if f"{name}.weight" in tensors:
            weight = tensors[f"{name}.weight"]
            bias = tensors.get(f"{name}.bias")
            return weight, torch.zeros(weight.shape[0]) if bias is None else bias
    raise ModelError(f"{path} has no linear {' or '.join(names)}; only linear projections can be read.")


def _query_weights(directory: Path) -> dict[int, Tensor]:
    """The extra query projections by layer, from one file or from the shards that hold them."""
    weights: dict[int, Tensor] = {}
    for path in _weight_files(directory):
        for name, tensor in _matching(path).items():
            weights[_layer_of(name)] = tensor
    return weights


def _weight_files(directory: Path) -> list[Path]:
    for stem in ("model.safetensors", "pytorch_model.bin"):
        index = directory / f"{stem}.index.json"
        if index.exists():
            names = _read_json(index).get("weight_map", {})
            return [directory / file for file in sorted({file for name, file in names.items() if _is_query(name)})]
        if (directory / stem).exists():
            return [directory / stem]
    raise ModelError(
        f"{directory} has neither model.safetensors nor pytorch_model.bin; give the trainer's checkpoint folder."
    )


def _matching(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return {name: tensor for name, tensor in _load_pickled(path).items() if _is_query(name)}
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys() if _is_query(name)}  # noqa: SIM118
    except FileNotFoundError:
        raise ModelError(f"{path} is missing though the index beside it names it; copy the whole folder.") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or cut short ({error}); copy it again.") from error


def _is_query(name: str) -> bool:
    return any(name.endswith(f".{query}.weight") for query in _QUERY_NAMES)


def _layer_of(name: str) -> int:
    return int(name.split(".layers.")[1].split(".")[0])
