"""What every request passes: whom it comes from, how large and how frequent it may be, and what every answer carries."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kblam.serving.problems import RequestError
from kblam.serving.settings import Settings

__all__ = ["Guard"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PRIVATE = ("/v1/", "/api/", "/metrics")
"""Where a key is needed; the page itself and its files hold no secrets."""
PORT = re.compile(r":\d+$")
MOST_CLIENTS = 10_000
"""Clients whose pace is remembered."""


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self._keys = [_digest(key) for key in settings.keys]
        self._paces: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """For each client, how many requests it may make at once and when that was so."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    told[name] = value
                told.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._check_host(headers)
            self._check_origin(headers)
            client = self._check_key(scope, headers)
            self._check_rate(client)
            limited = self._limit(scope, headers, receive)
        except RequestError as problem:
            await problem.response()(scope, receive, answer)
            return
        await self.app(scope, limited, answer)

    def _check_host(self, headers: Headers) -> None:
        """Refuse a name that a foreign page could have pointed at this machine; a key protects from that as well."""
        if self.settings.keys:
            return
        host = headers.get("host", "").lower()
        name = PORT.sub("", host).strip("[]")
        if name not in ("localhost", "127.0.0.1", "::1", self.settings.host):
            raise RequestError(421, "this server answers to localhost only: ask http://127.0.0.1", "wrong_host")

    def _check_origin(self, headers: Headers) -> None:
        """Refuse what pages of other origins send, unless they are allowed."""
        origin = headers.get("origin")
        if origin is None or origin in self.settings.origins:
            return
        if origin.partition("://")[2] != headers.get("host"):
            raise RequestError(
                403, f"pages of {origin[:100]} may not call: allow it with --allow-origin", "wrong_origin"
            )

    def _check_key(self, scope: Scope, headers: Headers) -> str:
        """Return who asks."""
        address = str((scope.get("client") or ("unknown",))[0])
        path = str(scope["path"])
        if not self._keys or scope["method"] == "OPTIONS" or not path.startswith(PRIVATE):
            return address
        scheme, _, given = headers.get("authorization", "").partition(" ")
        digest = _digest(given.strip() if scheme.lower() == "bearer" else "")
        # All keys are compared, in constant time, so that nothing can be learnt from how long it took.
        matches = [hmac.compare_digest(digest, key) for key in self._keys]
        if not any(matches):
            raise RequestError(
                401, "the API key is missing or wrong: send Authorization: Bearer KEY", "invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        return f"key {matches.index(True)}"

    def _check_rate(self, client: str) -> None:
        """Refuse a client that asks too often: a bucket that fills by `rate` a minute and holds a tenth of that."""
        rate = self.settings.rate
        if not rate:
            return
        now, most = time.monotonic(), max(10.0, rate / 10)
        left, then = self._paces.pop(client, (most, now))
        left = min(most, left + (now - then) * rate / 60)
        self._paces[client] = (left - 1 if left >= 1 else left, now)
        if len(self._paces) > MOST_CLIENTS:
            self._paces.popitem(last=False)
        if left < 1:
            seconds = max(1, round((1 - left) * 60 / rate))
            raise RequestError(
                429, f"more than {rate:,} requests a minute: try again later", "rate_limit",
                headers={"Retry-After": str(seconds)},
            )  # fmt: skip

    def _limit(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """Refuse a body that is too large, by its own word or while it comes."""
        importing = str(scope["path"]).endswith("/import")
        most = self.settings.most_import if importing else self.settings.most_body
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > most:
            raise _too_large(most)
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise _too_large(most)
            return message

        return limited


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _too_large(most: int) -> RequestError:
    return RequestError(413, f"the request has more than {most:,} bytes: send less", "too_large")
