"""What every command does at its outer edge: UTF-8 out, errors as one sentence, the exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from kblam.errors import KBLaMError

__all__ = ["run_door"]


def run_door(command: Callable[[], object]) -> int:
    """Run a command; return its exit code: 0, 2 after a KBLaMError (said on standard error), 130 after Ctrl-C, 141 when nobody
    reads on (`kblam kb list facts | head`)."""
    for stream in (sys.stdout, sys.stderr):
        # Windows pipes and some locales are not UTF-8, and an answer can be in any script.
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(encoding="utf-8")
    try:
        command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except KBLaMError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # What is still in the buffer would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0
