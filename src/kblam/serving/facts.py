"""The looking half of the knowledge API; a version is an ETag."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from kblam.serving.problems import RequestError, answers
from kblam.serving.shapes import (
    MOST,
    Base,
    Bases,
    Count,
    Fact,
    FactHistory,
    HeldFact,
    History,
    Page,
    PastFact,
    Text,
    VersionEntry,
    fact_fields,
    tag,
)
from kblam.serving.state import state_of

__all__ = ["router"]

router = APIRouter(prefix="/api/knowledge", tags=["Knowledge"])


@router.get("", responses=answers())
def bases(request: Request) -> Bases:
    """The knowledge bases of this server; the first is the one that questions mean when they name none."""
    stores = state_of(request).library.stores
    return Bases(
        data=[
            Base(name=name, facts=len(store), version=store.version, encoder=store.encoder_name)
            for name, store in stores.items()
        ]
    )


@router.get("/{base}/facts", responses=answers(404))
def facts(
    base: str,
    request: Request,
    response: Response,
    first: Annotated[int, Query(ge=0, le=MOST)] = 0,
    count: Count = 50,
    search: Annotated[str, Query(max_length=200)] = "",
    version: Annotated[int, Query(ge=0, le=MOST)] | None = None,
) -> Page:
    """Some facts, all or those in which every word of `search` occurs, now or as of a version."""
    store = state_of(request).library.store(base)
    total: int | None = None
    # The version is read first: a change in between can only make a precondition fail, never hold wrongly.
    present = store.version
    if search.strip():
        if version is not None:
            raise RequestError(
                400, "a version of the past cannot be searched: leave out search or version", param="search"
            )
        found = store.search(search, first, count)
    elif version is not None:
        held = store.facts_as_of(version)
        found, total, present = held[first : first + count], len(held), version
    else:
        snapshot = store.snapshot()
        found, total, present = list(snapshot.triples[first : first + count]), len(snapshot.triples), snapshot.version
    response.headers["ETag"] = tag(present)
    return Page(data=[Fact(**fact_fields(triple)) for triple in found], first=first, total=total, version=present)


@router.get("/{base}/fact", responses=answers(404))
def fact(base: str, request: Request, response: Response, entity: Text, property: Text) -> HeldFact:
    """One fact; its ETag is the version that it is from."""
    store = state_of(request).library.store(base)
    held = [record for record in store.history(entity.strip(), property.strip()) if record.ended is None]
    if not held:
        raise RequestError(404, f"there is no {property} of {entity} here", "fact_not_found")
    response.headers["ETag"] = tag(held[0].began)
    return HeldFact(**fact_fields(held[0].triple), version=held[0].began)


@router.get("/{base}/history", responses=answers(404))
def history(base: str, request: Request, count: Count = 50) -> History:
    """The latest changes, newest first."""
    store = state_of(request).library.store(base)
    return History(data=[VersionEntry(**vars(version)) for version in store.versions(count)])


@router.get("/{base}/fact/history", responses=answers(404))
def fact_history(
    base: str, request: Request, entity: Text, property: Annotated[str, Query(max_length=100_000)] = ""
) -> FactHistory:
    """Everything that was said of an entity, or of one property of it, oldest first."""
    store = state_of(request).library.store(base)
    records = store.history(entity.strip(), property.strip() or None)
    return FactHistory(
        data=[PastFact(**fact_fields(record.triple), began=record.began, ended=record.ended) for record in records]
    )
