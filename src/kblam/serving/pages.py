"""The page at /, and its few files, which are read when the server starts: no request names a file."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import APIRouter, Request, Response

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page/main.js": ("main.js", "text/javascript; charset=utf-8"),
    "/page/server.js": ("server.js", "text/javascript; charset=utf-8"),
    "/page/answer.js": ("answer.js", "text/javascript; charset=utf-8"),
    "/page/table.js": ("table.js", "text/javascript; charset=utf-8"),
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""By path: a file of the package and its type."""


def _serve(path: str, name: str, kind: str) -> None:
    content = (files("kblam.serving") / "page" / name).read_bytes()
    mark = f'"{hashlib.sha256(content).hexdigest()[:16]}"'

    def file(request: Request) -> Response:
        headers = {"ETag": mark, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == mark:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    router.add_api_route(path, file, methods=["GET"])


for _path, (_name, _kind) in FILES.items():
    _serve(_path, _name, _kind)
