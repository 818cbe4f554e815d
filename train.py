"""Train an adapter: `python train.py --dataset synthetic_data --N 120000 --B 20 ...`; the same as `kblam train`."""

from __future__ import annotations

from kblam.doors import run_door
from kblam.train import main

if __name__ == "__main__":
    raise SystemExit(run_door(main))
