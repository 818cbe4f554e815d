"""Models on disk: the one that ships, a hub name or folder, and directories that `integrate` writes.

    enhanced_model/
        kblam.json            format, version, base model, provenance
        adapter.json          the adapter's config            } absent for a model that has no trained adapter
        adapter.safetensors   the adapter's weights           }
        knowledge/            triples.jsonl, keys.npy, values.npy, about.json
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from kblam.errors import ModelError
from kblam.knowledge import KnowledgeBase
from kblam.models.adapter import Adapter
from kblam.version import __version__

__all__ = ["DEFAULT_MODEL", "Pretrained", "default_adapter", "default_hashes", "is_enhanced", "load_pretrained", "save_enhanced"]

DEFAULT_MODEL = "default"
"""The name of the model that ships with the package."""
FORMAT_VERSION = 1
DESCRIPTION = "kblam.json"
SHIPPED = Path(__file__).parent.parent / "default"


@dataclass
class Pretrained:
    """A model as it was found."""

    base_model: str
    """`default`, a hub name, or a folder."""
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    adapter: Adapter | None
    knowledge: KnowledgeBase | None


def is_enhanced(reference: str) -> bool:
    """True for a directory that `save_enhanced` wrote."""
    return (Path(reference) / DESCRIPTION).is_file()


def load_pretrained(reference: str = DEFAULT_MODEL) -> Pretrained:
    """Load `default`, an enhanced model directory, a Hugging Face model directory, or a model from the hub.

    Raises ModelError when it is none of these, damaged, or of a newer format.
    """
    if reference == DEFAULT_MODEL:
        base, tokenizer = _load_base(reference)
        return Pretrained(reference, base, tokenizer, default_adapter(), None)
    path = Path(reference)
    if not is_enhanced(reference):
        if path.is_dir() and not (path / "config.json").is_file():
            raise ModelError(f"{path} holds neither {DESCRIPTION} nor config.json; name a folder that `kblam integrate` or save_pretrained wrote.")
        base, tokenizer = _load_base(reference)
        return Pretrained(reference, base, tokenizer, None, None)
    about = _read_description(path / DESCRIPTION)
    base, tokenizer = _load_base(about["base_model"])
    adapter = Adapter.load(path) if about["adapter"] else None
    return Pretrained(about["base_model"], base, tokenizer, adapter, KnowledgeBase.from_file(path / "knowledge"))


def default_adapter() -> Adapter:
    """The adapter of the shipped model; how it reads a question serves models without an adapter too."""
    return Adapter.load(SHIPPED / "adapter")


def default_hashes() -> dict[str, tuple[str, str]]:
    """Each shipped weight file's expected and actual SHA-256."""
    expected: dict[str, str] = json.loads((SHIPPED / "sha256.json").read_text(encoding="utf-8"))
    return {name: (known, hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest()) for name, known in expected.items()}


def save_enhanced(directory: str | Path, base_model: str, adapter: Adapter | None, knowledge: KnowledgeBase, provenance: dict[str, Any]) -> None:
    """Write an enhanced model: aside first, then in the place of what was there."""
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or (any(directory.iterdir()) and not is_enhanced(str(directory)))):
        raise ModelError(f"{directory} exists and is not a model that kblam wrote; choose another --output.")
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = directory.with_name(f"{directory.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        aside.mkdir()
        if adapter is not None:
            adapter.save(aside)
        knowledge.save(aside / "knowledge")
        about = {
            "format": "kblam-model", "format_version": FORMAT_VERSION, "kblam_version": __version__, "base_model": base_model,
            "adapter": adapter is not None, "encoder": knowledge.encoder_name, "facts": len(knowledge), "provenance": provenance,
        }  # fmt: skip
        (aside / DESCRIPTION).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        _replace(aside, directory)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(aside: Path, directory: Path) -> None:
    old = directory.with_name(f"{aside.name}.old")
    if directory.exists():
        directory.replace(old)
    try:
        aside.replace(directory)
    except OSError:
        if old.exists():
            old.replace(directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error}); restore it or run `kblam integrate` again.") from error
    if not isinstance(about, dict) or about.get("format") != "kblam-model" or not isinstance(about.get("base_model"), str):
        raise ModelError(f"{path} does not describe a kblam model; run `kblam integrate` again.")
    if about.get("format_version") != FORMAT_VERSION:
        raise ModelError(f"{path} has format_version {about.get('format_version')!r}, this kblam reads {FORMAT_VERSION}; update kblam.")
    return {"adapter": False, **about}


def _load_base(reference: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    local = reference == DEFAULT_MODEL or Path(reference).is_dir()
    where = SHIPPED / "base" if reference == DEFAULT_MODEL else reference
    # The shipped model is small and quickest in float32; others run as they were saved.
    dtype: Any = torch.float32 if reference == DEFAULT_MODEL else "auto"
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, local_files_only=local or None)
        base = AutoModelForCausalLM.from_pretrained(where, dtype=dtype, local_files_only=local or None)
    except Exception as error:  # transformers, the hub and safetensors raise many kinds
        raise ModelError(_why_not(reference, local, error)) from error
    if torch.cuda.is_available():
        base = base.to("cuda")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return base.eval().requires_grad_(False), tokenizer


def _why_not(reference: str, local: bool, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300].rstrip(".")
    if local:
        return f"The model in {reference} cannot be loaded ({reason}); check that the folder is complete."
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
    return (
        f"The model {reference} is no folder here and could not be loaded from the Hugging Face hub{offline} ({reason}); check the name, "
        "the network and, for a gated model, `hf auth login`, or use --model default."
    )
