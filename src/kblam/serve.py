"""Serve a model over HTTP: `kblam serve`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kblam.doors import run_door
from kblam.errors import InputError
from kblam.extras import pip_install

if TYPE_CHECKING:
    from kblam.serving.settings import Settings

__all__ = ["main"]

EXAMPLE = """example:
  kblam kb create facts && kblam kb import facts knowledge.json
  kblam serve --kb facts
  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"model": "kblam", "messages": [{"role": "user", "content": "What is the capital of Mongolia?"}]}'

Then open http://127.0.0.1:8000 for the page, or point any client of OpenAI's protocol at http://127.0.0.1:8000/v1."""
KEY = "KBLAM_API_KEY"


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the model, open the knowledge, and answer until the process is told to stop."""
    options = _parser().parse_args(arguments)
    settings = _settings(options)
    from kblam.serving.app import make_app
    from kblam.serving.library import open_library
    from kblam.serving.listening import address, open_socket, server_of

    taken = open_socket(settings)
    library = open_library(options.model, options.kb, options.scan)
    for notice in library.notices:
        print(notice, file=sys.stderr)
    taken.listen(2048)
    print(f"serving {', '.join(library.models)} at {address(taken)}", file=sys.stderr, flush=True)
    server_of(make_app(library, settings), settings).run(sockets=[taken])


def _settings(options: argparse.Namespace) -> Settings:
    try:
        import fastapi  # noqa: F401
        import sse_starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: {pip_install('serve')}") from error
    from kblam.serving.settings import Settings

    return Settings(
        host=options.host, port=options.port, keys=_keys(options), origins=tuple(options.allow_origin),
        rate=options.rate, timeout=options.timeout, most_waiting=options.queue, most_together=options.batch,
        most_facts=options.most_facts, log_questions=options.log_questions,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kblam serve",
        description="Answer questions over HTTP, in OpenAI's protocol and on a page; facts can change meanwhile.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", default="default", metavar="NAME", help="as for `kblam ask`")
    add(
        "--kb", action="append", default=[], metavar="[NAME=]PATH",
        help="a store that `kblam kb create` made, or a file of facts; repeat it for several knowledge bases",
    )  # fmt: skip
    add("--scan", choices=("exact", "int8", "ann"), default="exact", help="as for `kblam ask`")
    add("--host", default="127.0.0.1", help="the address to listen at (127.0.0.1); others need an API key")
    add("--port", type=int, default=8000, help="the port (8000); 0 takes a free one")
    add("--api-key", metavar="KEY", help=f"better in a file or in {KEY}, for other users can see a command line")
    add("--api-key-file", metavar="FILE", help="a file of API keys, one a line")
    add("--allow-origin", action="append", default=[], metavar="URL", help="a web page elsewhere that may call (CORS)")
    add("--queue", type=int, default=256, metavar="N", help="questions that may wait (256)")
    add("--batch", type=int, default=32, metavar="N", help="questions that are answered together (32)")
    add("--timeout", type=float, default=60.0, metavar="SECONDS", help="when a question is given up (60)")
    add("--rate", type=int, default=1200, metavar="N", help="requests a minute for each client (1200); 0: any number")
    add("--most-facts", type=int, default=1_000_000, metavar="N", help="facts of a knowledge base (1,000,000)")
    add("--log-questions", action="store_true", help="log questions and answers, not only that there were some")
    return parser


def _keys(options: argparse.Namespace) -> tuple[str, ...]:
    keys = [options.api_key, os.environ.get(KEY)]
    if options.api_key_file is not None:
        try:
            keys += Path(options.api_key_file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--api-key-file {options.api_key_file} cannot be read ({error})") from error
    found = tuple(dict.fromkeys(key.strip() for key in keys if key and key.strip()))
    if options.api_key_file is not None and not found:
        raise InputError(f"--api-key-file {options.api_key_file} holds no key: put one on each line")
    return found


if __name__ == "__main__":
    raise SystemExit(run_door(main))
