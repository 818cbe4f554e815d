"""Runs of training: what a step does, what a run leaves, and that breaking off changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import WIDTH, WordsEncoder, logged, make_folder, steps, tiny_llama, tiny_options
from transformers import AutoTokenizer

import kblam.training.reading
import kblam.training.run
from kblam.answering.prompts import REFUSAL
from kblam.cli import main
from kblam.errors import InputError, KnowledgeError, ModelError
from kblam.knowledge import Triple
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape
from kblam.models.pretrained import SHIPPED, load_pretrained
from kblam.synthesis.dataset import Entry, read_dataset, write_dataset
from kblam.synthesis.questions import Question
from kblam.training.embedding import cached_pair, embed_lessons, embed_texts
from kblam.training.lessons import Lessons, Mixture
from kblam.training.losses import Weights
from kblam.training.options import Options
from kblam.training.reading import MASKED_SHARES, calibrate_names
from kblam.training.run import train, work_folder
from kblam.training.vectors import Schedule, VectorTraining

ENCODER = WordsEncoder()
MEASURED = {"top-1": 1.0, "refusal": 1.0, "token accuracy": 1.0}
SCRIPT = Path(__file__).with_name("tiny_training.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def lessons(folder: Path) -> Lessons:
    return embed_lessons(read_dataset(folder / "data" / "train.jsonl"), ENCODER, folder / "cache")


def training(lessons: Lessons, base: Any = None, **changed: Any) -> VectorTraining:
    base = base or tiny_llama()
    torch.manual_seed(1)
    prior = lessons.asked is not None
    config = AdapterConfig(
        "words", WIDTH, "tiny", (0, 1), retrieval_layer=0, question_prior=prior, **attention_shape(base, (0, 1))
    )
    mixture = Mixture(first_rows=30, rows=60, negatives=2, unanswerable=0.3)
    schedule = replace(Schedule(steps=10, batch=4, warmup=2, mixture=mixture, weights=Weights(top_k=8)), **changed)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED / "base")
    return VectorTraining(base, tokenizer, Adapter.for_model(base, config), lessons, schedule)


# What a step takes from a dataset


def test_a_pick_comes_from_its_seed_and_holds_what_its_questions_need(lessons: Lessons) -> None:
    mixture = Mixture(first_rows=50, rows=100, unanswerable=0.4)
    picked = lessons.pick(mixture, 60, 0.0, "a")
    assert (
        picked.questions
        == lessons.pick(mixture, 60, 0.0, "a").questions
        != lessons.pick(mixture, 60, 0.0, "b").questions
    )
    rows = set(picked.rows.tolist())
    for index in picked.questions:
        assert rows >= {*lessons.needed[index], lessons.home[index]}
        siblings = lessons.by_entity[lessons.facts[lessons.home[index]].entity]
        assert rows >= set(siblings), "the entity's other facts are the hardest to tell apart"
    missing = [lessons.questions[index].kind == "unanswerable" for index in picked.questions]
    assert 0.2 < (sum(missing) + sum(picked.hidden)) / 60 < 0.6 and any(missing) and any(picked.hidden)


def test_knowledge_grows() -> None:
    mixture = Mixture(first_rows=100, rows=1600, growing=0.5)
    assert [mixture.rows_at(at) for at in (0.0, 0.125, 0.25, 0.5, 1.0)] == [100, 200, 400, 1600, 1600]


def test_near_duplicates_are_among_the_rows() -> None:
    names = [*(f"Zembla {number}" for number in range(40)), *(f"{number} Qrx" for number in range(400))]
    facts = tuple(Triple(name, "capital", name) for name in names)
    vectors = torch.from_numpy(ENCODER.encode([fact.key_text for fact in facts])).half()
    question = Question("?", "Zembla 0", (facts[0].identity,), "plain")
    lessons = Lessons(facts, vectors, vectors, (question,), vectors[:1], ((0,),), (0,))
    picked = lessons.pick(Mixture(first_rows=10, rows=10, negatives=8, unanswerable=0.0), 1, 0.0, "")
    assert len(picked.rows) == 10 and sum(row < 40 for row in picked.rows.tolist()) >= 9


def test_an_exercise_hides_what_it_refuses(lessons: Lessons) -> None:
    picked = lessons.pick(Mixture(first_rows=50, rows=50, unanswerable=0.5), 40, 0.0, "x")
    exercise = lessons.exercise(picked, range(40), torch.device("cpu"))
    torch.testing.assert_close(exercise.target.sum(1), torch.ones(40))
    for at, (index, hidden) in enumerate(zip(picked.questions, picked.hidden, strict=True)):
        refused = hidden or not lessons.needed[index]
        assert (
            (exercise.answers[at] == REFUSAL) == refused == (exercise.target[at, -1] == 1) == (not exercise.shown[at])
        )
        gone = {int(row) for row in picked.rows[exercise.hidden[at] == -torch.inf]}
        assert gone == (set(lessons.needed[index]) if hidden else set())
        wanted = {int(row) for row in picked.rows[exercise.target[at, :-1] > 0]}
        assert wanted == (set() if refused else set(lessons.needed[index]))


def test_a_question_whose_fact_is_nowhere_is_named(tmp_path: Path) -> None:
    lost = Question("Where?", "x", (("Zembla", "place"),), "plain")
    with pytest.raises(KnowledgeError, match=r"'Where\?' needs a fact"):
        embed_lessons([Entry(Triple("Zembla", "size", "5"), (lost,))], ENCODER, tmp_path)


def test_texts_are_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_texts(["a b", "c"], ENCODER, tmp_path)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr(WordsEncoder, "encode", lambda *_: pytest.fail("it was embedded again"))
    assert torch.equal(embed_texts(["a b", "c"], ENCODER, tmp_path), first)
    monkeypatch.undo()
    file.write_bytes(file.read_bytes()[:-3])
    assert torch.equal(embed_texts(["a b", "c"], ENCODER, tmp_path), first)


# What a step does


def test_a_batch_may_be_divided_in_any_way(lessons: Lessons) -> None:
    whole, parts = training(lessons, batch=8), training(lessons, batch=2, accumulate=4)
    for step in range(3):
        one, other = whole.step(step), parts.step(step)
        assert one == pytest.approx(other, rel=1e-4)
    for one, other in zip(whole.trained, parts.trained, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_teacher_is_listened_to(lessons: Lessons) -> None:
    taught = training(lessons, weights=Weights(top_k=8, teacher=1000.0), rate=1e-2)
    before = taught.step(0)["teacher"]
    assert before > 0
    for _ in range(25):
        after = taught.step(0)["teacher"]
    assert after < 0.9 * before


def test_a_base_in_half_precision_is_trained(lessons: Lessons) -> None:
    half = training(lessons, tiny_llama().to(torch.bfloat16))
    first = half.step(1)["answer"]
    for _ in range(12):
        last = half.step(1)["answer"]
    assert last < first and all(tensor.dtype == torch.float32 for tensor in half.trained)


def test_without_embedded_questions_the_models_own_query_is_trained(lessons: Lessons) -> None:
    blind = training(replace(lessons, asked=None), weights=Weights(top_k=8, retrieval=5.0), rate=1e-2)
    first = blind.step(1)["retrieval"]
    for _ in range(12):
        last = blind.step(1)["retrieval"]
    assert last < first


def test_measuring_repeats_itself_and_shuffled_knowledge_is_other_knowledge(lessons: Lessons) -> None:
    run = training(lessons, rate=1e-2)
    for step in range(8):
        run.step(step)
    once = run.measure(lessons, 40, 12)
    assert once == run.measure(lessons, 40, 12)
    assert once["answer"] != run.measure(lessons, 40, 12, shuffle=True)["answer"]
    assert once["retrieval"] == pytest.approx(run.measure(lessons, 40, 12, shuffle=True)["retrieval"], rel=0.5)


# What a run leaves


def test_a_run_leaves_a_model_a_checkpoint_a_log_and_a_picture(folder: Path) -> None:
    options = tiny_options(folder, "whole")
    measured = train(options, encoder=ENCODER)
    rows = logged(options)
    assert [row["step"] for row in rows if "validation" not in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "validation" in row] == [3, 6]
    assert "answer, shuffled" in rows[3]["validation"]
    work = work_folder(options.output)
    assert (work / "training.png").stat().st_size > 1000 and any((work / "tensorboard").iterdir())
    parts = load_pretrained(options.output)
    assert parts.adapter is not None and parts.base_model == str(folder / "model")
    assert parts.adapter.provenance["options"]["seed"] == 0 and parts.adapter.provenance["measured"] == measured
    assert not list(folder.rglob("*.part"))


def test_a_run_repeats_itself(folder: Path) -> None:
    options = [tiny_options(folder, name, total_steps=3) for name in ("one", "other")]
    results = [train(each, encoder=ENCODER) for each in options]
    assert results[0] == results[1] and steps(options[0]) == steps(options[1])


def test_a_run_that_broke_off_goes_on_as_if_it_had_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tiny_options(folder, "unbroken"), tiny_options(folder, "broken")
    result = train(whole, encoder=ENCODER)
    with monkeypatch.context() as patched:
        step = VectorTraining.step
        patched.setattr(VectorTraining, "step", lambda self, number: 1 / 0 if number == 5 else step(self, number))
        with pytest.raises(ZeroDivisionError):
            train(broken, encoder=ENCODER)
    assert not Path(broken.output).exists() and [row["step"] for row in steps(broken)] == [1, 2, 3, 4, 5]
    monkeypatch.setattr(kblam.training.reading, "train_prior", lambda *_, **__: pytest.fail("it was learnt before"))
    assert train(broken, resume=True, encoder=ENCODER) == result
    assert logged(broken) == logged(whole)
    weights = [Adapter.load(options.output).state_dict() for options in (whole, broken)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_ctrl_c_ends_a_run_behind_its_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = tiny_options(folder, "interrupted", save_every=100)
    step = VectorTraining.step

    def interrupted(self: VectorTraining, number: int) -> dict[str, float]:
        if number == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number)

    with monkeypatch.context() as patched:
        patched.setattr(VectorTraining, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(options, encoder=ENCODER)
    assert len(steps(options)) == 4
    with pytest.raises(InputError, match="stopped after 4 of 6 steps: go on with --resume"):
        train(options, encoder=ENCODER)
    train(options, resume=True, encoder=ENCODER)
    whole = tiny_options(folder, "not interrupted", save_every=100)
    train(whole, encoder=ENCODER)
    assert steps(options) == steps(whole)


def run_script(folder: Path, changed: dict[str, Any], launcher: list[str] | None = None) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), *sys.path]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *(launcher or []), str(SCRIPT), str(folder), json.dumps(changed)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_killed_process_goes_on(folder: Path) -> None:
    many = {"total_steps": 40, "save_every": 1, "name": "killed"}
    process = run_script(folder, many)
    state = work_folder(folder / "killed") / "checkpoint" / "state.json"
    deadline = time.monotonic() + 120
    while not (state.exists() and json.loads(state.read_text(encoding="utf-8"))["step"] >= 3):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "killed").exists()
    assert run_script(folder, many | {"resume": True}).wait() == 0
    assert run_script(folder, many | {"name": "never killed"}).wait() == 0
    killed, whole = (tiny_options(folder, name) for name in ("killed", "never killed"))
    assert steps(killed) == steps(whole) and len(steps(whole)) == 40


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_twice_the_batch(folder: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    assert run_script(folder, {"name": "two", "B": 4, "total_steps": 4}, torchrun).wait() == 0
    assert run_script(folder, {"name": "single", "B": 8, "total_steps": 4}).wait() == 0
    two, single = (steps(tiny_options(folder, name)) for name in ("two", "single"))
    assert len(two) == len(single) == 4
    for one, other in zip(two, single, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_training_stops_when_nothing_gets_better(folder: Path) -> None:
    options = tiny_options(folder, "stopped", total_steps=40, validate_every=1, patience=2, lr=3.0)
    train(options, encoder=ENCODER)
    measured = [row["validation"]["loss"] for row in logged(options) if "validation" in row]
    assert len(measured) < 40 and min(measured[-2:]) >= min(measured)
    about = json.loads((Path(options.output) / "kblam.json").read_text(encoding="utf-8"))["provenance"]
    assert measured[about["best_step"] - 1] == min(measured)


def test_stages_can_be_left_out(folder: Path) -> None:
    options = tiny_options(folder, "prior only", stages=("prior",))
    train(options, encoder=ENCODER)
    adapter = Adapter.load(options.output)
    assert adapter.question_key is not None and not torch.equal(adapter.question_key, torch.eye(WIDTH))
    again = tiny_options(folder, "vectors only", stages=("vectors",), adapter=options.output, total_steps=2)
    train(again, encoder=ENCODER)
    after = Adapter.load(again.output)
    assert after.question_key is not None and torch.equal(after.question_key, adapter.question_key)
    assert not torch.equal(after.key_weight, adapter.key_weight)


def test_the_weight_of_the_question_without_its_names_is_the_one_that_finds_most(lessons: Lessons) -> None:
    adapter = training(lessons).adapter
    assert adapter.name_bonus is not None
    found = calibrate_names(adapter, lessons, ENCODER, 150, 60, 0)
    best = float(adapter.name_bonus[2])
    assert best in MASKED_SHARES and 0 < found <= 1
    for share in set(MASKED_SHARES) - {best}:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(kblam.training.reading, "MASKED_SHARES", (share,))
            assert calibrate_names(adapter, lessons, ENCODER, 150, 60, 0) <= found


@pytest.mark.slow
def test_the_encoder_itself_learns_to_read(folder: Path) -> None:
    options = tiny_options(folder, "encoder", prior="encoder", prior_steps=3, total_steps=2, N=60)
    train(options)
    assert Adapter.load(options.output).question_updates
    with pytest.raises(InputError, match="does not run here"):
        train(tiny_options(folder, "not here", prior="encoder"), encoder=ENCODER)


def test_one_file_is_divided_by_entity(folder: Path) -> None:
    options = tiny_options(folder, "one file", dataset=str(folder / "data" / "train.jsonl"), total_steps=1)
    assert "top-1" in train(options, encoder=ENCODER)


def test_nothing_to_resume(folder: Path) -> None:
    with pytest.raises(ModelError, match="there is no checkpoint"):
        train(tiny_options(folder, "new"), resume=True, encoder=ENCODER)


def test_cached_vectors_are_those_of_the_facts(tmp_path: Path) -> None:
    facts = [Triple("Zembla", name, "x") for name in ("a", "b", "c")]
    rows = [{"name": fact.entity, "description_type": fact.property, "description": fact.value} for fact in facts]
    (tmp_path / "synthetic.json").write_text(json.dumps(rows), encoding="utf-8")
    numbers = np.arange(6, dtype=np.float32).reshape(3, 2)
    for half in ("key", "value"):
        np.save(tmp_path / f"synthetic_all-MiniLM-L6-v2_embd_{half}.npy", np.resize(numbers, (3, 384)))
    entries = [Entry(facts[2], ()), Entry(facts[0], ())]
    pair = cached_pair(tmp_path / "synthetic.json", entries, "all-MiniLM-L6-v2")
    assert pair is not None
    np.testing.assert_array_equal(pair[0].float(), np.resize(numbers, (3, 384))[[2, 0]])
    assert cached_pair(tmp_path / "synthetic.json", entries, "text-embedding-ada-002") is None
    with pytest.raises(KnowledgeError, match="no vectors for some facts"):
        cached_pair(tmp_path / "synthetic.json", [Entry(Triple("a", "b", "c"), ())], "all-MiniLM-L6-v2")


def test_cached_vectors_without_a_key_train_an_adapter_as_in_the_paper(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    data = folder / "original"
    data.mkdir()
    entries = read_dataset(folder / "data" / "train.jsonl")
    write_dataset(data / "train.jsonl", entries)
    write_dataset(data / "validation.jsonl", entries[:20])
    vectors = np.random.default_rng(0).standard_normal((len(entries), 1536)).astype(np.float32)
    for half in ("key", "value"):
        np.save(data / f"train_OAI_embd_{half}.npy", vectors)
    options = tiny_options(folder, "as in the paper", dataset=str(data), encoder_spec="OAI", total_steps=2)
    train(options)
    adapter = Adapter.load(options.output)
    assert not adapter.config.question_prior and adapter.config.encoder == "text-embedding-ada-002"
    with pytest.raises(InputError, match="leave --use_cached_embd out"):
        train(tiny_options(folder, "not there", use_cached_embd=True), encoder=ENCODER)


# The command line


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["train", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_pages_command_without_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    page = "--dataset synthetic_data --N 120000 --B 20 --total_steps 601 --encoder_spec OAI --use_oai_embd --key_embd_src key --use_data_aug"
    line = sentence(capsys, *page.split())
    assert "set OPENAI_API_KEY" in line and "cached vectors" in line and "all-MiniLM-L6-v2" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--B", "0"], "--B is at least 1"),
        (["--lr", "0"], "greater than 0"),
        (["--stages", "bed"], "--stages is some of"),
        (["--precision", "int3"], "--precision is"),
        (["--prior", "bed"], "--prior is maps or encoder"),
        (["--multi_entities", "4"], "--multi_entities is"),
        (["--outlier_ratio", "19"], "--outlier_ratio is"),
        (["--dataset", "nowhere"], "there is no dataset nowhere"),
        (["--resume", "nowhere"], "there is no checkpoint"),
        (["--wandb", "x"], "pip install wandb"),
    ],
)
def test_options_that_make_no_sense(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in sentence(capsys, *arguments) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--tune_llm_q", "--total_step", "--key_embd_src=answer"])
def test_unknown_flags_are_errors(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", flag])
    assert stopped.value.code == 2 and flag.split("=")[0] in capsys.readouterr().err


def test_a_run_that_goes_on_keeps_its_options(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = tiny_options(folder, "kept", total_steps=2)
    train(options, encoder=ENCODER)
    seen: list[tuple[Options, bool]] = []
    monkeypatch.setattr(
        kblam.training.run,
        "train",
        lambda *given: seen.append(given) or MEASURED,
    )  # type: ignore[func-returns-value]
    for given in (
        ["--resume", options.output],
        ["--resume", "--output", options.output],
        ["--model_dir_to_resume", options.output],
    ):
        assert main(["train", *given]) == 0
    assert seen == [(options, True)] * 3
    capsys.readouterr()
    assert "--B 7 cannot be changed" in sentence(capsys, "--resume", options.output, "--B", "7")


def test_flags_reach_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Options] = []
    monkeypatch.setattr(kblam.training.run, "train", lambda options, resume: seen.append(options) or MEASURED)  # type: ignore[func-returns-value]
    (tmp_path / "enron.json").touch()
    main(
        [
            "train",
            "--train_dataset",
            "enron",
            "--dataset_dir",
            str(tmp_path),
            "--no-use_data_aug",
            "--multi_entities",
            "1",
        ]
    )
    assert seen[0].dataset == str(tmp_path / "enron.json")
    assert set(seen[0].schedule(256).mixture.kinds) == {"plain", "open"}
    assert seen[0].schedule(1024).rate == pytest.approx(1.5e-3)
    with pytest.raises(InputError, match="retrieval_layer"):
        Options(retrieval_layer=9).layers(4)
    assert Options().layers(4) == (1, 2, 3) and Options().layers(32) == (10, 13, 16, 19, 22, 25, 28, 31)


@pytest.mark.parametrize("script", ["train.py", "dataset_generation/gen_synthetic_data.py"])
def test_the_pages_scripts_run_as_files(script: str) -> None:
    root = SCRIPT.parents[1]
    shown = subprocess.run([sys.executable, root / script, "--help"], capture_output=True, text=True, check=True).stdout
    assert "example" in shown and ("--use_oai_embd" in shown or "--endpoint_url" in shown)
