"""The table of experiments, and a run of some of them: measured or read, drawn, reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kblam.errors import InputError
from kblam.experiments.ablations import ablations
from kblam.experiments.cost import time_and_memory
from kblam.experiments.edits import knowledge_edits
from kblam.experiments.figures import (
    answer_quality,
    open_questions,
    refusals,
    retrieval_by_layer,
    several_facts,
)
from kblam.experiments.judge import judged_answers
from kblam.experiments.picture import attention_picture
from kblam.experiments.plots import draw_chart, draw_picture
from kblam.experiments.report import write_report
from kblam.experiments.sections import Section
from kblam.experiments.unseen import unseen_knowledge
from kblam.experiments.world import World

__all__ = ["EXPERIMENTS", "run_experiments"]

EXPERIMENTS: dict[str, Callable[[World], Section]] = {
    "retrieval": retrieval_by_layer,
    "answers": answer_quality,
    "refusal": refusals,
    "several": several_facts,
    "open": open_questions,
    "unseen": unseen_knowledge,
    "ablations": ablations,
    "edits": knowledge_edits,
    "attention": attention_picture,
    "cost": time_and_memory,
    "judge": judged_answers,
}
"""Name and what measures it; `answers`, `refusal` and `judge` share their pieces."""


def run_experiments(names: Sequence[str], world: World, say: Callable[[str], None] = lambda what: None) -> Path:
    """Run these experiments and write report.md and report.html; returns the folder.

    say: told the name of each experiment as it begins.
    """
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown:
        raise InputError(f"there is no experiment {unknown[0]!r}: choose among all, {', '.join(EXPERIMENTS)}")
    if "judge" in names:
        _ = world.judge  # what may not be to be had is asked for before anything is measured
    if world.setting.bertscore is not None:
        _ = world.bertscore
    folder = world.setting.output
    folder.mkdir(parents=True, exist_ok=True)
    sections: list[Section] = []
    for name in names:
        say(name)
        section = EXPERIMENTS[name](world)
        for chart in section.charts:
            draw_chart(chart, folder / "plots")
        for picture in section.pictures:
            draw_picture(picture, folder / "plots")
        sections.append(section)
        # After each, so that there is something to look at when a long run is stopped.
        write_report(folder, world, list(names[: len(sections)]), sections)
    return folder
