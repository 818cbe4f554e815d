"""Experiments: their metrics, their pieces, their plots and report, and that a metric can fail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kblam.cli import main
from kblam.errors import InputError
from kblam.experiments.ablations import ABLATIONS, ANSWERS, WHOLE, changed
from kblam.experiments.edits import make_edits
from kblam.experiments.metrics import exact_match, mean, refusal, rouge, token_f1
from kblam.experiments.pieces import Pieces
from kblam.experiments.retrieval import CHOICE, KINDS, layer_name, ranks
from kblam.experiments.run import run_experiments
from kblam.experiments.similarity import TokenSimilarity, load_bertscore, local_similarity
from kblam.experiments.ways import prepare
from kblam.experiments.world import Setting, World
from kblam.knowledge import KnowledgeBase
from kblam.knowledge.packaged import packaged_folder
from kblam.synthesis.questions import Question

SIZES, QUESTIONS = (20, 40), 4


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(Setting(tmp_path_factory.mktemp("out"), sizes=SIZES, questions=QUESTIONS, seeds=(3,)))


def test_the_weights_named_beside_a_result_are_all_that_answer(tmp_path: Path) -> None:
    def named(change: float) -> str:
        other = World(Setting(tmp_path, sizes=SIZES, questions=QUESTIONS, seeds=(3,)))
        assert other.model.adapter is not None
        name, (down, up) = next(iter(other.model.adapter.question_updates.items()))
        other.model.adapter.question_updates = {**other.model.adapter.question_updates, name: (down + change, up)}
        return other.weights

    assert named(0.0) == named(0.0) != named(0.01)


def test_exact_match_and_token_f1() -> None:
    assert exact_match("The Capital is: Onhava.", ["capital is onhava"]) and not exact_match("Onhava", ["Onhav"])
    assert token_f1("capital Onhava", ["Onhava", "x"]) == pytest.approx(2 / 3)
    assert token_f1("首都是乌兰", ["首都"]) == pytest.approx(4 / 7) and token_f1("a", ["b"]) == 0.0


def test_rouge_reads_every_script() -> None:
    assert rouge("乌兰巴托", ["乌兰巴托"]) == {"rouge1": 1.0, "rougeL": 1.0}
    scores = rouge("red blue green", ["green blue red"])
    assert scores["rouge1"] == 1.0 and scores["rougeL"] == pytest.approx(1 / 3)


SAID = ["The sea is cold and deep today.", "Port", "a b c d e f g", "The capital of Zembla is Onhava, a city."]
EXPECTED = ["The ocean is chilly", "Port 4711 is open to all the ships of the world", "g f e", "Onhava"]


def test_token_similarity_is_bertscore() -> None:
    # The right side: bert_score.score(SAID, EXPECTED, model_type=FOLDER_OF_MINILM, num_layers=6), bert-score 0.3.13.
    theirs = [0.6696436405181885, 0.5084928274154663, 0.58087557554245, 0.5302751064300537]
    assert local_similarity()(SAID, EXPECTED) == pytest.approx(theirs, abs=1e-5)
    assert local_similarity()([""], ["x"]) == [0.0] and local_similarity()(["x"], ["x"]) == pytest.approx(
        [1.0], abs=1e-5
    )


def test_bertscore_reads_a_folder_and_takes_the_layer_asked_for() -> None:
    folder = str(packaged_folder("all-MiniLM-L6-v2"))
    usual = load_bertscore(folder)
    assert usual(SAID, EXPECTED) == pytest.approx(local_similarity()(SAID, EXPECTED), abs=1e-5)
    lower = TokenSimilarity(usual._tokenizer, usual._network, 3)
    assert lower(SAID, EXPECTED) != pytest.approx(usual(SAID, EXPECTED), abs=1e-3)


def test_answers_have_bertscore_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = run_experiments(
        ["answers"],
        World(
            Setting(tmp_path, sizes=(20,), questions=2, seeds=(3,), bertscore=str(packaged_folder("all-MiniLM-L6-v2")))
        ),
    )
    (section,) = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["experiments"].values()
    scores, similar = (
        next(chart["lines"] for chart in section["charts"] if chart["file"] == f"answers-plain-{name}")
        for name in ("bertscore", "similarity")
    )
    # The same model as that of the similarity, so the same numbers; those of a piece of its own.
    assert scores == similar and scores["quote"][0][1]["count"] == 2
    assert list((folder / "pieces").glob("bertscore-quote-20-3-*.json"))


def test_bertscore_without_its_model_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["answers", "--bertscore", str(tmp_path / "nowhere"), "--output", str(tmp_path / "out")]
    assert main(["experiment", *given]) == 2
    captured = capsys.readouterr()
    assert "leave --bertscore out" in captured.err and captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_intervals_have_a_width_and_a_seed() -> None:
    sure = mean([1.0] * 20)
    assert sure.value == 1.0 and 0.8 < sure.low < 0.9
    assert mean([0.2, 0.4, 0.9]) == mean([0.2, 0.4, 0.9]) and mean([]).count == 0
    assert mean([0.2, 0.4, 0.9]).low < 0.5 < mean([0.2, 0.4, 0.9]).high


def test_an_interval_holds_its_mean() -> None:
    drawn = [mean([mark] * count) for count in range(1, 200) for mark in (0.0, 1.0, 0.3)]
    assert all(found.low <= found.value <= found.high for found in drawn)


def test_refusal_is_a_detector() -> None:
    found = refusal([True, True, False, False], [False, True, True, False])
    assert (found.precision.value, found.recall.value) == (0.5, 0.5)
    assert refusal([True], [False]).precision.value == 0.0


def test_a_piece_is_measured_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def measure() -> dict[str, int]:
        calls.append(1)
        return {"n": len(calls)}

    first = Pieces(tmp_path, {"torch": "x"})
    assert (
        first.piece("some thing", {"size": 1}, measure) == first.piece("some thing", {"size": 1}, measure) == {"n": 1}
    )
    assert Pieces(tmp_path, {}).piece("some thing", {"size": 2}, measure) == {"n": 2}
    assert Pieces(tmp_path, {}, fresh=True).piece("some thing", {"size": 1}, measure) == {"n": 3}
    (path, _) = sorted(tmp_path.glob("*.json"))
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["made"]["began"] and record["conditions"]["size"] in (1, 2)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="delete it"):
        Pieces(tmp_path, {}).piece("some thing", record["conditions"], measure)


def swapped(base: KnowledgeBase) -> KnowledgeBase:
    """The same vectors, each with the next row's fact."""
    facts = [*base.triples[1:], base.triples[0]]
    return KnowledgeBase.from_embeddings(base.keys, base.values, facts, encoder=base.encoder)


