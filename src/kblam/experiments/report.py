"""The report: report.md with its plots beside it, report.html with everything inside, summary.json for programs."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kblam.experiments.sections import Chart, Picture, Section, Table
from kblam.experiments.world import World
from kblam.knowledge.aside import replace_file

__all__ = ["write_report"]

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1,h2{line-height:1.2}h2{margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1.2rem}
table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}caption{text-align:left;font-weight:600;padding:.3rem 0}
td,th{padding:.25rem .7rem;border-bottom:1px solid #e3e3e3;text-align:right;white-space:nowrap}td:first-child,th:first-child{text-align:left}
img{max-width:100%;height:auto;margin:.5rem 0}blockquote{margin:0;padding-left:1rem;border-left:3px solid #9bb;color:#444}
"""


def write_report(folder: Path, world: World, names: Sequence[str], sections: Sequence[Section]) -> None:
    """Write all three files, each whole."""
    about = _about(world)
    summary = {
        "about": about,
        "experiments": {name: asdict(section) for name, section in zip(names, sections, strict=True)},
    }
    texts = {
        "report.md": _markdown(about, sections),
        "report.html": _page(about, sections, folder / "plots"),
        "summary.json": json.dumps(summary, indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        with replace_file(folder / name) as aside:
            aside.write_text(text, encoding="utf-8", newline="\n")


def _about(world: World) -> dict[str, Any]:
    setting, pieces = world.setting, world.pieces
    days = sorted({str(made["began"])[:10] for made in pieces.used.values()})
    return {
        "measured on": " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "-",
        **world.about,
        "sizes": list(setting.sizes),
        "seeds": list(setting.seeds),
        "machine": pieces.machine,
        "pieces": len(pieces.used),
        "processor seconds": round(sum(float(made["processor seconds"]) for made in pieces.used.values())),
    }


def _lines_about(about: dict[str, Any]) -> list[str]:
    plain = {name: value for name, value in about.items() if value is not None and not isinstance(value, dict)}
    machine = ", ".join(f"{name} {value}" for name, value in about["machine"].items() if value is not None)
    shown = {**plain, "machine": machine}
    return [
        f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}" for name, value in shown.items()
    ]


def _markdown(about: dict[str, Any], sections: Sequence[Section]) -> str:
    parts = ["# Experiments\n", "\n".join(f"- {line}" for line in _lines_about(about)) + "\n"]
    parts.append("95% intervals in parentheses: Wilson's for shares, bootstrap for the rest.\n")
    for section in sections:
        parts.append(f"## {section.title}\n")
        parts += [f"> The paper: {section.paper}\n"] if section.paper else []
        parts += ["\n".join(f"- {line}" for line in section.ours) + "\n"] if section.ours else []
        parts += map(str, section.tables)
        parts += [f"![{item.title}](plots/{item.file}.png)\n" for item in _drawn(section)]
        parts += [f"{note}\n" for note in section.notes]
    return "\n".join(parts)


def _drawn(section: Section) -> list[Chart | Picture]:
    return [*section.charts, *section.pictures]


def _page(about: dict[str, Any], sections: Sequence[Section], plots: Path) -> str:
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in _lines_about(about))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>kblam: experiments</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>Experiments</h1><ul>{lines}</ul><p>95% intervals in parentheses: Wilson's for shares, bootstrap for the rest.</p>"
    ]
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        parts += [f"<blockquote>The paper: {html.escape(section.paper)}</blockquote>"] if section.paper else []
        found = "".join(f"<li>{html.escape(line)}</li>" for line in section.ours)
        parts += [f"<ul>{found}</ul>"] if found else []
        parts += [_image(plots / f"{item.file}.png", item.title) for item in _drawn(section)]
        parts += [_page_table(table) for table in section.tables]
        parts += [f"<p>{html.escape(note)}</p>" for note in section.notes]
    return "\n".join([*parts, "</body></html>\n"])


def _image(path: Path, title: str) -> str:
    inside = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{inside}">'


def _page_table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.head)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f"<table><caption>{html.escape(table.title)}</caption><tr>{head}</tr>{rows}</table>"
