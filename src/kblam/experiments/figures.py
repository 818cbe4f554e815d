"""The paper's figures: retrieval by layer, answers, refusal, several facts in one question, open questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kblam.experiments.claims import CLAIMS
from kblam.experiments.grading import Record, answers, with_bertscore
from kblam.experiments.metrics import Mean, refusal
from kblam.experiments.retrieval import CHOICE, KINDS, retrieved
from kblam.experiments.sections import Chart, Section, across, chart_table, curve, of_sizes
from kblam.experiments.ways import IN_CONTEXT, WAYS
from kblam.experiments.world import World
from kblam.models.shipped import SHIPPED_MODELS

__all__ = ["answer_quality", "open_questions", "refusals", "retrieval_by_layer", "several_facts"]

ONE = ("plain", "paraphrased", "unanswerable")
MORE = ("two", "three")
OPEN = ("open",)
GROUNDINGS = ("quote", "tokens")
"""Our two ways."""


def retrieval_by_layer(world: World) -> Section:
    """Top-1 and top-5 of every knowledge layer against the number of facts."""
    sizes = world.sizes()
    records = {size: [row for seed in world.setting.seeds for row in retrieved(world, size, seed)] for size in sizes}
    names = list(dict.fromkeys(name for rows in records.values() for row in rows for name in row["rank"]))
    charts = [_retrieval_chart(records, names, kind, top) for kind in KINDS for top in (1, 5)]
    ours, dense = _retriever(CHOICE), _retriever("dense")
    found = [
        f"top-1, {kind}: {across(chart, ours)}; with the most facts the encoder alone {across(chart, dense, last=True)}, "
        f"BM25 {across(chart, 'BM25', last=True)}"
        for kind, chart in zip(KINDS, charts[::2], strict=True)
    ]
    return Section(
        "Retrieval inside attention",
        CLAIMS["retrieval"].paper,
        (of_sizes(sizes), *found),
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
                records = result.get("records", [])
                if world.setting.bertscore is not None and kinds == ONE and records:
                    records = with_bertscore(world, way, size, seed, kinds, records)
                found.setdefault(way, {}).setdefault(size, []).extend(records)
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
DRAWN = ("plain-values", "paraphrased-values", "plain-f1", "plain-similarity", "plain-bertscore")
"""Which are drawn; tables show all."""


def answer_quality(world: World) -> Section:
    """Answers about one fact against the number of facts, by all ways."""
    found, missing = gathered(world, WAYS, ONE)
    sizes = world.sizes()
    usual = {"bertscore": ("bertscore", f"BERTScore F1, {world.setting.bertscore}")}
    measures = MEASURES | (usual if world.setting.bertscore is not None else {})
    charts = []
    for kind in KINDS:
        for measure, (file, words) in measures.items():
            if kind == "plain" or measure == "right":
                lines = _by_way(found, sizes, kind, measure)
                charts.append(Chart(f"answers-{kind}-{file}", f"Answers to {kind} questions: {words}", words, lines))
    own = {"quote": curve(sizes, lambda size: _of(found, "quote", size, "plain"), lambda row: float(row["own"]))}
    tables = [chart_table(chart) for chart in charts]
    tables.append(chart_table(Chart("", "In the model's own words (before a misquotation is mended)", "share", own)))
    return Section(
        "Quality of answers",
        CLAIMS["answers"].paper,
        (of_sizes(sizes), *_values_of_ways(charts)),
        tables,
        [chart for chart in charts if chart.file.split("-", 1)[1] in DRAWN],
        notes=[*_left_out(missing), *_notes(world)],
    )  # fmt: skip


def _values_of_ways(charts: Sequence[Chart]) -> list[str]:
    """The exact values held, one line for each kind of question."""
    lines = []
    for chart in charts:
        if chart.file.endswith("values"):
            shown = [f"{way} {across(chart, way)}" for way in (*GROUNDINGS, IN_CONTEXT) if chart.lines.get(way)]
            rivals = [f"{way} {across(chart, way, True)}" for way in ("RAG, top 1", "no knowledge")]
            lines.append(
                f"exact value, {chart.title.split()[2]}: {'; '.join(shown)}; with the most facts {', '.join(rivals)}"
            )
    return lines


def _notes(world: World) -> list[str]:
    notes = [
        "Token F1, ROUGE and similarity reward the sentence around a value too: what is said without knowledge shows how much. Token "
        "similarity is BERTScore's computation with the token vectors of all-MiniLM-L6-v2, without rescaling: texts that have nothing in "
        "common do not get 0. In context and without knowledge a quarter of the questions is asked."
    ]
    if world.setting.model in SHIPPED_MODELS:
        notes.append(
            "The model that ships was trained to read one fact: five of them, or all in context, are more than it can read."
        )
    return notes


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
                for name, value in (("precision", both.precision), ("recall", both.recall)):
                    if value.count:
                        lines[name].setdefault(way, []).append((size, value))
    charts = [Chart(f"refusal-{name}", f"Refusal, {name}", f"{name} of refusing", lines[name]) for name in lines]
    return Section(
        "Refusal",
        CLAIMS["refusal"].paper,
        (of_sizes(sizes), *(f"{chart.axis}, {way}: {across(chart, way)}" for way in GROUNDINGS for chart in charts)),
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
    whole = [chart for chart in charts if chart.file.endswith("right")]
    ours = [
        f"{kind} facts, {way}, all values: {across(chart, way)}"
        for kind, chart in zip(MORE, whole, strict=True)
        for way in GROUNDINGS
    ]
    return Section(
        "Several facts in one question",
        CLAIMS["several"].paper,
        (of_sizes(sizes), *ours),
        [chart_table(chart) for chart in charts], whole,
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
        CLAIMS["open"].paper,
        (
            of_sizes(sizes),
            *(f"share of the entity's values, {way}: {across(charts[0], way)}" for way in (*GROUNDINGS, "RAG, top 5")),
        ),
        [chart_table(chart) for chart in charts],
        charts[:1],
        notes=["Compared with the list of the entity's facts.", *_left_out(missing)],
    )
