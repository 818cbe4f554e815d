"""The changing half of the knowledge API.

`If-Match: "7"` on a change of one fact asks that the fact is what it was in version 7; on an import or a rollback, that the
whole knowledge base is. Both are looked at inside the store's transaction, so no change of somebody else is lost.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Header, Query, Request, Response

from kblam.errors import KnowledgeError, OutdatedError
from kblam.knowledge import Change, Triple
from kblam.knowledge.files import Rejection, read_what_is_usable, rows_that_stay
from kblam.knowledge.store.changes import Writer
from kblam.knowledge.store.store import StoredKnowledge
from kblam.serving.problems import RequestError, answers
from kblam.serving.shapes import Changed, Imported, NewFact, Rejected, Target, Text, tag
from kblam.serving.state import State, state_of

__all__ = ["router"]

router = APIRouter(prefix="/api/knowledge", tags=["Knowledge"])
IfMatch = Annotated[str | None, Header(description='The version that the change rests on, "7"; * for any')]
IfNoneMatch = Annotated[str | None, Header(description="* lets a fact only be added, not replaced")]
SUFFIXES = {
    "application/json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "text/csv": ".csv",
}
"""By the kind of an uploaded file."""
NAMED_REJECTIONS = 100
Result = TypeVar("Result")
Outcome = TypeVar("Outcome", bound=Changed)


def _versions(header: str | None) -> list[int] | None:
    """The versions that an If-Match names; None for * or nothing."""
    if header is None or header.strip() == "*":
        return None
    tags = [tag.strip().strip('"') for tag in header.split(",")]
    return [int(tag) for tag in tags if tag.isascii() and tag.isdigit() and len(tag) < 16]


async def _change(state: State, name: str, change: Callable[[], Result]) -> Result:
    """Run a change in the thread that makes them; one whose client left is finished all the same."""
    result = await asyncio.shield(asyncio.get_running_loop().run_in_executor(state.library.changing, change))
    state.log("change", knowledge=name, version=getattr(result, "version", None))
    return result


def _require_fact(
    if_match: str | None, if_none_match: str | None, identity: tuple[str, str]
) -> Callable[[Writer], None]:
    """What the headers ask of one fact."""

    def require(writer: Writer) -> None:
        held = writer.holds(*identity)
        if if_none_match is not None and held:
            raise OutdatedError(
                f"the {identity[1]} of {identity[0]} is already here: leave If-None-Match out to replace it"
            )
        if if_match is None:
            return
        versions = _versions(if_match)
        # A fact that is what it was in one of several versions is what it was in the latest of them.
        writer.require_unchanged(
            *identity, version=writer.version - 1 if versions is None else max(versions, default=-1)
        )

    return require


def _require_base(if_match: str | None) -> Callable[[Writer], None]:
    def require(writer: Writer) -> None:
        versions = _versions(if_match)
        if versions is not None and writer.version - 1 not in versions:
            writer.require_version(versions[0] if versions else -1)

    return require


def _refuse_too_many(state: State, store: StoredKnowledge, more: int) -> None:
    most = state.settings.most_facts
    if len(store) + more > most:
        raise RequestError(
            409, f"the knowledge base would have more than {most:,} facts: remove some first", "too_many_facts"
        )


def _changed(store: StoredKnowledge, change: Change, removed: int = 0) -> Changed:
    return Changed(**vars(change), removed=removed, version=store.version)


@router.put("/{base}/fact", responses=answers(403, 404, 409, 412, 413))
async def set_fact(
    base: str,
    given: NewFact,
    request: Request,
    response: Response,
    entity: Text,
    property: Text,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Changed:
    """Add a fact, or replace its value."""
    state = state_of(request)
    store = state.library.store(base)
    new = Triple(entity, property, given.value, tuple(given.aliases or ()), given.id)
    require = _require_fact(if_match, if_none_match, new.identity)

    def change() -> Changed:
        held = store.get(*new.identity)
        _refuse_too_many(state, store, 1 if held is None else 0)
        triple = new.with_names_of(held, aliases=given.aliases is None, id="id" not in given.model_fields_set)
        return _changed(store, store.put("set", [triple], require=require))

    return _tagged(response, await _change(state, base, change))


@router.delete("/{base}/fact", responses=answers(403, 404, 412))
async def remove_fact(
    base: str, request: Request, response: Response, entity: Text, property: Text, if_match: IfMatch = None
) -> Changed:
    """Remove a fact; what was said stays in the history."""
    state = state_of(request)
    store = state.library.store(base)
    identity = entity.strip(), property.strip()
    require = _require_fact(if_match, None, identity)

    def change() -> Changed:
        if if_match is None and store.get(*identity) is None:
            raise RequestError(404, f"there is no {property} of {entity} here", "fact_not_found")
        store.remove_many([identity], require)
        return Changed(removed=1, version=store.version)

    return _tagged(response, await _change(state, base, change))


@router.post("/{base}/rollback", responses=answers(403, 404, 412, 413))
async def rollback(
    base: str, target: Target, request: Request, response: Response, if_match: IfMatch = None
) -> Changed:
    """Make the facts what they were in an earlier version, as a new version."""
    state = state_of(request)
    store = state.library.store(base)

    def change() -> Changed:
        done = store.rollback(target.version, _require_base(if_match))
        latest = store.versions(1)[0]
        return _changed(store, done, latest.removed if latest.action == "rollback" else 0)

    return _tagged(response, await _change(state, base, change))


FILE = {"type": "string", "description": "The file as it is: JSON, JSON lines or CSV, told by Content-Type"}


@router.post(
    "/{base}/import",
    responses=answers(403, 404, 409, 412, 413, 415),
    openapi_extra={"requestBody": {"required": True, "content": {kind: {"schema": FILE} for kind in sorted(SUFFIXES)}}},
)
async def import_facts(
    base: str,
    request: Request,
    response: Response,
    dry_run: Annotated[bool, Query(description="only say what would be done")] = False,
    if_match: IfMatch = None,
) -> Imported:
    """Import a file, all of it; or, when a row cannot be used, nothing, with status 422 and the rows named."""
    state = state_of(request)
    store = state.library.store(base)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in SUFFIXES:
        raise RequestError(415, f"send a file of the type {', '.join(sorted(SUFFIXES))}, not {kind or 'of no type'}")
    content = await request.body()

    def change() -> Imported:
        triples, rejected = _read(content, SUFFIXES[kind])
        if rejected:
            told = [Rejected(**vars(row)) for row in rejected[:NAMED_REJECTIONS]]
            response.status_code = 200 if dry_run else 422
            return Imported(version=store.version, rejected=told, dry_run=dry_run)
        kept = [triples[row] for row in rows_that_stay(triples, "the file")]
        planned = store.try_out(kept)
        _refuse_too_many(state, store, planned.added)
        require = _require_base(if_match)
        done = planned if dry_run else store.put("import", kept, "an upload", require=require)
        return Imported(**vars(done), version=store.version, dry_run=dry_run)

    return _tagged(response, await _change(state, base, change))


def _read(content: bytes, suffix: str) -> tuple[list[Triple], list[Rejection]]:
    """The facts of an uploaded file."""
    with tempfile.TemporaryDirectory(prefix="kblam-") as directory:
        path = Path(directory) / f"upload{suffix}"
        path.write_bytes(content)
        try:
            return read_what_is_usable(path)
        except KnowledgeError as error:
            raise KnowledgeError(str(error).replace(str(path), "the file")) from None


def _tagged(response: Response, changed: Outcome) -> Outcome:
    response.headers["ETag"] = tag(changed.version)
    return changed
