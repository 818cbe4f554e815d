"""Put knowledge into a model directory: --model NAME --kb embeddings.npy --output enhanced_model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    # Run as a file, Python looks for modules in this folder first, where they would hide packages of the same names.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from kblam.doors import run_door
from kblam.errors import EncoderError
from kblam.knowledge import DEFAULT_ENCODER, Change, KnowledgeBase
from kblam.knowledge.aside import check_replaceable
from kblam.knowledge.files import FACT_SUFFIXES
from kblam.knowledge.store.database import is_store
from kblam.models.pretrained import DESCRIPTION, Enhancement, read_enhancement, save_enhanced
from kblam.models.shipped import DEFAULT_MODEL

__all__ = ["combine", "integrate", "main"]

EXAMPLE = """example:
  kblam integrate --model default --kb embeddings.npy --output enhanced_model
  kblam integrate --model enhanced_model --kb new_embeddings.npy --output updated_model"""


def integrate(model: str, kb: str | Path, output: str | Path) -> Change:
    """Write a model directory whose knowledge is the model's own and the file's, without loading base weights.

    model: `default`, a directory that this function wrote, a Hugging Face model directory or hub name.
    kb: facts (.json, .jsonl, .csv, .parquet), their vectors (.npy, a directory), or a store, whose history a model
    without knowledge takes over; for a fact that both have, the file's counts.
    Raises ModelError, KnowledgeError, EncoderError or InputError before anything is written.
    """
    output = Path(output)
    check_replaceable(output.absolute(), mark=DESCRIPTION)
    enhancement = read_enhancement(model)
    new = _facts_for(enhancement, kb)
    known = enhancement.knowledge
    provenance = {"command": "kblam integrate", "model": model, "kb": str(kb)}
    if known is None:
        save_enhanced(output, enhancement.base_model, enhancement.adapter, new, provenance)
        return Change(added=len(new))
    return save_enhanced(output, enhancement.base_model, enhancement.adapter, known, provenance, new)


def combine(enhancement: Enhancement, kb: str | Path) -> tuple[KnowledgeBase, Change]:
    """Return the model's knowledge with the file's facts in it, in memory, and what that changed.

    For a model without knowledge of its own, a store is returned as it is, with its history.

    Raises EncoderError when the file's vectors are not by the encoder that the model reads.
    """
    new = _facts_for(enhancement, kb)
    if enhancement.knowledge is None:
        return new, Change(added=len(new))
    known = enhancement.knowledge.in_memory()
    return known, known.merge(new)


def _facts_for(enhancement: Enhancement, kb: str | Path) -> KnowledgeBase:
    wanted = _encoder_name(enhancement)
    new: KnowledgeBase
    if is_store(Path(kb)):
        new = KnowledgeBase.open(kb)
    else:
        texts = Path(kb).suffix.lower() in FACT_SUFFIXES
        new = KnowledgeBase.from_file(kb, encoder=(wanted or DEFAULT_ENCODER) if texts else None, progress=True)
    if wanted is not None and new.encoder_name != wanted:
        made_by = new.encoder_name or "an encoder that it does not name"
        raise EncoderError(
            f"{kb} was made with {made_by} but the model reads vectors of {wanted}: embed the facts with that encoder"
        )
    return new


def _encoder_name(enhancement: Enhancement) -> str | None:
    if enhancement.adapter is not None:
        return enhancement.adapter.config.encoder
    return None if enhancement.knowledge is None else enhancement.knowledge.encoder_name


def main(arguments: Sequence[str] | None = None) -> None:
    """Integrate as the command line says, and print one line."""
    parser = argparse.ArgumentParser(
        prog="kblam integrate",
        description="Put a file of knowledge into a model directory; what the model knew stays.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME",
        help="default or default-large (which ship), a directory that integrate wrote, or a Hugging Face folder or hub name",
    )
    parser.add_argument(
        "--kb", required=True, metavar="FILE", help="vectors (.npy or a directory) or facts (.json, .jsonl, .csv)"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="the model directory to write")
    options = parser.parse_args(arguments)
    change = integrate(options.model, options.kb, options.output)
    facts = "1 fact" if change.added == 1 else f"{change.added:,} facts"
    print(f"{facts} added, {change.replaced:,} replaced, {change.unchanged:,} unchanged -> {options.output}")


if __name__ == "__main__":
    raise SystemExit(run_door(main))
