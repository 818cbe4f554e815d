"""Make a dataset to train on: --output synthetic_data --facts 120000, or by a language model with --endpoint_url URL."""

from __future__ import annotations

from kblam.doors import run_door
from kblam.synthesize import main

if __name__ == "__main__":
    raise SystemExit(run_door(main))
