"""The tensor files of an adapter, read so that what is wrong with one is said in a sentence."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from kblam.errors import ModelError
from kblam.knowledge.sentence_model import Updates

__all__ = ["read_tensors", "read_updates", "save_updates", "write_tensors"]


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
    if not updates:
        path.unlink(missing_ok=True)
        return
    tensors = {
        f"{name}.{part}": tensor.detach().cpu().contiguous()
        for name, pair in updates.items()
        for part, tensor in zip(("down", "up"), pair, strict=True)
    }
    aside = path.with_name(f"{path.name}.part")
    write_tensors(aside, tensors)
    aside.replace(path)


def read_updates(path: Path, needed: bool = False) -> Updates:
    """Read what `save_updates` wrote; no updates where there is no file, unless it is needed."""
    if not needed and not path.exists():
        return {}
    # Copies, because Windows replaces no file that is mapped into memory.
    tensors = {name: tensor.float().clone() for name, tensor in read_tensors(path).items()}
    names = [name.removesuffix(".down") for name in tensors if name.endswith(".down")]
    if {f"{name}.{part}" for name in names for part in ("down", "up")} != tensors.keys():
        raise ModelError(f"{path} holds something else than pairs of low-rank updates; save the adapter again.")
    return {name: (tensors[f"{name}.down"], tensors[f"{name}.up"]) for name in names}
