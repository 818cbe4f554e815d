"""From a file of facts to a file of vectors: the command `embed`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kblam.errors import InputError
from kblam.knowledge.aside import check_replaceable
from kblam.knowledge.base import KnowledgeBase
from kblam.knowledge.embeddings import ABOUT, check_no_store, check_record_size
from kblam.knowledge.encoders import DEFAULT_ENCODER, Encoder, known_width, load_encoder
from kblam.knowledge.files import read_triples

__all__ = ["EmbedReport", "embed_file", "main"]

_log = logging.getLogger("kblam")


@dataclass(frozen=True)
class EmbedReport:
    """What embed_file did; as text, one line."""

    output: Path
    encoder: str
    width: int
    encoded: int
    reused: int

    def __str__(self) -> str:
        rows = self.encoded + self.reused
        facts = "1 fact" if rows == 1 else f"{rows:,} facts"
        what = f"{facts}, {self.width}-d, {self.encoder}"
        return f"{what} -> {self.output} ({self.encoded:,} encoded, {self.reused:,} reused)"


def embed_file(
    input: str | Path,
    output: str | Path,
    encoder: str | Encoder = DEFAULT_ENCODER,
    reuse: bool = True,
    progress: bool = False,
) -> EmbedReport:
    """Encode a .json, .jsonl or .csv file of facts into `output`, which then holds those facts and no others.

    output: a name that ends in .npy becomes one file, any other a directory; both whole or not at all.
    reuse: take the vectors of facts that an output of the same encoder already holds; another encoder's is replaced.
    Raises KnowledgeError, EncoderError or InputError before anything is written.
    """
    output = Path(output)
    single = output.suffix.lower() == ".npy"
    check_no_store(output)
    check_replaceable(output.absolute(), mark=None if single else ABOUT)
    triples = read_triples(input)
    chosen = load_encoder(encoder) if isinstance(encoder, str) else encoder
    if single:  # found out now, not after hours of encoding
        check_record_size(output, len(triples), known_width(chosen.name) or 1)
    known = _existing(output, chosen.name) if reuse else None
    reused = sum(_holds(known, triple.identity, triple.value) for triple in triples) if known is not None else 0
    base = KnowledgeBase.from_triples(triples, chosen, progress, known)
    base.save(output)
    return EmbedReport(output, chosen.name, base.width, len(triples) - reused, reused)


def _existing(output: Path, encoder: str) -> KnowledgeBase | None:
    """Return what is at the output if its vectors can be used again."""
    if not output.exists() or (output.is_dir() and not (output / ABOUT).exists()):
        return None
    try:
        base = KnowledgeBase.from_file(output)
    except InputError as error:
        _log.warning(f"nothing is reused, for {error}")
        return None
    return base if base.encoder_name == encoder and base.has_texts else None


def _holds(base: KnowledgeBase, identity: tuple[str, str], value: str) -> bool:
    triple = base.get(*identity)
    return triple is not None and triple.value == value


def main(arguments: Sequence[str] | None = None) -> None:
    """Encode a file of facts, as the command line says, and print one line."""
    parser = argparse.ArgumentParser(
        prog="kblam embed",
        description="Turn a file of facts into key and value vectors.",
        epilog="example: kblam embed --input knowledge.json --output embeddings.npy",
    )
    parser.add_argument("--input", required=True, metavar="FILE", help="facts: .json, .jsonl or .csv")
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="what to write: NAME.npy, or a directory by any other name"
    )
    parser.add_argument(
        "--encoder",
        "--encoder_spec",
        default=DEFAULT_ENCODER,
        metavar="NAME",
        help="all-MiniLM-L6-v2 (default), a sentence-transformers model by folder or hub name, text-embedding-ada-002 "
        "(OAI), text-embedding-3-small, text-embedding-3-large (BigOAI)",
    )
    parser.add_argument("--endpoint_url", metavar="URL", help="an OpenAI-compatible or Azure OpenAI endpoint to ask")
    parser.add_argument("--deployment", metavar="NAME", help="what the Azure resource calls the model")
    options = parser.parse_args(arguments)
    encoder = load_encoder(options.encoder, endpoint_url=options.endpoint_url, deployment=options.deployment)
    print(embed_file(options.input, options.output, encoder, progress=True))
