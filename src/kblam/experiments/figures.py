"""The paper's figures: retrieval by layer, answers, refusal, several facts in one question, open questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kblam.experiments.grading import Record, answers
from kblam.experiments.metrics import Mean, refusal
from kblam.experiments.retrieval import CHOICE, KINDS, retrieved
from kblam.experiments.sections import Chart, Section, chart_table, curve
from kblam.experiments.ways import IN_CONTEXT, WAYS
from kblam.experiments.world import World

__all__ = ["answer_quality", "open_questions", "refusals", "retrieval_by_layer", "several_facts"]

ONE = ("plain", "paraphrased", "unanswerable")
MORE = ("two", "three")
OPEN = ("open",)


def retrieval_by_layer(world: World) -> Section:
    """Top-1 and top-5 of every knowledge layer against the number of facts."""
    sizes = world.sizes()
    records = {size: [row for seed in world.setting.seeds for row in retrieved(world, size, seed)] for size in sizes}
    names = list(dict.fromkeys(name for rows in records.values() for row in rows for name in row["rank"]))
    charts = [_retrieval_chart(records, names, kind, top) for kind in KINDS for top in (1, 5)]
    return Section(
        "Retrieval inside attention",
        "Paper (figures 4 and 5): the attention of the middle layers finds the fact asked for, top-1 .998 at 100 facts falling to "
        "about .92 at 10,000 (8B model, its own synthetic data).",
        [chart_table(chart) for chart in charts],
        charts,
        notes=[
            "Layers: weights at the prompt's last token, averaged over heads, all rows open to every layer. `choice` is what answers "
            "rest on: the retrieval layer with what the names in the question add. BM25 and the encoder alone answer the same questions."
        ],
    )  # fmt: skip


def _retrieval_chart(records: dict[int, list[Any]], names: Sequence[str], kind: str, top: int) -> Chart:
    mine = {size: [row for row in rows if row["kind"] == kind] for size, rows in records.items()}
    lines = {_retriever(name): curve(list(mine), mine.__getitem__, _within(name, top)) for name in names}
    title = f"Retrieval, {kind} questions, top-{top}"
    return Chart(f"retrieval-{kind}-top-{top}", title, f"top-{top} accuracy", lines)


def _retriever(name: str) -> str:
    return {CHOICE: "ours (what answers rest on)", "dense": "dense (the encoder alone)"}.get(name, name)


def _within(name: str, top: int) -> Callable[[Any], float]:
    def number(row: Any) -> float:
        rank = row["rank"].get(name)
        return float(rank is not None and rank < top)

    return number


def gathered(
    world: World, ways: Sequence[str], kinds: Sequence[str]
) -> tuple[dict[str, dict[int, list[Record]]], list[str]]:
    """The records of all seeds by way and size, and why some are missing."""
    found: dict[str, dict[int, list[Record]]] = {}
    missing: list[str] = []
    for seed in world.setting.seeds:
        for size in world.sizes():
            for way in usable(world, ways):
                result = answers(world, way, size, seed, kinds)
                found.setdefault(way, {}).setdefault(size, []).extend(result.get("records", []))
                if "left_out" in result:
                    missing.append(f"{way}, {size:,} facts: {result['left_out']}")
    return found, list(dict.fromkeys(missing))


def usable(world: World, ways: Sequence[str]) -> list[str]:
    """The ways that the model has: without an adapter vectors cannot be read."""
    return [way for way in ways if way != "tokens" or world.model.adapter is not None]


MEASURES = {
    "right": ("values", "the answer holds the exact value"),
    "exact": ("exact", "exact match with the expected answer"),
    "f1": ("f1", "token F1"),
    "rougeL": ("rouge", "ROUGE-L"),
    "similarity": ("similarity", "token similarity, F1"),
}
"""What is measured of an answer, the file it is drawn to, and the words for it."""


def answer_quality(world: World) -> Section:
    """Answers about one fact against the number of facts, by all ways."""
    found, missing = gathered(world, WAYS, ONE)
    sizes = world.sizes()
    charts = []
    for kind in KINDS:
        for measure, (file, words) in MEASURES.items():
            if kind == "plain" or measure == "right":
                lines = _by_way(found, sizes, kind, measure)
                charts.append(Chart(f"answers-{kind}-{file}", f"Answers to {kind} questions: {words}", words, lines))
    own = {"quote": curve(sizes, lambda size: _of(found, "quote", size, "plain"), lambda row: float(row["own"]))}
    tables = [chart_table(chart) for chart in charts]
    tables.append(chart_table(Chart("", "In the model's own words (before a misquotation is mended)", "share", own)))
    return Section(
        "Quality of answers",
        "Paper (figure 6): answers of KBLaM are about as good as those with all facts in context, and better than without knowledge.",
        tables,
        charts[:1] + [chart for chart in charts if chart.file == "answers-paraphrased-values"] + charts[2:5:2],
        notes=[*_left_out(missing), _similarity_note()],
    )  # fmt: skip


def _similarity_note() -> str:
    return (
        "Token similarity is BERTScore's computation with the token vectors of all-MiniLM-L6-v2, without rescaling: its zero is not 0. "
        "In context answers a quarter of the questions."
    )


def _left_out(missing: Sequence[str]) -> list[str]:
    return [f"Left out: {'; '.join(missing)}."] if missing else []


def _of(found: dict[str, dict[int, list[Record]]], way: str, size: int, kind: str) -> list[Record]:
    return [record for record in found.get(way, {}).get(size, []) if record["kind"] == kind]


def _by_way(
    found: dict[str, dict[int, list[Record]]], sizes: Sequence[int], kind: str, measure: str
) -> dict[str, list[tuple[int, Mean]]]:
    def of(way: str) -> Callable[[int], list[Record]]:
        return lambda size: _of(found, way, size, kind)

    return {way: curve(sizes, of(way), lambda record: float(record[measure])) for way in found}


def refusals(world: World) -> Section:
    """Precision and recall of refusing, against the number of facts."""
    found, missing = gathered(world, WAYS, ONE)
    sizes = world.sizes()
    lines: dict[str, dict[str, list[tuple[int, Mean]]]] = {"precision": {}, "recall": {}}
    for way, by_size in found.items():
        for size in sizes:
            if records := by_size.get(size):
                both = refusal([row["answerable"] for row in records], [row["refused"] for row in records])
                lines["precision"].setdefault(way, []).append((size, both.precision))
                lines["recall"].setdefault(way, []).append((size, both.recall))
    charts = [Chart(f"refusal-{name}", f"Refusal, {name}", f"{name} of refusing", lines[name]) for name in lines]
    return Section(
        "Refusal",
        "Paper (figure 7): KBLaM refuses what its knowledge does not answer; a user of the original measured precision and recall 0 / 0 "
        "against .83 / .95 in context.",
        [chart_table(chart) for chart in charts],
        charts,
        notes=[
            "Half of the unanswerable questions name an entity that is not there (often almost like one that is), half a property that "
            "the entity lacks. Precision depends on their share: one unanswerable question to two answerable ones.",
            *_left_out(missing),
        ],
    )  # fmt: skip


def several_facts(world: World) -> Section:
    """Two and three facts in one question."""
    found, missing = gathered(world, tuple(way for way in WAYS if way != IN_CONTEXT), MORE)
    sizes = world.sizes()
    charts = []
    for kind in MORE:
        for measure, words in (("right", "all values held"), ("held", "share of the values held")):
            lines = _by_way(found, sizes, kind, measure)
            charts.append(Chart(f"several-{kind}-{measure}", f"Questions about {kind} facts: {words}", words, lines))
    return Section(
        "Several facts in one question",
        "Paper (section 5): questions about two entities are answered from both facts.",
        [chart_table(chart) for chart in charts], [chart for chart in charts if chart.file.endswith("right")],
        notes=_left_out(missing),
    )  # fmt: skip


def open_questions(world: World) -> Section:
    """What is said about an entity as such."""
    found, missing = gathered(world, ("quote", "tokens", "no knowledge", "RAG, top 5"), OPEN)
    sizes = world.sizes()
    charts = [
        Chart(f"open-{measure}", f"Open questions: {words}", words, _by_way(found, sizes, "open", measure))
        for measure, words in (("held", "share of the entity's values held"), ("rougeL", "ROUGE-L"), ("similarity", "token similarity, F1"))
    ]  # fmt: skip
    return Section(
        "Open-ended questions",
        "Paper (figure 6): open questions are answered from the facts about an entity, scored by a language model; here by the values "
        "held, ROUGE-L and token similarity to the list of the entity's facts.",
        [chart_table(chart) for chart in charts],
        charts[:1],
        notes=_left_out(missing),
    )
