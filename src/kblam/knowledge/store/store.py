"""The knowledge base that lasts: KnowledgeBase.open(directory)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kblam.errors import EncoderError, KnowledgeError
from kblam.knowledge.base import Change, KnowledgeBase
from kblam.knowledge.encoders import DEFAULT_ENCODER, Encoder, encode_checked, load_encoder, tracked
from kblam.knowledge.files import rows_that_stay
from kblam.knowledge.snapshot import FloatArray, Snapshot
from kblam.knowledge.store import facts as reading
from kblam.knowledge.store.changes import Writer, forget_before, unknown_texts
from kblam.knowledge.store.checking import CheckReport, check_store
from kblam.knowledge.store.creation import create_store, is_old_directory, make_store, store_of_old_directory
from kblam.knowledge.store.database import FILE, PATIENCE, Database, is_store
from kblam.knowledge.store.facts import Difference, Record, Version
from kblam.knowledge.store.importing import ImportReport, export_file, import_file
from kblam.knowledge.store.view import View, allowance, rebuild_columns
from kblam.knowledge.triples import Triple

__all__ = ["StoredKnowledge", "open_store", "write_store"]

Requirement = Callable[[Writer], None]
TOGETHER = 5_000
"""Facts between two steps of a progress bar."""


def open_store(
    directory: str | Path,
    create: bool = False,
    encoder: str | Encoder | None = None,
    patience: float = PATIENCE,
) -> StoredKnowledge:
    """Open the store in a directory, or in `knowledge` inside a model directory; see KnowledgeBase.open."""
    directory = Path(directory)
    if not is_store(directory) and (directory / "knowledge").is_dir():
        directory = directory / "knowledge"
    chosen = load_encoder(encoder) if isinstance(encoder, str) else encoder
    borrowed = None
    if not is_store(directory):
        if is_old_directory(directory):
            directory, borrowed = _migrated(directory)
        elif create:
            create_store(directory, chosen or load_encoder(DEFAULT_ENCODER))
        else:
            what = "is no store" if directory.exists() else "does not exist"
            raise KnowledgeError(f"{directory} {what}: make one with `kblam kb create {directory}`")
    return StoredKnowledge(Database(directory, patience), chosen, borrowed)


def _migrated(directory: Path) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    """Put a store beside the files of an old directory, which stay as they are; elsewhere if that is read-only."""
    if os.access(directory, os.W_OK):
        store_of_old_directory(directory, directory)
        return directory, None
    borrowed = tempfile.TemporaryDirectory(prefix="kblam-")
    store_of_old_directory(directory, Path(borrowed.name))
    return Path(borrowed.name), borrowed


class StoredKnowledge(KnowledgeBase):
    """A knowledge base in a directory: each change is on the disk, whole, when its method returns, and has a version.

    Any number of processes and threads may read and write; writers wait for each other. Everything that reads sees one
    version. All methods raise KnowledgeError with one sentence when the store is damaged, full, read-only or busy.
    """

    def __init__(
        self,
        database: Database,
        encoder: Encoder | None = None,
        borrowed: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        """Prefer KnowledgeBase.open; `borrowed` is a folder that lives as long as this object."""
        self._database, self._view, self._borrowed = database, View(database), borrowed
        with database.reading() as connection:
            self._name = reading.encoder_of(connection).name
            self._texts = reading.about(connection, "texts") == "1"
        if encoder is not None and encoder.name != self._name:
            raise EncoderError(
                f"{self.directory} was made with {self._name or 'an encoder that it does not name'}, "
                f"not with {encoder.name}: leave the encoder out"
            )
        self._encoder = encoder or (load_encoder(self._name) if self._name else None)

    def __enter__(self) -> StoredKnowledge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files until they are needed again; snapshots stay usable."""
        self._database.close()

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """Where the store is."""
        return self._database.directory

    def snapshot(self) -> Snapshot:
        """Return the present version, also when another process made it; it never changes."""
        return self._view.snapshot()

    def in_memory(self) -> KnowledgeBase:
        """Return the present version as a base of its own, whose changes stay in memory."""
        return KnowledgeBase(self.snapshot(), self._encoder)

    def at(self, version: int) -> Snapshot:
        """Return a version of the past; raise KnowledgeError when there is none of this number, or no longer."""
        present = self._view.snapshot()
        return present if version == present.version else self._view.as_of(version)

    def changes_since(self, version: int) -> frozenset[int] | None:
        """Return the rows of the last snapshot() that may hold another fact or other vectors than they did in `version`.

        Rows that were added are among them, rows that are gone are not; None when the difference is not known.
        """
        return self._view.changes_since(version)

    @property
    def version(self) -> int:
        """Rises by one with each change, whoever makes it; 0 at first."""
        with self._database.reading() as connection:
            return reading.present_version(connection)

    @property
    def encoder_name(self) -> str | None:
        """What made the vectors; None when nobody said."""
        return self._name

    @property
    def width(self) -> int:
        """D, how many numbers a vector has."""
        with self._database.reading() as connection:
            return reading.encoder_of(connection).width

    @property
    def has_texts(self) -> bool:
        """False for vectors that came without their facts."""
        return self._texts

    def __len__(self) -> int:
        with self._database.reading() as connection:
            return reading.count_facts(connection)

    def __iter__(self) -> Iterator[Triple]:
        return iter(self.page())

    def __repr__(self) -> str:
        facts = f"{len(self):,} facts, {self._name or 'unknown encoder'}, version {self.version}"
        return f"KnowledgeBase({str(self.directory)!r}, {facts})"

    def get(self, entity: str, property: str) -> Triple | None:
        """Return the fact with this identity, or None."""
        with self._database.reading() as connection:
            return reading.find(connection, entity, property)

    def page(self, first: int = 0, count: int | None = None) -> list[Triple]:
        """Return facts by their rows, from row `first` on."""
        with self._database.reading() as connection:
            return reading.read_page(connection, first, count)

    def search(self, words: str, first: int = 0, count: int = 20) -> list[Triple]:
        """Return facts in whose texts every one of the words occurs, in any script and case."""
        with self._database.reading() as connection:
            return reading.search_facts(connection, words, first, count)

    def facts_as_of(self, version: int) -> list[Triple]:
        """Return the facts of a version, without their vectors."""
        with self._database.reading() as connection:
            return reading.facts_as_of(connection, version)[0]

    def history(self, entity: str, property: str | None = None) -> list[Record]:
        """Return everything that was said of an entity (or of one property of it), oldest first."""
        with self._database.reading() as connection:
            return reading.history_of(connection, entity, property)

    def versions(self, count: int = 20) -> list[Version]:
        """Return what the latest changes did, newest first."""
        with self._database.reading() as connection:
            return reading.list_versions(connection, count)

    def diff(self, old: int, new: int | None = None) -> Difference:
        """Return what changed from one version to another, the present one unless named."""
        with self._database.reading() as connection:
            present = reading.present_version(connection)
            return reading.difference(connection, old, present if new is None else new)

    # -- changing ------------------------------------------------------------------------------------------------------

    def set_many(self, triples: Iterable[Triple], progress: bool = False) -> Change:
        """Add or replace facts, in one change; what is already here as given changes nothing."""
        return self.put("set", _last_of_each(triples), progress=progress)

    def add(self, triples: Triple | Iterable[Triple]) -> Change:
        """Add facts, in one change; raise KnowledgeError, and add none, when one is already here."""
        given = [triples] if isinstance(triples, Triple) else list(triples)
        return self.put("add", _last_of_each(given), refuse_known=True)

    def put(
        self,
        action: str,
        triples: list[Triple],
        note: str | None = None,
        refuse_known: bool = False,
        progress: bool = False,
        require: Requirement | None = None,
    ) -> Change:
        """Add or replace facts, whose identities differ, under the name that the history gives the change.

        require: looks at the store just before the change, with no writer between, and raises to prevent it.
        """
        self._check_changeable()
        vectors = self._missing_vectors(triples, progress)

        def change(writer: Writer) -> None:
            if refuse_known:
                self._refuse_known(writer, triples)
            for part in tracked(_parts(len(triples)), progress, "Storing"):
                writer.put((t, vectors.get(t.key_text), vectors.get(t.value_text)) for t in triples[part])

        return self._commit(action, note, change, require)

    def try_out(self, triples: list[Triple]) -> Change:
        """Return what put would do, without encoding or changing anything."""
        self._check_changeable()
        held = [self.get(*triple.identity) for triple in triples]
        added = sum(fact is None for fact in held)
        unchanged = sum(fact == triple for fact, triple in zip(held, triples, strict=True))
        return Change(added, len(triples) - added - unchanged, unchanged)

    def merge(
        self, other: KnowledgeBase, action: str = "merge", note: str | None = None, progress: bool = False
    ) -> Change:
        """Take over the facts of another base by the same encoder, in one change; its version of a fact counts."""
        theirs = other.snapshot()
        self._check_changeable()
        other._check_changeable()
        self.check_encoder(other)
        triples, keys, values = theirs.triples, theirs.keys, theirs.values

        def change(writer: Writer) -> None:
            for part in tracked(_parts(len(triples)), progress, "Storing"):
                writer.put(zip(triples[part], keys[part], values[part], strict=True))

        return self._commit(action, note, change)

    def check_encoder(self, other: KnowledgeBase) -> None:
        """Raise EncoderError when the vectors of another base cannot be here."""
        if other.encoder_name != self._name or other.width != self.width:
            made_by = other.encoder_name or "an unnamed encoder"
            raise EncoderError(
                f"vectors of {self._name or 'an unnamed encoder'} and of {made_by} cannot be in one knowledge base: "
                "embed the new facts with the first"
            )

    def import_file(
        self,
        path: str | Path,
        dry_run: bool = False,
        llm: str | None = None,
        endpoint_url: str | None = None,
        progress: bool = False,
    ) -> ImportReport:
        """Import .json, .jsonl, .csv, .parquet, .npy, a directory, or a .md or .txt document, in one change.

        Nothing is imported when a row cannot be used; the report says which and why. dry_run: only say what would be
        done. llm: the model that finds the facts of a document, at `endpoint_url` (an OpenAI-compatible server).
        """
        return import_file(self, path, dry_run, llm, endpoint_url, progress)

    def export_file(self, path: str | Path, version: int | None = None) -> int:
        """Write the facts (.npy: with their vectors) of a version, the present one if None; return how many."""
        return export_file(self, path, version)

    def remove(self, entity: str, property: str) -> None:
        """Take a fact out; raise KnowledgeError when it is not here."""
        self.remove_many([(entity, property)])

    def remove_many(self, identities: Iterable[tuple[str, str]], require: Requirement | None = None) -> None:
        """Take facts out, in one change; raise KnowledgeError, and remove none, when one is not here."""
        given = list(dict.fromkeys(identities))
        self._commit("remove", None, lambda writer: writer.take_out(given), require)

    def rollback(self, version: int, require: Requirement | None = None) -> Change:
        """Make the facts what they were in an earlier version, as a new version: what was done since stays in history.

        Facts that this takes out are counted by versions()[0].removed.
        """
        return self._commit("rollback", f"to version {version}", lambda writer: writer.go_back(version), require)

    def compact(self, keep: int | None = None) -> None:
        """Give back the space of what nobody needs: unused vectors and, beyond the last `keep` versions, the history."""
        if keep is not None and keep < 1:
            raise KnowledgeError(f"{keep} versions cannot be kept: keep 1 or more")
        with self._database.writing() as connection:
            oldest, present = reading.oldest_version(connection), reading.present_version(connection)
            forget_before(connection, oldest if keep is None else max(oldest, present - keep + 1))
        self._database.tidy()
        self.rebuild_cache()

    def rebuild_cache(self) -> None:
        """Write the column cache of the present version anew."""
        with self._database.reading_apart() as connection:
            version = reading.present_version(connection)
            rebuild_columns(self._database, connection, version, str(reading.mark_of(connection, version)))

    def check(self) -> CheckReport:
        """Read everything, and say what is wrong and which facts contradict each other."""
        return check_store(self._database)

    def copy_to(self, directory: str | Path) -> None:
        """Copy the present version with its whole history into an empty or new directory."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._database.copy_to(directory / FILE)

    def _commit(
        self, action: str, note: str | None, change: Callable[[Writer], None], require: Requirement | None = None
    ) -> Change:
        with self._database.writing() as connection:
            writer = Writer(connection)
            if require is not None:
                require(writer)
            change(writer)
            writer.record(action, note)
            changed, count = writer.added + writer.replaced + writer.removed, reading.count_facts(connection)
        if changed > allowance(count):
            # Once here, so that no reader has to.
            self._database.checkpoint()
            self.rebuild_cache()
        return Change(writer.added, writer.replaced, writer.unchanged)

    def _missing_vectors(self, triples: list[Triple], progress: bool) -> dict[str, FloatArray]:
        """Encode the texts that the store has no vector of, before any lock is taken."""
        with self._database.reading() as connection:
            new = [triple for triple in triples if reading.find(connection, *triple.identity) != triple]
            texts = unknown_texts(connection, (text for t in new for text in (t.key_text, t.value_text)))
        if not texts:
            return {}
        return dict(zip(texts, encode_checked(self.encoder, texts, progress), strict=True))

    def _refuse_known(self, writer: Writer, triples: list[Triple]) -> None:
        known = [t for t in triples if reading.find(writer.connection, *t.identity) is not None]
        if known:
            more = f" (and {len(known) - 1:,} more facts are)" if len(known) > 1 else ""
            raise KnowledgeError(
                f"the {known[0].property} of {known[0].entity} is already here{more}: use set to replace what is known"
            )


def _parts(count: int) -> list[slice]:
    return [slice(start, start + TOGETHER) for start in range(0, count, TOGETHER)]


def _last_of_each(triples: Iterable[Triple]) -> list[Triple]:
    given = list(triples)
    return [given[row] for row in rows_that_stay(given, "the list of facts")]


def write_store(knowledge: KnowledgeBase, directory: Path) -> StoredKnowledge:
    """Make a store of any knowledge base in a new directory and open it; of a stored one, with its history."""
    if isinstance(knowledge, StoredKnowledge):
        knowledge.copy_to(directory)
    else:
        make_store(directory, knowledge.snapshot(), "import")
    return open_store(directory)
