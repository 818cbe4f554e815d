"""The knowledge base: facts with their vectors, changed by one thread and read by many."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kblam.errors import EncoderError, KnowledgeError
from kblam.knowledge.changelog import ChangeLog
from kblam.knowledge.embeddings import load_directory, load_embeddings, save_directory, save_embeddings
from kblam.knowledge.encoders import DEFAULT_ENCODER, Encoder, encode_checked, known_width, load_encoder
from kblam.knowledge.files import read_triples, rows_that_stay
from kblam.knowledge.pairs import find_pair, is_pair, load_pair
from kblam.knowledge.rows import FloatArray
from kblam.knowledge.snapshot import Snapshot, checked_vectors, nameless_triples
from kblam.knowledge.triples import Triple

if TYPE_CHECKING:
    from kblam.knowledge.store.store import StoredKnowledge

__all__ = ["Change", "KnowledgeBase"]


@dataclass(frozen=True)
class Change:
    """What a change did, in facts."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0


class KnowledgeBase:
    """Facts, identified by (entity, property), and their key and value vectors.

    Readers take a snapshot(), or any property, at any time and never see half a change; changes wait for each other. A
    text whose vector is already here is not encoded again.
    """

    def __init__(self, snapshot: Snapshot, encoder: Encoder | None = None) -> None:
        """Prefer the constructors with a name; `encoder` is what made the vectors of the snapshot."""
        self._encoder = encoder
        self._lock = threading.RLock()
        # What changes is the snapshot, in one assignment. The places of facts are shared by all versions: a fact has
        # its place before the snapshot that holds it appears, and loses it after the last such snapshot is gone.
        self._snapshot = snapshot
        self._places: dict[tuple[str, str], int] = {triple.identity: row for row, triple in enumerate(snapshot.triples)}
        self._value_places: dict[str, int] | None = None
        """A row for each value text, made by the first change; one that has changed since is looked at and left."""
        self._log = ChangeLog(snapshot.version)

    @classmethod
    def from_file(cls, path: str | Path, encoder: str | Encoder | None = None, progress: bool = False) -> KnowledgeBase:
        """Read .json, .jsonl, .csv (encoded here), .npy, a directory that save() wrote, or the original's files.

        The original's are DATASET_ENCODER_embd_key.npy and _value.npy: give either, or the DATASET.json beside them.
        encoder: None takes what made the file's vectors, all-MiniLM-L6-v2 for texts.
        Raises KnowledgeError for unusable contents, EncoderError when the vectors are another encoder's.
        """
        path, chosen = Path(path), load_encoder(encoder) if isinstance(encoder, str) else encoder
        name = chosen.name if chosen is not None else None
        if path.is_dir():
            snapshot = load_directory(path)
        elif is_pair(path):
            snapshot = load_pair(path, None, name)
        elif path.suffix.lower() == ".npy":
            snapshot = load_embeddings(path)
        elif path.is_file() and (pair := find_pair(path, name)) is not None:
            snapshot = load_pair(pair, path, name)
        else:
            return cls.from_triples(read_triples(path), chosen or DEFAULT_ENCODER, progress)
        if name is not None and snapshot.encoder_name != name:
            made_by = snapshot.encoder_name or "an encoder that it does not name"
            raise EncoderError(
                f"{path} was made with {made_by}, not with {name}: leave the encoder out, or embed the facts anew"
            )
        return cls(snapshot, chosen or (load_encoder(snapshot.encoder_name) if snapshot.encoder_name else None))

    @classmethod
    def from_triples(
        cls,
        triples: Iterable[Triple],
        encoder: str | Encoder = DEFAULT_ENCODER,
        progress: bool = False,
        known: KnowledgeBase | None = None,
    ) -> KnowledgeBase:
        """Encode these facts as float16 vectors; of several with one identity the last counts.

        known: a base by the same encoder, whose vectors are taken for the texts that it holds.
        """
        chosen = load_encoder(encoder) if isinstance(encoder, str) else encoder
        given = list(triples)
        kept = [given[row] for row in rows_that_stay(given, "the list of facts")]
        found = {} if known is None else known._vectors_of(kept)
        keys, values = _encode(kept, chosen, found, np.dtype(np.float16), progress)
        return cls(Snapshot(tuple(kept), keys, values, encoder_name=chosen.name), chosen)

    @classmethod
    def from_embeddings(
        cls,
        keys: object,
        values: object,
        triples: Sequence[Triple] | None = None,
        encoder: str | Encoder | None = None,
    ) -> KnowledgeBase:
        """Take vectors as they are: two (M, D) float arrays, one row a fact.

        triples: their facts, row for row; without them the rows are only numbered, and cannot be changed or quoted.
        encoder: what made them, needed to add facts and to compare questions with them.
        Raises KnowledgeError for other shapes, NaN or infinity, EncoderError for another width than the encoder's.
        """
        key_array, value_array = checked_vectors(keys, values, "the embeddings")
        chosen = load_encoder(encoder) if isinstance(encoder, str) else encoder
        name = chosen.name if chosen is not None else None
        width = known_width(name) if name else None
        if width is not None and width != key_array.shape[1]:
            raise EncoderError(
                f"{name} makes vectors of {width} numbers, these have {key_array.shape[1]}: name their encoder"
            )
        if triples is None:
            numbered = nameless_triples(len(key_array))
            return cls(Snapshot(numbered, key_array, value_array, encoder_name=name, has_texts=False), chosen)
        if len(triples) != len(key_array):
            raise KnowledgeError(
                f"the embeddings have {len(key_array):,} rows for {len(triples):,} facts: give one for each"
            )
        rows = rows_that_stay(triples, "the list of facts")
        if len(rows) < len(triples):
            key_array, value_array = key_array[rows], value_array[rows]
        kept = tuple(triples[row] for row in rows)
        return cls(Snapshot(kept, key_array, value_array, encoder_name=name), chosen)

    @classmethod
    def empty(cls, encoder: str | Encoder = DEFAULT_ENCODER) -> KnowledgeBase:
        """Return a base without facts; an encoder whose name does not say its width is loaded for it."""
        return cls.from_triples([], encoder)

    @classmethod
    def open(
        cls, directory: str | Path, create: bool = False, encoder: str | Encoder | None = None, patience: float = 10.0
    ) -> StoredKnowledge:
        """Open a store, which lasts: a directory that `kblam kb create` made, or a model directory's `knowledge`.

        create: make an empty one when nothing is there, for the vectors of `encoder` (all-MiniLM-L6-v2 if None).
        patience: seconds that a change waits for another writer.
        Raises KnowledgeError when it is missing, damaged, or by a newer kblam; a directory that kblam 0.1 wrote gets a
        store beside its files, which stay as they are.
        """
        from kblam.knowledge.store.store import open_store

        return open_store(directory, create, encoder, patience)

    def snapshot(self) -> Snapshot:
        """Return the present version, which no change touches."""
        return self._snapshot

    def changes_since(self, version: int) -> frozenset[int] | None:
        """Which of the present rows may hold another fact or other vectors than the same row did in `version`.

        Rows that were added are among them, rows that are gone are not; removing a fact moves the last one into its
        place. None when the difference is not known: then read everything again.
        """
        snapshot = self._snapshot
        return self._log.since(version, snapshot.version, len(snapshot.triples))

    @property
    def triples(self) -> list[Triple]:
        """The facts, in order."""
        return list(self.snapshot().triples)

    @property
    def keys(self) -> FloatArray:
        """(M, D) embeddings of the key texts, read-only."""
        return self.snapshot().keys

    @property
    def values(self) -> FloatArray:
        """(M, D) embeddings of the value texts, read-only."""
        return self.snapshot().values

    @property
    def version(self) -> int:
        """Rises by one with each change; 0 at first."""
        return self.snapshot().version

    @property
    def encoder_name(self) -> str | None:
        """What made the vectors; None when nobody said."""
        return self.snapshot().encoder_name

    @property
    def encoder(self) -> Encoder:
        """The encoder that made the vectors, loaded when first used; raises EncoderError when nobody named it."""
        if self._encoder is None:
            raise EncoderError("this knowledge base does not say what made its vectors: give encoder= when you make it")
        return self._encoder

    @property
    def width(self) -> int:
        """D, how many numbers a vector has."""
        return self.snapshot().width

    @property
    def has_texts(self) -> bool:
        """False for vectors that came without their facts."""
        return self.snapshot().has_texts

    def __len__(self) -> int:
        return len(self.snapshot().triples)

    def __iter__(self) -> Iterator[Triple]:
        return iter(self.snapshot().triples)

    def __contains__(self, fact: object) -> bool:
        """Whether a fact with this identity is here; takes a Triple or (entity, property)."""
        identity = fact.identity if isinstance(fact, Triple) else fact
        return isinstance(identity, tuple) and len(identity) == 2 and self.get(*identity) is not None

    def __repr__(self) -> str:
        snapshot = self.snapshot()
        facts = f"{len(snapshot.triples):,} facts, {snapshot.width}-d"
        return f"KnowledgeBase({facts}, {snapshot.encoder_name or 'unknown encoder'}, version {snapshot.version})"

    def get(self, entity: str, property: str) -> Triple | None:
        """Return the fact with this identity, or None."""
        triples, row = self._snapshot.triples, self._places.get((entity, property))
        if row is None:
            return None
        if row < len(triples) and triples[row].identity == (entity, property):
            return triples[row]
        with self._lock:  # in the middle of a change that moves it
            triples, row = self._snapshot.triples, self._places.get((entity, property))
            return triples[row] if row is not None and row < len(triples) else None

    def set(self, triple: Triple) -> Change:
        """Add a fact, or replace the one with the same identity."""
        return self.set_many([triple])

    def set_many(self, triples: Iterable[Triple], progress: bool = False) -> Change:
        """Add or replace facts, in one change; what is already here as given changes nothing."""
        given = list(triples)
        given = [given[row] for row in rows_that_stay(given, "the list of facts")]
        with self._lock:
            self._check_changeable()
            new = [triple for triple in given if self.get(*triple.identity) != triple]
            if not new:
                return Change(unchanged=len(given))
            keys, values = _encode(new, self.encoder, self._vectors_of(new), self._snapshot.key_rows.dtype, progress)
            return self._put(new, keys, values, unchanged=len(given) - len(new))

    def remove(self, entity: str, property: str) -> None:
        """Take a fact out; raise KnowledgeError when it is not here."""
        with self._lock:
            self._check_changeable()
            snapshot, row = self._snapshot, self._places.get((entity, property))
            if row is None:
                raise KnowledgeError(
                    f"there is no {property} of {entity} to remove: look at what the knowledge base holds"
                )
            last = len(snapshot.triples) - 1
            moved = snapshot.triples[last]
            triples = snapshot.triples[:last]
            if row != last:
                triples = (*triples[:row], moved, *triples[row + 1 :])
            keys, values = (
                rows.changed({row: rows.row(last)} if row != last else {}, rows.take([]), count=last)
                for rows in (snapshot.key_rows, snapshot.value_rows)
            )
            self._swap(Snapshot(triples, keys, values, self.version + 1, self.encoder_name), [row])
            del self._places[entity, property]
            if row != last:
                self._note(moved, row)

    def merge(self, other: KnowledgeBase) -> Change:
        """Take over the facts of another base by the same encoder, in one change; its version of a fact counts."""
        theirs = other.snapshot()
        with self._lock:
            self._check_changeable()
            other._check_changeable()
            if theirs.encoder_name != self.encoder_name or theirs.width != self.width:
                names = [
                    f"{base.encoder_name or 'an unnamed encoder'} ({base.width} numbers)" for base in (self, other)
                ]
                raise EncoderError(
                    f"vectors of {names[0]} and of {names[1]} cannot be in one knowledge base: "
                    "embed the new facts with the first"
                )
            new = [row for row, triple in enumerate(theirs.triples) if self.get(*triple.identity) != triple]
            unchanged = len(theirs.triples) - len(new)
            if not new:
                return Change(unchanged=unchanged)
            keys, values = theirs.key_rows.take(new), theirs.value_rows.take(new)
            return self._put([theirs.triples[row] for row in new], keys, values, unchanged)

    def save(self, path: str | Path) -> None:
        """Write one file for a name that ends in .npy (float16, up to 2 GiB), else a directory; whole or not at all."""
        if Path(path).suffix.lower() == ".npy":
            save_embeddings(path, self)
        else:
            save_directory(path, self)

    def at(self, version: int) -> Snapshot:
        """Return an earlier version; only a store (see open) keeps them."""
        snapshot = self.snapshot()
        if version != snapshot.version:
            raise KnowledgeError(
                f"version {version} is not kept, only the present one ({snapshot.version}) is: open a store for history"
            )
        return snapshot

    def _check_changeable(self) -> None:
        if not self.has_texts:
            raise KnowledgeError(
                "vectors without their facts cannot be changed or merged: give triples= when you make them"
            )

    def _put(self, triples: list[Triple], keys: FloatArray, values: FloatArray, unchanged: int) -> Change:
        """Add or replace these facts, whose identities differ from each other."""
        snapshot = self._snapshot
        places = [self._places.get(triple.identity) for triple in triples]
        added = [i for i, row in enumerate(places) if row is None]
        replaced = {row: i for i, row in enumerate(places) if row is not None}
        all_triples = [*snapshot.triples, *(triples[i] for i in added)]
        for row, i in replaced.items():
            all_triples[row] = triples[i]
        all_keys, all_values = (
            rows.changed({row: vectors[i] for row, i in replaced.items()}, vectors[added])
            for rows, vectors in ((snapshot.key_rows, keys), (snapshot.value_rows, values))
        )
        touched = [*replaced, *range(len(snapshot.triples), len(all_triples))]
        for row in touched:
            self._note(all_triples[row], row)
        self._swap(Snapshot(tuple(all_triples), all_keys, all_values, self.version + 1, self.encoder_name), touched)
        return Change(len(added), len(replaced), unchanged)

    def _note(self, triple: Triple, row: int) -> None:
        self._places[triple.identity] = row
        if self._value_places is not None:
            self._value_places[triple.value_text] = row

    def _swap(self, snapshot: Snapshot, touched: Iterable[int]) -> None:
        # The log first: whoever sees the snapshot can ask what is new in it.
        self._log.add(snapshot.version, touched)
        self._snapshot = snapshot

    def _vectors_of(self, triples: Sequence[Triple]) -> dict[str, FloatArray]:
        """The vectors that are already here for texts of these facts."""
        snapshot = self._snapshot
        if self._value_places is None:
            self._value_places = {triple.value_text: row for row, triple in enumerate(snapshot.triples)}
        vectors: dict[str, FloatArray] = {}
        for triple in triples:
            row = self._places.get(triple.identity)
            if row is not None and row < len(snapshot.triples) and snapshot.triples[row].identity == triple.identity:
                vectors[triple.key_text] = snapshot.key_rows.row(row)
        for text in {triple.value_text for triple in triples}:
            row = self._value_places.get(text)
            if row is not None and row < len(snapshot.triples) and snapshot.triples[row].value_text == text:
                vectors[text] = snapshot.value_rows.row(row)
        return vectors


def _encode(
    triples: Sequence[Triple],
    encoder: Encoder,
    known: dict[str, FloatArray],
    dtype: np.dtype[Any],
    progress: bool,
) -> tuple[FloatArray, FloatArray]:
    """Return (n, D) key and value vectors; only texts that are not known are encoded, each once."""
    vectors = dict(known)
    texts = [text for triple in triples for text in (triple.key_text, triple.value_text)]
    missing = [text for text in dict.fromkeys(texts) if text not in vectors]
    if missing:
        fresh = encode_checked(encoder, missing, progress)
        vectors.update(zip(missing, fresh.astype(dtype), strict=True))
    if not triples:
        return np.empty((0, encoder.width), dtype), np.empty((0, encoder.width), dtype)
    keys = np.stack([vectors[triple.key_text] for triple in triples])
    values = np.stack([vectors[triple.value_text] for triple in triples])
    return keys.astype(dtype, copy=False), values.astype(dtype, copy=False)
