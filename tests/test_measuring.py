"""The benchmark's contenders, its refusals and its command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from kblam.cli import main
from kblam.errors import InputError
from kblam.extras import pip_install
from kblam.measuring import equality, speed
from kblam.measuring.answers import AnswerRow, answers_table, measure_answers
from kblam.measuring.clock import Peak, bandwidth, peak_memory, seconds
from kblam.measuring.contenders import CONTENDERS, kept_bytes
from kblam.measuring.decoders import random_rows
from kblam.measuring.equality import UnequalError, check_equalities
from kblam.measuring.original import OriginalAlgorithm, built_bytes
from kblam.measuring.report import speed_table
from kblam.measuring.speed import Row, SpeedOptions, build_bench, measure_speed

TINY = SpeedOptions(shape="tiny", facts=(30,), tokens=5, made=1, rounds=1, dtype="float32")


def test_all_forms_agree() -> None:
    assert all(difference < 0.01 for difference in check_equalities().values())


def test_a_form_that_disagrees_stops_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = equality.knowledge_attention

    def wrong(*given: object, **options: object) -> object:
        output, log_sum_exp = right(*given, **options)  # type: ignore[arg-type]
        return output * 1.01, log_sum_exp

    monkeypatch.setattr(equality, "knowledge_attention", wrong)
    with pytest.raises(UnequalError, match="latent form and formula differ by"):
        check_equalities()
    assert main(["benchmark", "--shape", "tiny", "--facts", "10", "--no-answers"]) == 2
    said = capsys.readouterr()
    assert "no speed is shown" in said.err and said.out == ""


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="torch finds no GPU"):
        SpeedOptions(device="cuda:0")


def test_an_index_is_left_out_without_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "find_spec", lambda name: None)
    rows, _ = measure_speed(TINY, ["ours, retrieve once, ann"])
    assert rows[0].left_out == f"needs faiss: {pip_install('ann')}" and rows[0].prefill is None


@torch.no_grad()
def test_the_originals_algorithm_is_attention_to_built_rows() -> None:
    bench = build_bench(TINY)
    latents = bench.exact.latents(*random_rows(30, torch.float32))
    plain = bench.decoder(bench.question).logits
    original = OriginalAlgorithm(bench.decoder, bench.exact, latents)
    with original.attend():
        whole = bench.decoder(bench.question).logits
        first = bench.decoder(bench.question[:, :3], use_cache=True)
        rest = bench.decoder(bench.question[:, 3:], past_key_values=first.past_key_values).logits
    torch.testing.assert_close(rest, whole[:, 3:], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(whole, plain, atol=1e-4)
    assert torch.equal(bench.decoder(bench.question).logits, plain), "nothing is left behind"
    assert built_bytes(bench.exact, 30) == 30 * 2 * 2 * 64 * 4


@pytest.mark.parametrize("name", list(CONTENDERS))
@torch.no_grad()
def test_every_contender_answers_and_leaves_the_model_alone(name: str) -> None:
    bench = build_bench(TINY)
    plain = bench.decoder(bench.question).logits
    contender = CONTENDERS[name](bench, 30)
    with contender.attend():
        ids = contender.prompt()
        made = bench.decoder(ids).logits
    contender.close()
    assert ids.shape[1] == 5 + {"in context": 600, "RAG, top 5": 100}.get(name, 0)
    assert torch.equal(made[:, -1], plain[:, -1]) == (name == "no knowledge")
    assert torch.equal(bench.decoder(bench.question).logits, plain)
    assert kept_bytes(name, bench, 60) == 2 * kept_bytes(name, bench, 30)


def test_bytes_of_a_fact() -> None:
    bench = build_bench(SpeedOptions(shape="tiny"))
    assert kept_bytes("ours, retrieve once", bench, 1) <= 1600
    assert kept_bytes("ours, retrieve once, int8", bench, 1) <= 800


def test_what_would_take_too_much_is_left_out_and_says_so() -> None:
    options = SpeedOptions(
        shape="tiny", facts=(10, 300), tokens=5, made=1, rounds=1, dtype="float32", most_bytes=210_000
    )
    rows, machine = measure_speed(options, ["no knowledge", "ours, exact", "in context"])
    reasons = {(row.method, row.facts): row.left_out for row in rows if row.left_out}
    assert list(reasons) == [("ours, exact", 300), ("in context", 300)]
    assert reasons["ours, exact", 300] == "would take 0.0 GB" and machine["weight bytes"] > 0
    kept = [row for row in rows if row.left_out is None]
    assert all(row.prefill and row.decode and row.prefill_ratio and row.decode_bound for row in kept)
    long = measure_speed(SpeedOptions(shape="tiny", facts=(300,), tokens=5, made=1, rounds=1), ["in context"])[0]
    assert long[0].left_out == "longer than the window of 4,096 tokens"


def test_options_that_make_no_sense() -> None:
    for given in ({"shape": "gpt"}, {"dtype": "int3"}, {"rounds": 0}, {"facts": (5, 2)}, {"facts": ()}, {"layers": 1}):
        with pytest.raises(InputError):
            SpeedOptions(**given)  # type: ignore[arg-type]


def test_the_command_writes_table_json_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--shape tiny --facts 10 40 --rounds 1 --no-answers --dtype float32 --output".split()
    assert main(["benchmark", *options, str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "speed.json").read_text(encoding="utf-8"))
    assert {row["method"] for row in record["rows"]} == set(CONTENDERS) and all(name in table for name in CONTENDERS)
    assert record["options"]["facts"] == [10, 40] and record["differences"]
    for name in ("time.png", "memory.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "given", [["--methods", "magic"], ["--threads", "0"], ["--shape", "gpt"], ["--facts", "0"], ["--output", __file__]]
)
def test_bad_options_are_one_sentence(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--no-answers", *given]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and said.out == ""


def test_memory_is_watched() -> None:
    with peak_memory() as peak:
        held = torch.ones(1 << 24)
        del held
        first = peak.bytes
        peak.restart()
    if first is None:
        pytest.skip("this system does not say")
    assert Peak("cpu").bytes == 0 or first >= 0
    assert bandwidth(megabytes=1) > 0 and seconds(lambda: None) >= 0


def test_real_answers() -> None:
    rows = measure_answers((25,), 2)
    assert [row.method for row in rows] == [
        "no knowledge",
        "ours",
        "ours, int8",
        "in context",
        "RAG, top 1",
        "RAG, top 5",
    ]
    by_name = {row.method: row.right for row in rows}
    assert by_name["ours"] == by_name["ours, int8"] == 1.0 and by_name["no knowledge"] == 0.0
    assert "1.000" in answers_table(rows)
    assert "(too long)" in answers_table([AnswerRow("in context", 9, 1, None, None, "too long")])


def test_a_table_of_what_was_left_out() -> None:
    rows = [Row("ours, exact", 10, 5, prefill=0.5, decode=2.0), Row("in context", 10, 2 * 10**9, left_out="too long")]
    table = speed_table(rows)
    assert "500.0 ms" in table and "2.00 s" in table and "2.00 GB  (too long)" in table
    assert speed.NOTHING in CONTENDERS
