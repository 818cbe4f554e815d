"""Errors over HTTP, in OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from kblam.errors import KBLaMError, OutdatedError

__all__ = ["ErrorBody", "RequestError", "answers", "install"]

TYPES = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error",
    500: "server_error", 503: "server_error", 504: "timeout_error",
}  # fmt: skip
MEANINGS = {
    400: "The request cannot be used as given",
    401: "The API key is missing or wrong",
    403: "The request came from another web page",
    404: "There is nothing of this name",
    405: "The path takes another method",
    409: "It would hold too much",
    412: "What was to be changed has changed in the meantime",
    413: "The request is too large",
    415: "The file is of another kind",
    421: "The request is for another host",
    429: "Too many requests; try again after the seconds in Retry-After",
    503: "The server is stopping",
    504: "The answer took too long",
}


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


class RequestError(HTTPException):
    """Ends a request with this status and sentence."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.code, self.param = code, param

    def body(self) -> dict[str, Any]:
        """The error in OpenAI's shape."""
        kind = TYPES.get(self.status_code, "invalid_request_error")
        return {"error": {"message": self.detail, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body(), self.status_code, self.headers)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe these errors in the OpenAPI document, and those that every path has."""
    return {status: {"model": ErrorBody, "description": MEANINGS[status]} for status in (400, 401, 429, *statuses)}


def problem_of(error: Exception) -> RequestError:
    """Say what an error means to a client."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, OutdatedError):
        return RequestError(412, str(error), "outdated")
    if isinstance(error, KBLaMError):
        return RequestError(400, " ".join(str(error).split()))
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return RequestError(400, f"{where or 'body'}: {first['msg']}", "invalid_value", where or None)
    if isinstance(error, HTTPException):
        return RequestError(error.status_code, str(error.detail), headers=error.headers)
    return RequestError(500, "the server failed; its log says how", "internal_error")


def install(app: FastAPI) -> None:
    """Answer every error of the application in this shape."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return problem_of(error).response()

    for kind in (KBLaMError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
