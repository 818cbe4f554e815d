"""Models on disk: those that ship, a hub name or folder, and directories that `integrate` writes.

enhanced_model/
    kblam.json            format, version, base model, provenance
    adapter.json          the adapter's config            } absent for a model that has no trained adapter
    *.safetensors         its weights, updates of encoders}
    knowledge/            a store of facts, with its history (see kblam.knowledge.store)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from kblam.errors import ModelError
from kblam.knowledge import Change, KnowledgeBase
from kblam.knowledge.aside import replace_directory
from kblam.knowledge.sentence_model import encoder_folder
from kblam.knowledge.store.store import StoredKnowledge, write_store
from kblam.models.adapter import Adapter
from kblam.models.quantised import QUANTISED, keep_gradients, quantisation
from kblam.models.shipped import DEFAULT_MODEL, LARGE_MODEL, SHIPPED, SHIPPED_MODELS, shipped_adapter
from kblam.version import __version__

__all__ = [
    "DESCRIPTION",
    "PRECISIONS",
    "Enhancement",
    "Pretrained",
    "find_encoders",
    "is_enhanced",
    "load_pretrained",
    "read_enhancement",
    "save_enhanced",
]

PRECISIONS = ("auto", "bfloat16", "float32", *QUANTISED)
"""Of a base model's weights; auto is as they are stored, and float32 for the shipped one."""
FORMAT_VERSION = 1
DESCRIPTION = "kblam.json"


@dataclass
class Pretrained:
    """A model as it was found."""

    base_model: str
    """`default`, a hub name, or a folder."""
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    """None for a folder without one: such a model computes but cannot be asked."""
    adapter: Adapter | None
    knowledge: KnowledgeBase | None

    @property
    def name(self) -> str:
        """What answers say they are from: the base model, or the shipped model with the larger reading."""
        large = self.adapter is not None and self.adapter.config.meaning_encoder is not None
        return LARGE_MODEL if large and self.base_model == DEFAULT_MODEL else self.base_model


@dataclass(frozen=True)
class Enhancement:
    """What stands beside a base model's weights."""

    base_model: str
    """`default`, a hub name, or the absolute path of a folder."""
    adapter: Adapter | None
    knowledge: StoredKnowledge | None


def is_enhanced(reference: str) -> bool:
    """True for a directory that `save_enhanced` wrote."""
    return (Path(reference) / DESCRIPTION).is_file()


def load_pretrained(reference: str = DEFAULT_MODEL, precision: str = "auto") -> Pretrained:
    """Load `default`, `default-large`, an enhanced model directory, a Hugging Face model directory, or a model from the hub.

    precision: one of PRECISIONS, of the base. Raises ModelError when it is none of these, damaged, or of a newer format,
    EncoderError when an encoder that it reads questions with is missing.
    """
    if reference in SHIPPED_MODELS:
        adapter = shipped_adapter(reference)
        find_encoders(adapter)
        base, tokenizer = _load_base(DEFAULT_MODEL, precision)
        return Pretrained(DEFAULT_MODEL, base, tokenizer, adapter, None)
    path = Path(reference)
    if not is_enhanced(reference):
        _check_model_folder(path)
        base, tokenizer = _load_base(reference, precision)
        return Pretrained(reference, base, tokenizer, None, None)
    about = _read_description(path / DESCRIPTION)
    own = Adapter.load(path) if about["adapter"] else None
    find_encoders(own)
    base, tokenizer = _load_base(about["base_model"], precision)
    return Pretrained(about["base_model"], base, tokenizer, own, KnowledgeBase.open(path / "knowledge"))


def read_enhancement(reference: str = DEFAULT_MODEL) -> Enhancement:
    """Read what load_pretrained would, but for the base model's weights; of a plain model, check that it can be found.

    Raises ModelError as load_pretrained does.
    """
    if reference in SHIPPED_MODELS:
        return Enhancement(DEFAULT_MODEL, shipped_adapter(reference), None)
    path = Path(reference)
    if is_enhanced(reference):
        about = _read_description(path / DESCRIPTION)
        adapter = Adapter.load(path) if about["adapter"] else None
        return Enhancement(about["base_model"], adapter, KnowledgeBase.open(path / "knowledge"))
    _check_model_folder(path)
    local = path.is_dir()
    try:
        AutoConfig.from_pretrained(reference, local_files_only=local or None)
        AutoTokenizer.from_pretrained(reference, local_files_only=local or None)
    except Exception as error:  # transformers and the hub raise many kinds
        raise ModelError(_why_not(reference, local, error)) from error
    return Enhancement(str(path.resolve()) if local else reference, None, None)


