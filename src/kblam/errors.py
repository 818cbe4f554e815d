"""Every error kblam raises on purpose; each message says what is wrong, where, and what to do.

    KBLaMError
    ├── InputError              a file, an option or an argument cannot be used as given
    │   ├── KnowledgeError      a knowledge file or its rows
    │   │   └── OutdatedError   a change that rests on what somebody else changed in the meantime
    │   ├── EncoderError        an encoder is unknown, unreachable, or not the one a file was made with
    │   └── ModelError          a model or adapter directory is missing, damaged or of another format
    └── UnsupportedModelError   a model whose attention cannot take knowledge

The commands print one of these as one sentence on standard error and exit with code 2.
"""

from __future__ import annotations

__all__ = [
    "EncoderError",
    "InputError",
    "KBLaMError",
    "KnowledgeError",
    "ModelError",
    "OutdatedError",
    "UnsupportedModelError",
]


class KBLaMError(Exception):
    """The root of the tree."""


class InputError(KBLaMError):
    """A file, an option or an argument cannot be used as given."""


class KnowledgeError(InputError):
    """A knowledge file, or a row in it, cannot be used."""


class OutdatedError(KnowledgeError):
    """A change rests on a version in which what it changes was different."""


class EncoderError(InputError):
    """An encoder is unknown, unreachable, or not the one that made the vectors."""


class ModelError(InputError):
    """A model or adapter directory is missing, damaged, or of another format."""


class UnsupportedModelError(KBLaMError):
    """The attention of this model cannot take knowledge; the message names the reason."""