def shifted(questions: list[Question]) -> list[Question]:
    """Each question with the fact that the next one is about."""
    facts = [question.facts for question in questions]
    return [replace(question, facts=other) for question, other in zip(questions, [*facts[1:], facts[0]], strict=True)]


def test_wrong_answers_make_every_retrieval_metric_fall(world: World) -> None:
    base, questions = world.knowledge(40, 3), world.questions(40, 3, ("plain",))
    assert len({question.facts for question in questions}) == len(questions)
    for row in ranks(world, base, shifted(questions), ""):
        assert 0 not in (row["rank"][CHOICE], row["rank"]["BM25"])


def test_swapped_rows_make_retrieval_fall(world: World) -> None:
    base, questions = world.knowledge(40, 3), world.questions(40, 3, KINDS)
    right, wrong = (ranks(world, one, questions, "") for one in (base, swapped(base)))

    def share(rows: list[dict[str, Any]], name: str) -> float:
        return sum(row["rank"][name] == 0 for row in rows) / len(rows)

    layers = [layer_name(layer) for layer in world.model.adapter.config.knowledge_layers]  # type: ignore[union-attr]
    assert set(layers) < set(right[0]["rank"]) and {"dense", "BM25", CHOICE} < set(right[0]["rank"])
    assert share(right, CHOICE) > 0.6 and share(right, "dense") > 0.4 and share(right, layers[0]) > 0.4
    assert share(wrong, "dense") < 0.2
    adapter = world.model.adapter
    assert adapter is not None
    with changed(
        adapter, ABLATIONS["no names"]
    ):  # by names and what facts say, the rows are found whatever their vectors
        right, wrong = (ranks(world, one, questions, "") for one in (base, swapped(base)))
    assert share(wrong, layers[0]) < share(right, layers[0]) > 0.4


@torch.no_grad()
def test_a_changed_adapter_comes_back(world: World) -> None:
    adapter = world.model.adapter
    assert adapter is not None
    before, config = {name: tensor.clone() for name, tensor in adapter.state_dict().items()}, adapter.config
    for name, change in ABLATIONS.items():
        with changed(adapter, change):
            same = adapter.config == config and all(map(torch.equal, adapter.state_dict().values(), before.values()))
            unchanged = name in (WHOLE, ANSWERS)  # ANSWERS changes the knowledge, not the adapter
            assert same == unchanged or name in ("no value slots", "no null row", "no check of quotations")
        assert adapter.config == config and all(map(torch.equal, adapter.state_dict().values(), before.values()))


def test_an_ablation_changes_what_is_refused(world: World) -> None:
    base, questions = world.knowledge(40, 3), world.questions(40, 3, ("unanswerable",))
    way, asked = prepare("quote", world.model, base), [question.text for question in questions]
    with changed(world.model.adapter, ABLATIONS["no refusal"]):  # type: ignore[arg-type]
        assert not any(said.refused for said in way(asked))


def test_edits_leave_their_neighbours_out(world: World) -> None:
    base = world.knowledge(40, 3)
    edits = make_edits(base, 5, 0)
    assert edits == make_edits(base, 5, 0) and edits
    for edit in edits:
        old = base.get(*edit.fact.identity)
        assert old is not None and old.value not in edit.fact.value
        assert all(near.answer != old.value for near in edit.neighbours)


def test_a_run_leaves_a_report_and_repeats_itself(world: World, tmp_path: Path) -> None:
    names = ["retrieval", "attention"]
    folder = run_experiments(names, world)
    measured = world.pieces.measured
    first = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["experiments"]
    run_experiments(names, world)
    assert world.pieces.measured == measured, "nothing is measured twice"
    again = World(Setting(tmp_path, sizes=SIZES, questions=QUESTIONS, seeds=(3,)))
    run_experiments(names, again)
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["experiments"] == first
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page and "http" not in page and "top-1 accuracy" in page
    report = (folder / "report.md").read_text(encoding="utf-8")
    plots = sorted(path.stem for path in (folder / "plots").glob("*.png"))
    assert len(plots) == 8 and all(f"plots/{plot}.png" in report for plot in plots)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["magic"], "there is no experiment 'magic'"),
        (["cost", "--sizes", "5", "2"], "ascending"),
        (["cost", "--questions", "0"], "at least 1"),
        (["cost", "--dataset", "nowhere.json"], "no file nowhere.json"),
        (["cost", "--output", __file__], "name a folder"),
    ],
)
def test_bad_options_are_one_sentence(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", *given]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""


@pytest.mark.slow
def test_every_experiment(tmp_path: Path) -> None:
    options = "all --sizes 20 60 --questions 2 --seeds 0 --output".split()
    assert main(["experiment", *options, str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out" / "plots").glob("*.png"))) > 12
