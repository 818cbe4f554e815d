"""The load test of benchmarks/serve, in little: nothing fails, nothing is answered from a version that never was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = Path(__file__).resolve().parents[1] / "benchmarks" / "serve" / "load.py"


@pytest.mark.slow
def test_many_clients_changes_and_a_kill() -> None:
    command = [sys.executable, str(LOAD), "--clients", "16", "--seconds", "12"]
    seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    assert seen["wrong"] == [] and seen["lost"] == 0
    assert set(seen["statuses"]) <= {"200", "429"}
    assert seen["answers"] > 50 and seen["updates"] > 5 and seen["versions"] > 5
