"""The tensor files of an adapter, read so that what is wrong with one is said in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from kblam.errors import ModelError
from kblam.knowledge.cross_encoder import CrossWeights
from kblam.knowledge.sentence_model import Updates

__all__ = [
    "named_updates",
    "named_weights",
    "read_cross_weights",
    "read_tensors",
    "read_updates",
    "save_cross_weights",
    "save_updates",
    "write_tensors",
]

PARTS = ("down", "up")
HEAD, BIAS = "head", "bias"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; raises ModelError when it is missing or damaged."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ModelError(
            f"{path} is missing; an adapter is a folder with adapter.json and all its .safetensors files."
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged or cut short ({error}); copy it again.") from error


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file that may be read by whoever may read files of this folder; the library's own function
    makes one for its owner alone."""
    path.write_bytes(save(tensors))


def save_updates(path: Path, updates: Updates) -> None:
    """Write the updates, aside first and then in one move; a file of earlier ones goes when there are none."""
    if updates:
        _save(path, named_updates(updates))
    else:
        path.unlink(missing_ok=True)


def read_updates(path: Path, needed: bool = False) -> Updates:
    """Read what `save_updates` wrote; no updates where there is no file, unless it is needed."""
    if not needed and not path.exists():
        return {}
    return _pairs(path, _read(path))


def save_cross_weights(path: Path, weights: CrossWeights | None) -> None:
    """Write what makes a cross-encoder, as `save_updates` writes updates."""
    if weights is None:
        path.unlink(missing_ok=True)
    else:
        _save(path, named_weights(weights))


def read_cross_weights(path: Path) -> CrossWeights:
    """Read what `save_cross_weights` wrote."""
    tensors = _read(path)
    if not {HEAD, BIAS} <= tensors.keys():
        raise ModelError(f"{path} holds no {HEAD} and {BIAS} of a cross-encoder; save the adapter again.")
    head, bias = tensors.pop(HEAD), tensors.pop(BIAS)
    return CrossWeights(_pairs(path, tensors), head, bias)


def named_updates(updates: Updates, prefix: str = "") -> dict[str, Tensor]:
    """Their matrices by name, as in a file."""
    return {
        f"{prefix}{name}.{part}": tensor
        for name, pair in updates.items()
        for part, tensor in zip(PARTS, pair, strict=True)
    }


def named_weights(weights: CrossWeights, prefix: str = "") -> dict[str, Tensor]:
    """Likewise what makes a cross-encoder."""
    return {**named_updates(weights.updates, prefix), prefix + HEAD: weights.head, prefix + BIAS: weights.bias}


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    aside = path.with_name(f"{path.name}.part")
    write_tensors(aside, {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    aside.replace(path)


def _read(path: Path) -> dict[str, Tensor]:
    # Copies, because Windows replaces no file that is mapped into memory.
    return {name: tensor.float().clone() for name, tensor in read_tensors(path).items()}


def _pairs(path: Path, tensors: Mapping[str, Tensor]) -> Updates:
    names = [name.removesuffix(".down") for name in tensors if name.endswith(".down")]
    if {f"{name}.{part}" for name in names for part in PARTS} != tensors.keys():
        raise ModelError(f"{path} holds something else than pairs of low-rank updates; save the adapter again.")
    return {name: (tensors[f"{name}.down"], tensors[f"{name}.up"]) for name in names}
