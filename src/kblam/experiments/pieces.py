"""Results kept piece by piece: what is already measured under the same conditions is read, not measured again."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kblam.errors import InputError
from kblam.knowledge.aside import replace_file

__all__ = ["Pieces"]

_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


class Pieces:
    """A folder with one JSON file for each piece: its conditions, how it was made, its results."""

    def __init__(self, folder: Path, machine: Mapping[str, Any], fresh: bool = False) -> None:
        """machine: noted with each piece, but no condition. fresh: measure everything anew."""
        self.folder, self.machine, self.fresh = folder, dict(machine), fresh
        self.seconds = 0.0
        """Processor time of what was measured in this run."""
        self.measured = self.kept = 0
        self.used: dict[Path, Mapping[str, Any]] = {}
        """The files that results came from, each with how it was made."""
        self._made: set[Path] = set()

    def piece(self, name: str, conditions: Mapping[str, Any], measure: Callable[[], Any]) -> Any:
        """The results under these conditions, measured if they are not here yet; both are plain JSON data."""
        conditions = json.loads(json.dumps(dict(conditions), ensure_ascii=False))
        digest = hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:10]
        path = self.folder / f"{_UNSAFE.sub('-', name).strip('-')}-{digest}.json"
        found = None if self.fresh and path not in self._made else _read(path, conditions)
        if found is not None:
            self.kept += 1
            self.used[path] = found["made"]
            return found["results"]
        began, clock = datetime.now(timezone.utc), time.process_time()
        results = json.loads(json.dumps(measure(), ensure_ascii=False))
        seconds = time.process_time() - clock
        self.measured, self.seconds = self.measured + 1, self.seconds + seconds
        made = {
            "command": sys.argv,
            "began": began.isoformat(timespec="seconds"),
            "processor seconds": round(seconds, 2),
        }
        record = {"piece": name, "conditions": conditions, "made": made | self.machine, "results": results}
        self.folder.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as aside:
            aside.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        self._made.add(path)
        self.used[path] = made
        return results


def _read(path: Path, conditions: object) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): delete it, and it is measured again") from error
    known = isinstance(record, dict) and record.get("conditions") == conditions and {"results", "made"} <= record.keys()
    return record if known else None
