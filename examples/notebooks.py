"""Make the notebooks of the examples and run them from top to bottom: `python examples/notebooks.py`.

The scripts are the source; a notebook is never edited. Needs jupytext, nbclient and ipykernel (`pip install -e '.[dev]'`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
NAMES = ("chemistry", "help_desk", "course")


def notebook_of(script: Path) -> nbformat.NotebookNode:
    """The cells of a script, without what they print; the same script gives the same notebook."""
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
    return notebook


def run(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run all cells in a new kernel; raises nbclient's CellExecutionError where one fails."""
    resources = {"metadata": {"path": str(HERE)}}
    made = NotebookClient(notebook, timeout=600, record_timing=False, resources=resources).execute()
    made.metadata = METADATA  # without the version of the Python that ran it
    for cell in made.cells:
        if cell.cell_type == "code":  # warnings of the machine that it ran on
            cell.outputs = [item for item in cell.outputs if item.get("name") != "stderr"]
    return made


def main() -> None:
    """Write NAME.ipynb beside each script, with what its cells print and draw."""
    for name in NAMES:
        made = run(notebook_of(HERE / f"{name}.py"))
        nbformat.write(made, HERE / f"{name}.ipynb")
        print(f"-> {HERE / name}.ipynb")


if __name__ == "__main__":
    main()
