"""The socket, and the loop that serves it until the process is told to stop."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from kblam.errors import InputError
from kblam.serving.settings import Settings

__all__ = ["address", "open_socket", "server_of"]


def open_socket(settings: Settings) -> socket.socket:
    """Take the port, before anything slow is done; raise InputError when it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((settings.host, settings.port))
    except OSError as error:
        taken.close()
        where = f"{settings.host} port {settings.port}"
        raise InputError(f"the server cannot listen at {where} ({error.strerror}): take another --port") from error
    return taken


def address(taken: socket.socket) -> str:
    """The URL of a socket."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """What serves the application until SIGTERM or Ctrl-C; answers under way are finished first."""
    config = uvicorn.Config(
        app,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_level="warning",
        timeout_graceful_shutdown=round(settings.grace) + 5,
        timeout_keep_alive=30,
    )
    return uvicorn.Server(config)
