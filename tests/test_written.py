"""Facts by a language model, against a server on this machine that fails in every way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_chat import Endpoint, open_endpoint

from kblam.cli import main
from kblam.errors import KnowledgeError
from kblam.knowledge import Triple
from kblam.knowledge.endpoint import open_client
from kblam.synthesis.dataset import read_dataset
from kblam.synthesis.making import Recipe
from kblam.synthesis.written import Bill, Written, parse_reply, write_facts
from kblam.synthesize import _split

SECONDS = 1.0
"""The client waits so long for an answer."""


def entity(name: str, *properties: str) -> dict[str, Any]:
    facts = [
        {
            "property": item,
            "value": f"{item} {name}",
            "plain": f"What is the {item} of {name}?",
            "paraphrased": [f"And {name}?"],
        }
        for item in properties
    ]
    return {"entity": name, "aliases": [f"The {name}"], "facts": facts}


def good(number: int) -> str:
    return "```json\n" + json.dumps([entity(f"Thing {number}-{i}", "size", "age", "price") for i in range(4)]) + "\n```"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with open_endpoint(monkeypatch, good) as server:
        yield server


@pytest.fixture
def ask(endpoint: Endpoint, tmp_path: Path) -> Callable[..., Any]:
    def ask(facts: int = 24, retries: int = 0, **options: Any) -> Any:
        client = open_client("m", endpoint.address, "").with_options(max_retries=retries, timeout=SECONDS)
        return write_facts(client, "m", tmp_path / "replies.jsonl", facts, workers=options.pop("workers", 1), **options)

    return ask


def test_facts_questions_and_the_bill(endpoint: Endpoint, ask: Callable[..., Any]) -> None:
    written = ask(24, prices=(2.0, 10.0))
    assert len(written.facts) == 24 and written.facts[0].aliases == ("The Thing 1-0",)
    assert [item.kind for item in written.questions[written.facts[0].identity]] == ["plain", "paraphrased"]
    assert (written.bill.requests, written.bill.kept, written.bill.malformed) == (2, 0, 0)
    assert written.bill.price == pytest.approx((200 * 2 + 20 * 10) / 1e6)
    assert endpoint.requests[0]["model"] == "m" and endpoint.requests[0]["path"] == "/v1/chat/completions"


def test_nothing_is_paid_for_twice(endpoint: Endpoint, ask: Callable[..., Any], tmp_path: Path) -> None:
    first = ask(24)
    paid = len(endpoint.requests)
    again = ask(24)
    assert len(endpoint.requests) == paid and again.facts == first.facts
    assert (again.bill.requests, again.bill.kept) == (0, 2)
    journal = tmp_path / "replies.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])  # the machine went down in the middle of a line
    third = ask(24)
    assert len(endpoint.requests) == paid + 1 and third.bill.kept == 1 and len(third.facts) == 24


def test_what_was_written_before_a_refusal_is_kept(endpoint: Endpoint, ask: Callable[..., Any]) -> None:
    endpoint.script = [good(1), 401]
    with pytest.raises(KnowledgeError, match=r"refused m with HTTP 401 .*no way.*the same command goes on"):
        ask(24)
    assert ask(24).bill.kept == 1


@pytest.mark.parametrize(
    "reply", ["no", "[]", "[1]", '[{"entity": "a"}]', "[{]", "", '[{"entity": "A", "facts": [{"property": 1}]}]']
)
def test_malformed_replies_are_counted_and_skipped(endpoint: Endpoint, ask: Callable[..., Any], reply: str) -> None:
    endpoint.script = [reply]
    written = ask(24)
    assert written.bill.malformed == 1 and len(written.facts) == 24


NO_TEXT = {
    "id": "1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": None}}],
}
FAILURES = [
    429,
    500,
    503,
    "drop",
    "hang",
    b"<html>busy</html>",
    b'{"choices": [',
    {"choices": []},
    {"strange": True},
    NO_TEXT,
]


@pytest.mark.parametrize("failure", FAILURES)
def test_failures_are_counted_and_others_go_on(endpoint: Endpoint, ask: Callable[..., Any], failure: Any) -> None:
    endpoint.script = [failure]
    written = ask(24)
    assert written.bill.failed + written.bill.malformed == 1 and len(written.facts) == 24


def test_the_client_asks_a_busy_server_again(endpoint: Endpoint, ask: Callable[..., Any]) -> None:
    endpoint.script = [429, 500]
    written = ask(12, retries=3)
    assert written.bill.failed == 0 and len(endpoint.requests) == 3


def test_a_server_that_is_down_ends_the_run(endpoint: Endpoint, ask: Callable[..., Any]) -> None:
    endpoint.script = [503] * 50
    with pytest.raises(KnowledgeError, match="HTTP 503"):
        ask(200)
    assert len(endpoint.requests) == 5


def test_nobody_listens(endpoint: Endpoint, ask: Callable[..., Any]) -> None:
    endpoint.close()
    with pytest.raises(KnowledgeError, match="could not be reached"):
        ask(200)


def test_nothing_but_nonsense(endpoint: Endpoint, ask: Callable[..., Any]) -> None:
    endpoint.script = ["no"] * 50
    with pytest.raises(KnowledgeError, match=r"no fact that can be used \(2 replies"):
        ask(20)


def test_several_requests_at_once(endpoint: Endpoint, ask: Callable[..., Any]) -> None:
    assert len(ask(120, workers=6).facts) == 120


def test_good_facts_of_a_partly_bad_reply_stay() -> None:
    bad = {"property": "size", "value": 7, "plain": "a", "paraphrased": []}
    stranger = {"property": "age", "value": "9", "plain": "How old is it?", "paraphrased": "no list"}
    rows = entity("Zembla", "capital") | {"facts": [*entity("Zembla", "capital")["facts"], bad, stranger]}
    facts = [fact.identity for fact, _ in parse_reply(json.dumps([rows, 5]))]
    assert facts == [("Zembla", "capital")]


def test_the_command(endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "data"
    command = ["synthesize", "--output", str(output), "--facts", "90", "--validation", "30", "--endpoint_url"]
    command += [endpoint.address, "--model_name", "m", "--price_input", "1"]
    assert main(command) == 0
    assert "cost 0.0" in capsys.readouterr().out
    train, validation = (read_dataset(output / f"{name}.jsonl") for name in ("train", "validation"))
    assert len(train) + len(validation) == 120 and validation
    assert not {entry.fact.entity for entry in train} & {entry.fact.entity for entry in validation}
    assert {question.kind for entry in train for question in entry.questions} >= {"plain", "paraphrased", "two"}


def test_azure(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    address = endpoint.address.removesuffix("/v1")
    given = ["--facts", "20", "--validation", "4", "--endpoint_url", address, "--model_name", "mine"]
    assert main(["synthesize", "--output", str(tmp_path / "data"), *given]) == 0
    request = endpoint.requests[0]
    assert request["path"].startswith("/openai/deployments/mine/chat/completions?api-version=")
    assert request["headers"]["api-key"] == "azure-key"


def test_a_killed_run_goes_on_without_paying_twice(endpoint: Endpoint, tmp_path: Path) -> None:
    """The second reply never comes; the process dies while it waits, and the first reply is there."""
    endpoint.script = [good(1), *["hang"] * 20]
    output = ["--output", str(tmp_path / "data"), "--facts", "20", "--validation", "4", "--workers", "1"]
    command = ["synthesize", *output, "--endpoint_url", endpoint.address, "--model_name", "m"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kblam", *command], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    journal = tmp_path / "data.replies.jsonl"
    deadline = time.monotonic() + 60
    while len(endpoint.requests) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "data").exists() and len(journal.read_bytes().splitlines()) == 1
    endpoint.script.clear()
    paid = len(endpoint.requests)
    assert main(command) == 0
    about = json.loads((tmp_path / "data" / "dataset.json").read_text(encoding="utf-8"))
    assert about["bill"]["kept"] == 1 and about["bill"]["requests"] == len(endpoint.requests) - paid == 1


def test_the_halves_share_neither_entity_nor_a_property_kept_for_validation() -> None:
    facts = [Triple(f"Thing {number}", f"kind {number % 200}", "x") for number in range(2000)]
    bill = Bill(1, 0, 0, 0, 1, 1, None)
    train, validation = _split(Written(facts, {}, bill), Recipe(facts=1900, validation=100))
    properties = [{entry.fact.property for entry in half} for half in (train, validation)]
    assert not {entry.fact.entity for entry in train} & {entry.fact.entity for entry in validation}
    assert properties[1] - properties[0] and len(train) + len(validation) == 2000
    assert len(properties[1] - properties[0]) == len({f"kind {number}" for number in range(200)} - properties[0])


def test_without_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    output = ["--output", str(tmp_path / "data")]
    assert main(["synthesize", *output, "--endpoint_url", "http://127.0.0.1:1", "--facts", "90"]) == 2
    assert "set OPENAI_API_KEY" in capsys.readouterr().err and not (tmp_path / "data").exists()
