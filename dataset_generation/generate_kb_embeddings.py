"""Turn a file of facts into vectors: --input knowledge.json --output embeddings.npy [--encoder NAME]."""

from __future__ import annotations

from kblam.doors import run_door
from kblam.knowledge.embed import main

if __name__ == "__main__":
    raise SystemExit(run_door(main))
