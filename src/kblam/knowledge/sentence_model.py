"""A sentence-transformers model run by transformers alone: token vectors, pooled, normalised.

The library itself takes four seconds to import; the models that it saves say in modules.json what to compute, and mean
or cls pooling is a line each. The results are the same to 1e-5 (see tests/test_sentence_model.py).
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as _transformers_logging

from kblam.errors import EncoderError
from kblam.extras import pip_install
from kblam.knowledge.encoders import LARGER_ENCODER, one_line, tracked
from kblam.knowledge.packaged import packaged_folder

__all__ = ["SentenceModel", "Updates", "encoder_folder", "load_sentence_model", "multiplies_bfloat16"]

Updates = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
"""Low-rank updates (down (r, in), up (out, r)) by the name of the linear layer whose weight they are added to."""

BATCH = 64
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
_POOLINGS = ("mean", "cls")

transformers_logging: Any = _transformers_logging  # its functions carry no types

_loaded: dict[str, SentenceModel] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class SentenceModel:
    """A loaded encoder; nothing in it changes, so threads share it."""

    tokenizer: PreTrainedTokenizerBase
    network: PreTrainedModel
    pooling: str
    normalize: bool
    maximum_tokens: int
    prompt: str
    """Put in front of every text."""

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return int(self.network.config.hidden_size)

    def encode(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        """Return (n, width) float32 vectors; texts beyond the model's maximum of tokens are cut, as it was trained."""
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts, not one text")
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        # Texts of a length together: a batch is as long as its longest. The longest first, so memory runs out at once.
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        with torch.inference_mode():
            for rows in tracked(batches, progress):
                vectors[rows] = self.vectors([texts[row] for row in rows]).cpu().numpy()
        return vectors

    def tuned(self, updates: Updates, alone: bool = False) -> SentenceModel:
        """Return this encoder with low-rank updates added to its weights, which stay as they are here.

        alone: this encoder is not used again; its weights are taken, and turned to bfloat16 where the processor
        multiplies that, for a third of the time and half the memory (cosine .9999).
        Raises EncoderError for updates that were made for another network.
        """
        network = self.network if alone else copy.deepcopy(self.network)
        try:
            with torch.no_grad():
                for name, update in updates.items():
                    for changed, weight in self.updated({name: update}).items():
                        network.get_parameter(changed).copy_(weight)
        except (AttributeError, RuntimeError) as error:
            raise EncoderError(f"the low-rank updates do not fit this encoder: {one_line(error)}") from error
        if alone and multiplies_bfloat16(network.device):
            network = network.to(torch.bfloat16)  # type: ignore[arg-type]
        return replace(self, network=network)

    def updated(self, updates: Updates) -> dict[str, torch.Tensor]:
        """The weights that change, by name: W + up @ down, with the updates' gradients."""
        return {
            f"{name}.weight": weight + (up @ down).to(weight)
            for name, (down, up) in updates.items()
            for weight in [self.network.get_parameter(f"{name}.weight")]
        }

    def vectors(self, texts: Sequence[str], changed: Mapping[str, torch.Tensor] | None = None) -> torch.Tensor:
        """(n, width) for one batch, with gradients to `changed` (from `updated`) that stand in for the network's own."""
        pooled = self.pooled([self.prompt + text for text in texts], changed)
        return torch.nn.functional.normalize(pooled, dim=-1) if self.normalize else pooled

    def pooled(
        self,
        texts: Sequence[str],
        changed: Mapping[str, torch.Tensor] | None = None,
        beside: Sequence[str] | None = None,
    ) -> torch.Tensor:
        """(n, width) float32 of any length, of each text or of the pair that it makes with the one `beside` it."""
        tokens = self.tokenizer(
            list(texts), None if beside is None else list(beside),
            padding=True, truncation=True, max_length=self.maximum_tokens, return_tensors="pt",
        ).to(self.network.device)  # fmt: skip
        if changed:
            hidden = torch.func.functional_call(self.network, dict(changed), kwargs=dict(tokens)).last_hidden_state
        else:
            hidden = self.network(**tokens).last_hidden_state
        mask: torch.Tensor = tokens["attention_mask"]
        vectors: torch.Tensor = hidden.float()
        if self.pooling == "cls":
            return vectors[torch.arange(len(vectors), device=vectors.device), mask.argmax(dim=1)]
        weights = mask.unsqueeze(-1).to(vectors.dtype)
        return (vectors * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is the quicker type there."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def load_sentence_model(name: str, keep: bool = True) -> SentenceModel:
    """Return the model of this name, read once in the life of the process; the caller's own copy if it is not to be kept.

    Raises EncoderError when it cannot be found or read, or computes something else than token vectors, mean or cls
    pooling and normalisation.
    """
    with _loading:
        if not keep or (model := _loaded.get(name)) is None:
            folder = encoder_folder(name)
            try:
                model = _read(folder, name)
            except EncoderError:
                raise
            except Exception as error:  # whatever a damaged or foreign folder makes the loaders raise
                raise EncoderError(f"the encoder in {folder} cannot be read: {one_line(error)}") from error
            if keep:
                _loaded[name] = model
        return model


def encoder_folder(name: str) -> Path:
    """Return where the model's files are, fetched from the hub if they are nowhere else."""
    if (packaged := packaged_folder(name)) is not None:
        return packaged
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        # What is in the cache needs no network; without one, asking the hub first takes over a minute to fail.
        folder = Path(snapshot_download(repository, allow_patterns=_HUB_FILES, local_files_only=True))
        if (folder / "modules.json").is_file() and any(folder.glob("**/*.safetensors")):
            return folder
    except (OSError, ValueError):
        pass
    try:
        return Path(snapshot_download(repository, allow_patterns=_HUB_FILES))
    except (OSError, ValueError) as error:
        other = f"run {pip_install('large')}" if name == LARGER_ENCODER else "correct the name"
        raise EncoderError(
            f"the encoder {name!r} is no folder here and could not be fetched from the Hugging Face hub as "
            f"{repository} ({one_line(error)}): {other}, or give the folder of a sentence-transformers model"
        ) from error


def _read(folder: Path, name: str) -> SentenceModel:
    parts = _parts(folder, name)
    weights_folder = folder / parts["Transformer"]
    settings = _json(next(weights_folder.glob("sentence_*_config.json"), None))
    with _quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(str(weights_folder))
        network = _network(weights_folder)
    if settings.get("do_lower_case"):
        _lowercase(tokenizer)
    longest = settings.get("max_seq_length")
    if longest is None:
        longest = min(tokenizer.model_max_length, getattr(network.config, "max_position_embeddings", 512))
    general = _json(folder / "config_sentence_transformers.json")
    model = SentenceModel(
        tokenizer=tokenizer,
        network=network,
        pooling=_pooling(folder / parts["Pooling"], name),
        normalize="Normalize" in parts,
        maximum_tokens=int(longest),
        prompt=(general.get("prompts") or {}).get(general.get("default_prompt_name")) or "",
    )
    model.encode(["warm"])  # sets the tokenizer's padding and truncation while no other thread is using it
    return model


def _parts(folder: Path, name: str) -> dict[str, str]:
    """Return the folder of each step of the model; raise EncoderError for steps that are not ours to compute."""
    if not (folder / "modules.json").is_file():
        raise EncoderError(f"{folder} has no modules.json: give the folder of a sentence-transformers model")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    foreign = next((kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")), None)
    if foreign is not None:
        raise EncoderError(
            f"the encoder {name} has a {foreign} step, which kblam does not compute: "
            "use one made of a Transformer, mean or cls Pooling and perhaps Normalize"
        )
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise EncoderError(f"the encoder {name} is {' + '.join(kinds)}, not Transformer + Pooling (+ Normalize)")
    return {kind: str(module["path"]) for kind, module in zip(kinds, modules, strict=True)}


def _pooling(folder: Path, name: str) -> str:
    config = _json(folder / "config.json")
    mode = config.get("pooling_mode")  # how the library writes it since version 5
    modes = [mode] if isinstance(mode, str) else list(mode or [])
    if not modes:
        prefix = "pooling_mode_"
        chosen = [key.removeprefix(prefix) for key, on in config.items() if key.startswith(prefix) and on is True]
        modes = [key.removesuffix("_token" if key == "cls_token" else "_tokens") for key in chosen] or ["mean"]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise EncoderError(f"the encoder {name} pools by {' + '.join(modes)}: use one that pools by mean or cls")
    return str(modes[0])


def _network(folder: Path) -> PreTrainedModel:
    """Return the model on the GPU if there is one, else on the CPU, in float32, without the pooler nobody reads."""
    options: dict[str, Any] = {"dtype": torch.float32, "use_safetensors": True}
    network: PreTrainedModel
    try:
        network = AutoModel.from_pretrained(str(folder), add_pooling_layer=False, **options)
    except TypeError:  # not a model of BERT's family
        network = AutoModel.from_pretrained(str(folder), **options)
    network.train(False).requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")
    return network


def _lowercase(tokenizer: PreTrainedTokenizerBase) -> None:
    from tokenizers import normalizers

    backend = tokenizer.backend_tokenizer
    first = normalizers.Lowercase()
    backend.normalizer = normalizers.Sequence([first, backend.normalizer]) if backend.normalizer else first


def _json(path: Path | None) -> dict[str, Any]:
    if path is None or not path.is_file():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")))


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep the loading bar and the report on weights that are left out off the terminal."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
