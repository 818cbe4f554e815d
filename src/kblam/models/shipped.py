"""The models that ship: one base with one adapter, whose questions the default encoder reads, or a larger one as well."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kblam.errors import ModelError
from kblam.knowledge.aside import replace_file
from kblam.models.adapter import CROSS_FILE, MEANING_FILE, Adapter
from kblam.models.refusal import for_all_ways
from kblam.models.tensor_files import read_cross_weights, read_updates, save_cross_weights, save_updates

__all__ = [
    "DEFAULT_MODEL",
    "LARGE_MODEL",
    "SHIPPED",
    "SHIPPED_MODELS",
    "default_hashes",
    "save_larger_reading",
    "shipped_adapter",
]

DEFAULT_MODEL = "default"
"""The name of the model that ships with the package."""
LARGE_MODEL = "default-large"
"""The same model with a larger encoder to compare what questions and facts mean; knowledge bases fit both."""
SHIPPED_MODELS = (DEFAULT_MODEL, LARGE_MODEL)
SHIPPED = Path(__file__).parent.parent / "default"
_CALIBRATED = ("name_bonus", "refusal_weight", "refusal_bias")
"""What depends on the encoders that compare meanings."""
_ABOUT = "reading.json"


def shipped_adapter(name: str = DEFAULT_MODEL) -> Adapter:
    """The adapter of a shipped model; how it reads a question serves models without an adapter too."""
    adapter = Adapter.load(SHIPPED / "adapter")
    if name != LARGE_MODEL:
        return adapter
    folder = SHIPPED / "large"
    try:
        about: dict[str, Any] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        adapter.config = replace(adapter.config, meaning_encoder=str(about["meaning_encoder"]))
        adapter.take_cross_encoder(str(about["cross_encoder"]), read_cross_weights(folder / CROSS_FILE))
        for tensor in _CALIBRATED:
            found, known = torch.tensor(about[tensor]), getattr(adapter, tensor)
            known.copy_(for_all_ways(found, known.dim()) if tensor.startswith("refusal") else found)
        adapter.provenance = {**adapter.provenance, **about["provenance"]}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{folder / _ABOUT} cannot be used ({error}): install kblam again") from error
    adapter.meaning_updates = read_updates(folder / MEANING_FILE, needed=True)
    return adapter


def save_larger_reading(adapter: Adapter, provenance: dict[str, Any], folder: Path = SHIPPED / "large") -> None:
    """Write what an adapter with larger encoders has beyond the shipped one."""
    folder.mkdir(parents=True, exist_ok=True)
    save_updates(folder / MEANING_FILE, adapter.meaning_updates)
    save_cross_weights(folder / CROSS_FILE, adapter.cross_weights)
    numbers = {tensor: getattr(adapter, tensor).tolist() for tensor in _CALIBRATED}
    encoders = {"meaning_encoder": adapter.config.meaning_encoder, "cross_encoder": adapter.config.cross_encoder}
    about = {**encoders, **numbers, "provenance": provenance}
    with replace_file(folder / _ABOUT) as aside:
        aside.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def default_hashes() -> dict[str, tuple[str, str]]:
    """Each shipped weight file's expected and actual SHA-256, the larger reading's numbers among them."""
    expected: dict[str, str] = json.loads((SHIPPED / "sha256.json").read_text(encoding="utf-8"))
    return {
        name: (known, hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest()) for name, known in expected.items()
    }
