"""Files into a store and out of it: all of a file or nothing, with a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kblam.errors import KnowledgeError
from kblam.knowledge.base import Change, KnowledgeBase
from kblam.knowledge.documents import DOCUMENT_SUFFIXES, facts_of_document
from kblam.knowledge.embeddings import save_embeddings
from kblam.knowledge.files import (
    FACT_SUFFIXES,
    Rejection,
    read_what_is_usable,
    rows_that_stay,
    write_triples,
)
from kblam.knowledge.pairs import find_pair
from kblam.knowledge.triples import Triple

if TYPE_CHECKING:
    from kblam.knowledge.store.store import StoredKnowledge

__all__ = ["ImportReport", "export_file", "import_file"]


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or would do."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    rejected: tuple[Rejection, ...] = ()
    """Rows that cannot be used; of a file with any, nothing was imported. A document's are only left out."""
    version: int | None = None
    """The version that holds the facts; None when nothing was imported."""


def import_file(
    store: StoredKnowledge,
    path: str | Path,
    dry_run: bool = False,
    llm: str | None = None,
    endpoint_url: str | None = None,
    progress: bool = False,
) -> ImportReport:
    """Import a file in one change; see StoredKnowledge.import_file."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in DOCUMENT_SUFFIXES:
        if llm is None:
            raise KnowledgeError(f"{path} is a text, in which a language model must find facts: name one with --llm")
        facts, rejected = facts_of_document(path, llm, endpoint_url, progress)
        return _import_texts(store, path, facts, rejected, dry_run, progress)
    if suffix in FACT_SUFFIXES and not (path.is_file() and find_pair(path, store.encoder_name)):
        facts, rejected = read_what_is_usable(path)
        if rejected:
            return ImportReport(rejected=tuple(rejected))
        return _import_texts(store, path, facts, [], dry_run, progress)
    other = KnowledgeBase.from_file(path)
    store.check_encoder(other)
    change = store.try_out(other.triples) if dry_run else store.merge(other, "import", path.name, progress)
    return _report(store, change, [], dry_run)


def _import_texts(
    store: StoredKnowledge,
    path: Path,
    facts: Sequence[Triple],
    rejected: Sequence[Rejection],
    dry_run: bool,
    progress: bool,
) -> ImportReport:
    kept = [facts[row] for row in rows_that_stay(facts, str(path))]
    change = store.try_out(kept) if dry_run else store.put("import", kept, path.name, progress=progress)
    return _report(store, change, rejected, dry_run)


def _report(store: StoredKnowledge, change: Change, rejected: Sequence[Rejection], dry_run: bool) -> ImportReport:
    version = None if dry_run else store.version
    return ImportReport(change.added, change.replaced, change.unchanged, tuple(rejected), version)


def export_file(store: StoredKnowledge, path: str | Path, version: int | None = None) -> int:
    """Write the facts of a version, whole or not at all, and return how many; .npy holds their vectors too."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        snapshot = store.snapshot() if version is None else store.at(version)
        save_embeddings(path, KnowledgeBase(snapshot))
        return len(snapshot.triples)
    facts = store.page() if version is None else store.facts_as_of(version)
    write_triples(path, facts)
    return len(facts)
