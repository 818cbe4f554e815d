"""What the parts of a running server share, and its log."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime, timezone

from fastapi import Request

from kblam.serving.library import Library
from kblam.serving.metrics import Metrics
from kblam.serving.questions import Desk
from kblam.serving.settings import Settings

__all__ = ["State", "state_of"]


@dataclass(eq=False)
class State:
    """One running server."""

    settings: Settings
    library: Library
    desk: Desk
    metrics: Metrics
    began: int
    """When it was started, in seconds since 1970."""

    def log(self, event: str, **about: object) -> None:
        """Write one line of JSON to standard error."""
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, "event": event, **about}, ensure_ascii=False)
        print(line, file=sys.stderr, flush=True)


def state_of(request: Request) -> State:
    """The server that a request came to."""
    state: State = request.app.state.kblam
    return state
