"""The index of claims, written from a run's summary."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from kblam.errors import InputError
from kblam.experiments.claims import CLAIMS
from kblam.experiments.index import BEGIN, END, index, write_index
from kblam.experiments.run import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[1]


def summary() -> dict[str, Any]:
    about = {
        "measured on": "2026-11-25", "model": "default", "weights": "abc", "kblam": "1.0", "sizes": [20, 40], "seeds": [0],
        "questions": 4, "processor seconds": 240,
    }  # fmt: skip
    return {"about": about, "experiments": {"retrieval": {"ours": ["20 / 40 facts", "top-1: 0.9 | 0.8"]}}}


def test_every_experiment_has_a_claim() -> None:
    assert set(CLAIMS) == set(EXPERIMENTS) - {"judge"}


def test_the_index_says_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    page, found = tmp_path / "README.md", tmp_path / "summary.json"
    page.write_text(f"before\n{BEGIN}\nwhat was there\n{END}\nafter\n", encoding="utf-8")
    found.write_text(json.dumps(summary()), encoding="utf-8")
    write_index(page, found)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n") and text.endswith(f"{END}\nafter\n") and "what was there" not in text
    assert "measured 2026-11-25" in text and "weights `abc`" in text and "4 minutes" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(CLAIMS) and all(row.replace("\\|", "").count("|") == 5 for row in rows)
    assert "20 / 40 facts<br>top-1: 0.9 \\| 0.8" in rows[2] and "not measured" in rows[3]
    write_index(page, found)
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("broken", [None, "{", "[]", '{"about": {}}'])
def test_a_summary_that_is_none_leaves_the_page_alone(broken: str | None, tmp_path: Path) -> None:
    page, found = tmp_path / "README.md", tmp_path / "summary.json"
    page.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    if broken is not None:
        found.write_text(broken, encoding="utf-8")
    with pytest.raises(InputError, match="summary"):
        write_index(page, found)
    assert page.read_text(encoding="utf-8") == f"{BEGIN}\n{END}\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page, found = tmp_path / "README.md", tmp_path / "summary.json"
    page.write_text("no marks\n", encoding="utf-8")
    found.write_text(json.dumps(summary()), encoding="utf-8")
    with pytest.raises(InputError, match="has no lines"):
        write_index(page, found)
    assert page.read_text(encoding="utf-8") == "no marks\n"


def test_the_readme_says_what_the_kept_results_say() -> None:
    text = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    _, begin, rest = text.partition(BEGIN)
    written, end, _ = rest.partition(END)
    kept = json.loads((ROOT / "benchmarks" / "results" / "experiments.json").read_text(encoding="utf-8"))
    assert begin and end
    assert written.strip() == index(kept).strip(), (
        "run: python experiments/fill_readme.py benchmarks/results/experiments.json"
    )


def test_the_door_says_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main = runpy.run_path(str(ROOT / "experiments" / "fill_readme.py"))["main"]
    with pytest.raises(InputError, match="usage"):
        main(["--help"])
    with pytest.raises(InputError, match="run the experiments first"):
        main([str(tmp_path)])
