"""The page's commands on its own two facts, and what they say to bad input."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from kblam import KBLaM, ask, cli, evaluate, integrate, test
from kblam.doors import run_door
from kblam.knowledge import KnowledgeBase, Triple
from kblam.knowledge.embed import main as embed
from kblam.models import pretrained, shipped

ROOT = Path(__file__).resolve().parents[1]
AI = '{"entity": "AI", "description": "人工智能是模拟人类智能的技术"}\n'
KBLAM = '{"entity": "KBLaM", "description": "微软开发的知识增强工具"}\n'


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


def door(main: Callable[[list[str]], object], *arguments: object) -> Said:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_door(lambda: main([str(argument) for argument in arguments]))
    return Said(code, out.getvalue(), err.getvalue())


def refused_in_one_sentence(said: Said, *words: object) -> None:
    assert said.code == 2 and said.out == "", said
    assert said.err.count("\n") == 1 and "Traceback" not in said.err, said
    assert all(str(word) in said.err for word in words), said


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after the page's first two commands: knowledge.json, embeddings.npy, enhanced_model."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "knowledge.json").write_text(AI, encoding="utf-8")
    assert door(embed, "--input", folder / "knowledge.json", "--output", folder / "embeddings.npy").code == 0
    arguments = ("--model", "default", "--kb", folder / "embeddings.npy", "--output", folder / "enhanced_model")
    said = door(integrate.main, *arguments)
    assert said == Said(0, f"1 fact added, 0 replaced, 0 unchanged -> {folder / 'enhanced_model'}\n", "")
    return folder


# The page


def test_the_page_answers_and_refuses_before_the_update(page: Path) -> None:
    said = door(
        evaluate.main, "--model", page / "enhanced_model", "--question", "AI是什么?", "--question", "KBLaM是什么?"
    )
    assert said.code == 0 and said.err == ""
    first, second = said.out.split("Not in the knowledge base.")
    assert "模拟人类智能的技术" in first and "%  AI · description: 人工智能是模拟人类智能的技术" in first
    assert "微软" not in second


def test_the_update_adds_what_is_new_and_keeps_the_old_model(page: Path, tmp_path: Path) -> None:
    (tmp_path / "updated_knowledge.json").write_text(AI + KBLAM, encoding="utf-8")
    new, updated = tmp_path / "new_embeddings.npy", tmp_path / "updated_model"
    assert door(embed, "--input", tmp_path / "updated_knowledge.json", "--output", new).code == 0
    said = door(integrate.main, "--model", page / "enhanced_model", "--kb", new, "--output", updated)
    assert said.out == f"1 fact added, 0 replaced, 1 unchanged -> {updated}\n"
    said = door(evaluate.main, "--model", updated, "--question", "KBLaM是什么?", "--question", "AI是什么?", "--json")
    known, old = (json.loads(line) for line in said.out.splitlines())
    assert "微软开发的知识增强工具" in known["answer"] and known["citations"][0]["entity"] == "KBLaM"
    assert "模拟人类智能的技术" in old["answer"] and old["knowledge"]["rows"] == 2
    assert len(KnowledgeBase.from_file(page / "enhanced_model" / "knowledge")) == 1


def test_a_fact_is_replaced_in_the_same_directory(page: Path, tmp_path: Path) -> None:
    shutil.copytree(page / "enhanced_model", tmp_path / "model")
    (tmp_path / "new.csv").write_text("entity,description\nAI,a field of study\n", encoding="utf-8")
    said = door(
        integrate.main, "--model", tmp_path / "model", "--kb", tmp_path / "new.csv", "--output", tmp_path / "model"
    )
    assert said.code == 0 and said.out.startswith("0 facts added, 1 replaced, 0 unchanged")
    assert KnowledgeBase.from_file(tmp_path / "model" / "knowledge").triples[0].value == "a field of study"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "new.csv"]


def test_the_scripts_run_as_files_from_any_folder(page: Path, tmp_path: Path) -> None:
    shutil.copy(page / "embeddings.npy", tmp_path)
    script = [sys.executable, str(ROOT / "src" / "kblam" / "integrate.py")]
    command = [*script, "--model", "default", "--kb", "embeddings.npy", "--output", "enhanced_model"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    script = [sys.executable, str(ROOT / "src" / "kblam" / "evaluate.py")]
    command = [*script, "--model", "enhanced_model", "--question", "AI是什么?"]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, encoding="utf-8")
    assert "模拟人类智能的技术" in said.stdout and said.stderr == ""


def test_knowledge_for_one_question_is_not_written(page: Path, tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text(KBLAM, encoding="utf-8")
    said = door(ask.main, "KBLaM是什么?", "--model", page / "enhanced_model", "--kb", tmp_path / "more.jsonl", "--json")
    assert json.loads(said.out)["knowledge"]["rows"] == 2
    assert len(KnowledgeBase.from_file(page / "enhanced_model" / "knowledge")) == 1


@pytest.mark.parametrize("extra", [(), ("--kb", "more.jsonl")])
def test_rows_are_compared_as_asked_for(
    extra: tuple[str, ...], page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more.jsonl").write_text(KBLAM, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    attached: list[object] = []
    attach = KBLaM.attach
    monkeypatch.setattr(KBLaM, "attach", lambda self, *given: attached.append(given[1:]) or attach(self, *given))
    said = door(ask.main, "AI是什么?", "--model", page / "enhanced_model", "--scan", "int8", *extra)
    assert "模拟人类智能的技术" in said.out and attached[-1] == ("int8",)


def test_the_installation_check_passes() -> None:
    said = door(test.main)
    assert said.code == 0 and said.out.count("✓") == len(test.CHECKS) and "✗" not in said.out, said.out


def test_an_altered_weight_file_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "default_hashes", lambda: {"base/model.safetensors": ("a", "b")})
    with pytest.raises(test._FailedError, match=r"base/model\.safetensors not as shipped .* install"):
        test.weights()


# Other models


def test_a_hub_name_reaches_the_hub_loader(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class NoHub:
        @staticmethod
        def from_pretrained(name: str, **options: Any) -> None:
            asked.append(name)
            raise OSError("the hub cannot be reached")

    monkeypatch.setattr(pretrained, "AutoConfig", NoHub)
    name = "meta-llama/Meta-Llama-3-8B-Instruct"
    said = door(
        integrate.main, "--model", name, "--kb", page / "embeddings.npy", "--output", tmp_path / "enhanced_model"
    )
    refused_in_one_sentence(said, name, "the hub cannot be reached", "--model default")
    assert asked == [name] and not any(tmp_path.iterdir())


def tiny_local_model(folder: Path) -> Path:
    words = {word: row for row, word in enumerate(["<pad>", "<end>", "<unk>", "the", "of", "is"])}
    plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_without_an_adapter_is_kept_by_name_and_says_so(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    base = tiny_local_model(tmp_path / "base")
    assert door(integrate.main, "--model", "base", "--kb", page / "embeddings.npy", "--output", "enhanced").code == 0
    about = json.loads((tmp_path / "enhanced" / "kblam.json").read_text(encoding="utf-8"))
    assert (about["base_model"], about["adapter"], about["facts"]) == (str(base.resolve()), False, 1)
    assert not list((tmp_path / "enhanced").glob("*.safetensors"))
    said = door(evaluate.main, "--model", "enhanced", "--question", "What is the description of AI?", "--json")
    assert said.code == 0 and said.err.count("no trained adapter") == 1
    assert json.loads(said.out)["citations"][0]["entity"] == "AI"


# Bad input


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["does not exist"]),
        ("", ["is empty"]),
        ('[{"entity": "AI",\n "description" 3}]', ["line 2, column 16"]),
        ('{"entity": "AI"}', ["row 1 on line 1", "description is missing"]),
        ('{"entity": "AI", "description": "' + "x" * 10_000_000 + '"}', ["10,000,000 characters"]),
    ],
    ids=["missing", "empty", "broken", "no value", "10 MB"],
)
@pytest.mark.parametrize("main", [integrate.main, embed], ids=["integrate", "embed"])
def test_unusable_facts(main: Callable[..., None], text: str | None, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    said = door(main, "--kb" if main is integrate.main else "--input", path, "--output", tmp_path / "result")
    refused_in_one_sentence(said, path, *words)
    assert sorted(tmp_path.iterdir()) == before


def test_contradicting_facts_are_said_once_and_the_last_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"entity": "AI", "description": value} for value in ("one", "two", "three")]
    (tmp_path / "facts.json").write_text(json.dumps(rows), encoding="utf-8")
    said = door(integrate.main, "--kb", tmp_path / "facts.json", "--output", tmp_path / "model")
    assert said.code == 0 and len(caplog.records) == 1
    assert [triple.value for triple in KnowledgeBase.from_file(tmp_path / "model" / "knowledge")] == ["three"]


def not_a_number(path: Path, _: Path) -> None:
    record = np.load(path).copy()
    record["keys"][0, 5] = np.nan
    np.save(path, record)


def cut_short(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def pickled(path: Path, _: Path) -> None:
    np.save(path, np.array([{"entity": "AI"}], dtype=object), allow_pickle=True)


def of_another_encoder(path: Path, _: Path) -> None:
    vectors = np.ones((1, 1536), dtype=np.float16)
    triples = [Triple("AI", "description", "x")]
    KnowledgeBase.from_embeddings(vectors, vectors, triples, "text-embedding-ada-002").save(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (not_a_number, ["NaN", "row 1"]),
        (cut_short, ["cut short"]),
        (pickled, ["objects"]),
        (of_another_encoder, ["text-embedding-ada-002", "all-MiniLM-L6-v2"]),
    ],
)
@pytest.mark.parametrize("reference", ["default", "enhanced_model"])
def test_unusable_vectors(
    spoil: Callable[[Path, Path], None], words: list[str], reference: str, page: Path, tmp_path: Path
) -> None:
    path = shutil.copy(page / "embeddings.npy", tmp_path / "embeddings.npy")
    spoil(path, tmp_path)
    model = reference if reference == "default" else page / reference
    said = door(integrate.main, "--model", model, "--kb", path, "--output", tmp_path / "result")
    refused_in_one_sentence(said, path, *words)
    assert [entry.name for entry in tmp_path.iterdir()] == ["embeddings.npy"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda model: cut_short(model / "adapter.safetensors", model),
        lambda model: (model / "adapter.json").unlink(),
        lambda model: (model / "kblam.json").write_text('{"format": ', encoding="utf-8"),
        lambda model: (model / "kblam.json").unlink(),
        lambda model: shutil.rmtree(model / "knowledge"),
        lambda model: (model / "knowledge" / "facts.sqlite3").write_bytes(b"SQLite format 3" + b"x" * 5000),
    ],
    ids=["weights", "adapter.json", "kblam.json", "no kblam.json", "no knowledge", "facts"],
)
@pytest.mark.parametrize("name", ["evaluate", "integrate"])
def test_a_damaged_model_directory(name: str, spoil: Callable[[Path], Any], page: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(page / "enhanced_model", model)
    spoil(model)
    rest = {
        "evaluate": ["--question", "AI?"],
        "integrate": ["--kb", page / "embeddings.npy", "--output", tmp_path / "o"],
    }
    said = door({"evaluate": evaluate.main, "integrate": integrate.main}[name], "--model", model, *rest[name])
    refused_in_one_sentence(said, model)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("question", "words"),
    [("", ["empty"]), (" \n", ["empty"]), ("why " * 25_000, ["100,000 characters"]), ("Ж" * 20_000, ["tokens"])],
    ids=["empty", "space", "100,000", "20,000"],
)
def test_questions_that_cannot_be_asked(question: str, words: list[str], page: Path) -> None:
    refused_in_one_sentence(door(evaluate.main, "--model", page / "enhanced_model", "--question", question), *words)
    refused_in_one_sentence(door(ask.main, question), *words)


def test_a_model_without_knowledge_says_what_to_give() -> None:
    refused_in_one_sentence(door(evaluate.main, "--question", "AI是什么?"), "--kb")


@pytest.mark.parametrize("output", ["notes", "notes/todo.txt", "nowhere/model"])
def test_what_somebody_else_wrote_is_left_alone(output: str, page: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("milk", encoding="utf-8")
    said = door(integrate.main, "--kb", page / "embeddings.npy", "--output", tmp_path / output)
    refused_in_one_sentence(said, tmp_path / output)
    assert [path.name for path in tmp_path.rglob("*")] == ["notes", "todo.txt"]


def test_the_command_line_turns_an_error_into_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["embed", "--input", "no such file.json", "--output", "x.npy"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("no such file.json does not exist") and said.err.count("\n") == 1


def test_nobody_who_reads_on_is_no_error(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom kblam.doors import run_door\n"
        "sys.exit(run_door(lambda: [print('x' * 1000, flush=True) for _ in range(1000)]))"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert writer.stdout is not None and writer.stderr is not None
    assert writer.stdout.readline().startswith("x")
    writer.stdout.close()
    assert writer.wait(60) == 141 and writer.stderr.read() == ""


def test_two_files_for_one_option_are_not_silently_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ask.main(["AI是什么?", "--kb", "a.json", "--kb", "b.json"])
    assert ended.value.code == 2 and "--kb is given twice" in capsys.readouterr().err