def find_encoders(adapter: Adapter | None) -> None:
    """Raise EncoderError now, not at the first question, if an encoder that an adapter compares meanings with is missing."""
    if adapter is not None:
        for name in (adapter.config.meaning_encoder, adapter.config.cross_encoder, adapter.config.fact_encoder):
            if name is not None:
                encoder_folder(name)


def _check_model_folder(path: Path) -> None:
    if path.is_dir() and not (path / "config.json").is_file():
        raise ModelError(
            f"{path} holds neither {DESCRIPTION} nor config.json; name a folder that `kblam integrate` or save_pretrained wrote."
        )


def save_enhanced(
    directory: str | Path,
    base_model: str,
    adapter: Adapter | None,
    knowledge: KnowledgeBase,
    provenance: dict[str, Any],
    more: KnowledgeBase | None = None,
) -> Change:
    """Write an enhanced model, whole or not at all; one that was there is replaced.

    Its knowledge is a store: a copy of `knowledge` (of a store, with its history) that took over the facts of `more`.
    Returns what `more` changed, which is recorded with the provenance.
    Raises InputError where nothing can be written, or where somebody else's files are.
    """
    with replace_directory(directory, mark=DESCRIPTION) as aside:
        if adapter is not None:
            adapter.save(aside)
        with write_store(knowledge, aside / "knowledge") as store:
            change = Change() if more is None else store.merge(more, "integrate")
            facts = len(store)
        if isinstance(knowledge, StoredKnowledge):
            knowledge.close()  # Windows replaces no directory in which a file is open
        about = {
            "format": "kblam-model", "format_version": FORMAT_VERSION, "kblam_version": __version__, "base_model": base_model,
            "adapter": adapter is not None, "encoder": knowledge.encoder_name, "facts": facts,
            "provenance": {**provenance, **vars(change)},
        }  # fmt: skip
        (aside / DESCRIPTION).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return change


def _read_description(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read as JSON ({error}); restore it or run `kblam integrate` again."
        ) from error
    if (
        not isinstance(about, dict)
        or about.get("format") != "kblam-model"
        or not isinstance(about.get("base_model"), str)
    ):
        raise ModelError(f"{path} does not describe a kblam model; run `kblam integrate` again.")
    if about.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format_version {about.get('format_version')!r}, this kblam reads {FORMAT_VERSION}; update kblam."
        )
    return {"adapter": False, **about}


def _load_base(reference: str, precision: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase | None]:
    local = reference == DEFAULT_MODEL or Path(reference).is_dir()
    where = SHIPPED / "base" if reference == DEFAULT_MODEL else reference
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # The shipped model is small and quickest in float32; others run as they were saved.
    dtype: Any = torch.float32 if reference == DEFAULT_MODEL else "auto"
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": local or None}
    if precision in QUANTISED:
        options |= {"quantization_config": quantisation(precision), "device_map": {"": device}}
    elif precision != "auto":
        options["dtype"] = getattr(torch, precision)
    try:
        words = not local or any(Path(where).glob("*token*")) or any(Path(where).glob("vocab*"))
        tokenizer = AutoTokenizer.from_pretrained(where, local_files_only=local or None) if words else None
        with _without_bar() if reference == DEFAULT_MODEL else nullcontext():
            base = AutoModelForCausalLM.from_pretrained(where, **options)
    except Exception as error:  # transformers, the hub and safetensors raise many kinds
        raise ModelError(_why_not(reference, local, error)) from error
    if precision in QUANTISED:
        keep_gradients(base)
    else:
        base = base.to(device)  # type: ignore[arg-type]
    if tokenizer is not None and tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return base.requires_grad_(False).eval(), tokenizer  # type: ignore[no-untyped-call]


@contextmanager
def _without_bar() -> Iterator[None]:
    """Hide transformers' progress bar, which only flickers for a model that loads at once."""
    bar: Any = logging  # whose functions have no types
    shown = bar.is_progress_bar_enabled()
    bar.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bar.enable_progress_bar()


def _why_not(reference: str, local: bool, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300].rstrip(".")
    if local:
        return f"The model in {reference} cannot be loaded ({reason}); check that the folder is complete."
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
    return (
        f"The model {reference} is no folder here and could not be loaded from the Hugging Face hub{offline} ({reason}); check the name, "
        "the network and, for a gated model, `hf auth login`, or use --model default."
    )
