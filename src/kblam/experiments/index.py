"""The index of claims in experiments/README.md: written from what a run left in summary.json, never by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kblam.errors import InputError
from kblam.experiments.claims import CLAIMS, SOURCES
from kblam.experiments.sections import Table
from kblam.knowledge.aside import replace_file

__all__ = ["BEGIN", "END", "index", "write_index"]

BEGIN = "<!-- index: written by fill_readme.py -->"
END = "<!-- end of index -->"


def write_index(page: Path, summary: Path) -> None:
    """Put the index of a run between its two marks in a page of Markdown; the rest of the page stays.

    Raises InputError when one of the files is not what it should be; the page is replaced as a whole or not at all.
    """
    try:
        found = json.loads(summary.read_text(encoding="utf-8"))
        text = index(found)
    except OSError as error:
        raise InputError(f"there is no {summary}: run the experiments first, or name their folder") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{summary} is not what the experiments write ({error!r}): run them again") from error
    old = page.read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{page} has no lines {BEGIN!r} and {END!r}: put them where the index should be")
    with replace_file(page) as aside:
        aside.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8", newline="\n")


def index(summary: Mapping[str, Any]) -> str:
    """Claim, command, ours and the paper's, as a table; and under which conditions ours was measured."""
    about, sections = summary["about"], summary["experiments"]
    rows = []
    for name, claim in CLAIMS.items():
        ours = sections[name]["ours"] if name in sections else ["not measured with these weights"]
        rows.append((claim.claim, f"`{claim.command(name)}`", "<br>".join(ours), claim.paper))
    table = Table(_conditions(about), ("claim", "command", "ours", "the paper, its authors or its users"), tuple(rows))
    return f"{table}\n{SOURCES}\n"


def _conditions(about: Mapping[str, Any]) -> str:
    sizes, seeds = (" ".join(map(str, about[name])) for name in ("sizes", "seeds"))
    return (
        f"Ours: measured {about['measured on']}, model `{about['model']}`, weights `{about['weights']}`, kblam {about['kblam']}, "
        f"`--sizes {sizes} --questions {about['questions']} --seeds {seeds}`, {about['processor seconds'] / 60:,.0f} minutes of one "
        "core. 95% intervals in parentheses: Wilson's for shares, bootstrap for the rest."
    )
