"""The application: its parts put together."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kblam.serving import changes, chat, facts, pages
from kblam.serving.guard import Guard
from kblam.serving.library import Library
from kblam.serving.metrics import Metrics
from kblam.serving.problems import RequestError, answers, install
from kblam.serving.questions import Desk
from kblam.serving.settings import Settings
from kblam.serving.state import State, state_of
from kblam.version import __version__

__all__ = ["make_app"]


def make_app(library: Library, settings: Settings) -> FastAPI:
    """Return the server's application; it answers from when it is started up to when it is shut down."""
    metrics = Metrics()
    desk = Desk(library.models, metrics, settings.most_waiting, settings.most_together)
    state = State(settings, library, desk, metrics, int(time.time()))

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        desk.start()
        yield
        await asyncio.to_thread(desk.close, settings.grace)
        await asyncio.to_thread(library.close)

    app = FastAPI(
        title="kblam", version=__version__, lifespan=living, docs_url=None, redoc_url=None,
        description="A language model that answers from your own facts, and names the fact.",
    )  # fmt: skip
    app.state.kblam = state
    install(app)
    for part in (chat.router, facts.router, changes.router, pages.router):
        app.include_router(part)
    _add_health(app)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.origins), allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match"],
            expose_headers=["ETag", "Retry-After", "X-Request-Id"],
        )  # fmt: skip
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Record, state=state)
    return app


class Health(BaseModel):
    """How the server is."""

    status: str


def _add_health(app: FastAPI) -> None:
    @app.get("/health", tags=["Operation"])
    async def health() -> Health:
        """Whether the process answers."""
        return Health(status="ok")

    @app.get("/ready", tags=["Operation"], responses={503: answers(503)[503]})
    async def ready(request: Request) -> Health:
        """Whether questions are answered."""
        if not state_of(request).desk.ready:
            raise RequestError(503, "the server is starting or stopping", "not_ready")
        return Health(status="ready")

    @app.get("/metrics", tags=["Operation"], response_class=Response, responses=answers())
    def metrics(request: Request) -> Response:
        """Measures in Prometheus' format."""
        state = state_of(request)
        for name, store in state.library.stores.items():
            state.metrics.version.labels(name).set(store.version)
            state.metrics.facts.labels(name).set(len(store))
        return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


class Record:
    """An ASGI application around another: counts, times and logs each request, without what it says."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number, began, status = secrets.token_hex(8), time.monotonic(), 499

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", number.encode())]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            # The pattern of the path, not the path: it is a label of few values, and it names nobody's facts.
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.monotonic() - began
            self.state.metrics.requests.labels(scope["method"], route, str(status)).inc()
            self.state.metrics.seconds.labels(route).observe(seconds)
            self.state.log(
                "request", id=number, method=scope["method"], route=route, status=status, seconds=round(seconds, 4)
            )
