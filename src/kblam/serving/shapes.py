"""What the knowledge API takes and gives."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from kblam.knowledge import Triple

__all__ = [
    "Base",
    "Bases",
    "Changed",
    "Count",
    "Fact",
    "FactHistory",
    "HeldFact",
    "History",
    "Imported",
    "NewFact",
    "Number",
    "Page",
    "PastFact",
    "Rejected",
    "Target",
    "Text",
    "VersionEntry",
    "fact_fields",
    "tag",
]

MOST = 2**53
"""The largest whole number that JavaScript can count to."""
Text = Annotated[str, Query(min_length=1, max_length=100_000)]
Count = Annotated[int, Query(ge=1, le=1000)]
Number = Annotated[int, Field(ge=0, le=MOST)]


class Fact(BaseModel):
    """A fact."""

    entity: str
    property: str
    value: str
    aliases: list[str] = []
    id: str | None = None


class NewFact(BaseModel):
    """What a fact's entity and property are given; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[str, Field(min_length=1, max_length=100_000)]
    aliases: Annotated[list[str], Field(max_length=100)] | None = None
    id: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class Base(BaseModel):
    """A knowledge base."""

    name: str
    facts: int
    version: int
    encoder: str | None


class Bases(BaseModel):
    """All knowledge bases of the server."""

    data: list[Base]


class Page(BaseModel):
    """Some of the facts."""

    data: list[Fact]
    first: int
    total: int | None
    """How many there are in all; null for a search."""
    version: int


class HeldFact(Fact):
    """A fact and the version it is from."""

    version: int


class Changed(BaseModel):
    """What a change did."""

    added: int = 0
    replaced: int = 0
    removed: int = 0
    unchanged: int = 0
    version: int


class Rejected(BaseModel):
    """A row that cannot be used."""

    row: int
    line: int
    reason: str


class Imported(Changed):
    """What an import did, or would do."""

    rejected: list[Rejected] = []
    dry_run: bool = False


class VersionEntry(BaseModel):
    """One change of the past."""

    version: int
    time: str
    action: str
    added: int
    replaced: int
    removed: int
    note: str | None


class History(BaseModel):
    """The latest changes, newest first."""

    data: list[VersionEntry]


class PastFact(Fact):
    """A fact and the versions that held it: from `began` to before `ended`."""

    began: int
    ended: int | None


class FactHistory(BaseModel):
    """Everything that was said of an entity, oldest first."""

    data: list[PastFact]


class Target(BaseModel):
    """The version to go back to."""

    model_config = ConfigDict(extra="forbid")

    version: Number


def fact_fields(triple: Triple) -> dict[str, Any]:
    """A fact as plain data."""
    aliases = list(triple.aliases)
    return {
        "entity": triple.entity,
        "property": triple.property,
        "value": triple.value,
        "aliases": aliases,
        "id": triple.id,
    }


def tag(version: int) -> str:
    """A version as an ETag."""
    return f'"{version}"'
