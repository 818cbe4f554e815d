"""`python -m kblam` is the command `kblam`."""

from __future__ import annotations

from kblam.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
