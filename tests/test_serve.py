"""The command `kblam serve`: what it refuses, how it starts, stops, and comes back after it was killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from serving_client import FACTS, QUESTION

from kblam import KnowledgeBase
from kblam.cli import main
from kblam.serving.library import open_library

ASKED = {"model": "kblam", "messages": [{"role": "user", "content": QUESTION}]}
WHICH = {"entity": "Mongolia", "property": "capital"}


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its URL."""
    command = [sys.executable, "-m", "kblam", "serve", "--port", "0", *arguments]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert running.stderr is not None
    try:
        for line in running.stderr:
            if found := re.search(r"at (http://\S+)", line):
                yield running, found[1]
                return
        pytest.fail("the server did not start")
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "needs an API key"),
        (["--api-key-file", "/nowhere/keys"], "cannot be read"),
        (["--kb", "/nowhere/facts"], "does not exist"),
        (["--kb", "a=/tmp", "--kb", "a=/"], "two knowledge bases are called a"),
        (["--port", "99999"], "no port"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KBLAM_API_KEY", raising=False)
    given = arguments if "--port" in arguments else [*arguments, "--port", "0"]
    assert main(["serve", *given]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "take another --port" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    assert "kblam serve --kb facts" in capsys.readouterr().out


def test_a_file_is_served_with_a_history_that_ends_with_the_server(tmp_path: Path) -> None:
    file = tmp_path / "my facts.jsonl"
    file.write_text('{"entity": "Mongolia", "property": "capital", "value": "Ulaanbaatar"}\n', encoding="utf-8")
    library = open_library("default", [str(file)], "int8")
    try:
        assert library.models["my-facts"]._scan == "int8"
        assert list(library.models) == ["my-facts"] and "last until the server stops" in library.notices[0]
        store = library.store("my-facts")
        store.remove("Mongolia", "capital")
        assert library.models["my-facts"].ask(QUESTION).refused
        store.rollback(store.version - 1)
        assert "Ulaanbaatar" in library.models["my-facts"].ask(QUESTION).text
    finally:
        library.close()
    assert not store.directory.exists() and "Ulaanbaatar" in file.read_text(encoding="utf-8")


@pytest.mark.slow
def test_start_answer_and_stop_when_told(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "facts", create=True) as store:
        store.set_many(FACTS)
    keys = tmp_path / "keys"
    keys.write_text("key-of-a-person\nkey-of-another\n", encoding="utf-8")
    with process("--kb", str(tmp_path / "facts"), "--api-key-file", str(keys)) as (running, url):
        assert httpx.get(f"{url}/v1/models", timeout=60).status_code == 401
        headers = {"Authorization": "Bearer key-of-another"}
        body = httpx.post(f"{url}/v1/chat/completions", json=ASKED, headers=headers, timeout=60).json()
        assert "Ulaanbaatar" in body["choices"][0]["message"]["content"]
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=60)
        assert running.returncode in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert lines[-1]["route"] == "/v1/chat/completions" and lines[-1]["status"] == 200


@pytest.mark.slow
def test_nothing_that_was_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    KnowledgeBase.open(tmp_path / "facts", create=True).close()
    acknowledged = 0
    for _ in range(2):
        with (
            process("--kb", str(tmp_path / "facts")) as (running, url),
            httpx.Client(base_url=url, timeout=60) as client,
        ):
            held = client.get("/api/knowledge/facts/facts", params={"count": 1}).json()
            assert held["version"] in (acknowledged, acknowledged + 1)
            if acknowledged:
                value = client.get("/api/knowledge/facts/fact", params=WHICH).json()["value"]
                assert value in (f"city {acknowledged}", f"city {acknowledged + 1}")
            acknowledged = held["version"]
            for number in range(acknowledged + 1, acknowledged + 11):
                answer = client.put("/api/knowledge/facts/fact", params=WHICH, json={"value": f"city {number}"})
                acknowledged = answer.json()["version"]
                assert acknowledged == number
            running.kill()
    with KnowledgeBase.open(tmp_path / "facts") as store:
        assert store.version == acknowledged and not store.check().problems
        fact = store.get("Mongolia", "capital")
    assert fact is not None and fact.value == f"city {acknowledged}"
