"""Facts and their vectors: read, encoded, kept and changed; torch is imported by the first local encoding only."""

from __future__ import annotations

from kblam.knowledge.base import Change, KnowledgeBase
from kblam.knowledge.embed import EmbedReport, embed_file
from kblam.knowledge.embeddings import load_directory, load_embeddings, save_directory, save_embeddings
from kblam.knowledge.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from kblam.knowledge.files import read_triples, write_triples
from kblam.knowledge.snapshot import Snapshot
from kblam.knowledge.triples import Triple

__all__ = [
    "DEFAULT_ENCODER",
    "Change",
    "EmbedReport",
    "Encoder",
    "KnowledgeBase",
    "Snapshot",
    "Triple",
    "embed_file",
    "load_directory",
    "load_embeddings",
    "load_encoder",
    "read_triples",
    "save_directory",
    "save_embeddings",
    "write_triples",
]
