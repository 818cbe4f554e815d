"""The knowledge API: look, change, versions as ETags, nothing lost and nothing half done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving_client import QUESTION, make_library, serving

from kblam.serving.library import Library

WHICH = {"entity": "Mongolia", "property": "capital"}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return make_library(tmp_path)


@pytest.fixture
def api(library: Library) -> Iterator[httpx.Client]:
    with serving(library, most_facts=6) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def path(rest: str, base: str = "facts") -> str:
    return f"/api/knowledge/{base}/{rest}"


def said(api: httpx.Client) -> str:
    asked = {"model": "kblam", "messages": [{"role": "user", "content": QUESTION}]}
    return str(api.post("/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"])


def test_looking(api: httpx.Client) -> None:
    bases = api.get("/api/knowledge").json()["data"]
    assert [(base["name"], base["facts"], base["version"]) for base in bases] == [("facts", 3, 1), ("other", 1, 1)]
    page = api.get(path("facts"), params={"first": 1, "count": 1})
    assert page.headers["etag"] == '"1"' and page.json()["total"] == 3 and page.json()["version"] == 1
    assert [fact["entity"] for fact in page.json()["data"]] == ["Iceland"]
    found = api.get(path("facts"), params={"search": "人工"}).json()
    assert [fact["entity"] for fact in found["data"]] == ["AI"] and found["total"] is None
    one = api.get(path("fact"), params=WHICH)
    assert one.json()["value"] == "Ulaanbaatar" and one.headers["etag"] == '"1"'
    assert api.get(path("facts"), params={"version": 0}).json()["data"] == []


def test_a_change_is_answered_from_at_the_next_question_and_can_be_undone(api: httpx.Client) -> None:
    assert "Ulaanbaatar" in said(api)
    changed = api.put(path("fact"), params=WHICH, json={"value": "Karakorum", "aliases": ["Mongol Uls"]})
    assert changed.json() == {"added": 0, "replaced": 1, "removed": 0, "unchanged": 0, "version": 2}
    assert changed.headers["etag"] == '"2"' and "Karakorum" in said(api)
    kept = api.put(path("fact"), params=WHICH, json={"value": "Karakorum"}).json()
    assert kept["unchanged"] == 1 and api.get(path("fact"), params=WHICH).json()["aliases"] == ["Mongol Uls"]
    removed = api.delete(path("fact"), params=WHICH)
    assert removed.json()["removed"] == 1 and said(api) == "Not in the knowledge base."
    back = api.post(path("rollback"), json={"version": 1}, headers={"If-Match": '"3"'})
    assert back.json()["version"] == 4 and "Ulaanbaatar" in said(api)
    actions = [version["action"] for version in api.get(path("history")).json()["data"]]
    assert actions == ["rollback", "remove", "set", "set", "create"]
    past = api.get(path("fact/history"), params=WHICH).json()["data"]
    assert [(fact["value"], fact["began"], fact["ended"]) for fact in past] == [
        ("Ulaanbaatar", 1, 2), ("Karakorum", 2, 3), ("Ulaanbaatar", 4, None),
    ]  # fmt: skip


def test_if_match_protects_from_lost_updates(api: httpx.Client) -> None:
    def put(value: str, **headers: str) -> httpx.Response:
        return api.put(path("fact"), params=WHICH, json={"value": value}, headers=headers)

    api.put(path("fact"), params={"entity": "Palau", "property": "capital"}, json={"value": "Ngerulmud"})
    # Another fact changed since version 1, this one did not.
    assert put("B", **{"If-Match": '"1"'}).json()["version"] == 3
    late = put("C", **{"If-Match": '"1"'})
    assert late.status_code == 412 and late.json()["error"]["code"] == "outdated" and "version 3" in late.text
    assert put("D", **{"If-Match": '"2", "3"'}).status_code == 200 and put("E", **{"If-Match": "*"}).status_code == 200
    for wrong in ('"99"', "W/x", ""):
        assert put("F", **{"If-Match": wrong}).status_code == 412
    assert put("G", **{"If-None-Match": "*"}).status_code == 412
    assert api.delete(path("fact"), params=WHICH, headers={"If-Match": '"3"'}).status_code == 412
    assert api.post(path("rollback"), json={"version": 0}, headers={"If-Match": '"3"'}).status_code == 412
    assert api.get(path("fact"), params=WHICH).json()["value"] == "E"


def test_of_many_who_rest_on_one_version_one_wins(api: httpx.Client) -> None:
    statuses: list[int] = []

    def put(number: int) -> None:
        with httpx.Client(base_url=api.base_url, timeout=60) as mine:
            body = {"value": f"value {number}"}
            answer = mine.put(path("fact"), params=WHICH, json=body, headers={"If-Match": '"1"'})
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[412] * 7]


def test_importing(api: httpx.Client) -> None:
    csv = "entity,property,value\nPalau,capital,Ngerulmud\nMongolia,capital,Karakorum\n"

    def upload(content: str, kind: str, **more: Any) -> httpx.Response:
        return api.post(path("import"), content=content.encode(), headers={"Content-Type": kind}, **more)

    tried = upload(csv, "text/csv; charset=utf-8", params={"dry_run": True}).json()
    assert (tried["added"], tried["replaced"], tried["version"], tried["dry_run"]) == (1, 1, 1, True)
    done = upload(csv, "text/csv").json()
    assert (done["added"], done["replaced"], done["version"]) == (1, 1, 2) and "Karakorum" in said(api)
    lines = '{"entity": "a", "description": "b"}\n{"entity": "", "description": "c"}'
    assert upload(lines, "application/jsonl", params={"dry_run": True}).status_code == 200
    answer = upload(lines, "application/jsonl")
    assert answer.status_code == 422
    refused = answer.json()
    assert refused["rejected"][0]["row"] == 2 and refused["added"] == 0 and refused["version"] == 2
    broken = upload("{", "application/json")
    assert broken.status_code == 400 and "/tmp" not in broken.text and "the file" in broken.text
    assert upload(csv, "application/pdf").status_code == 415
    many = "\n".join(f'{{"entity": "e{i}", "description": "d"}}' for i in range(4))
    assert upload(many, "application/jsonl").status_code == 409
    stale = api.post(
        path("import"), content=lines[:36], headers={"Content-Type": "application/jsonl", "If-Match": '"1"'}
    )
    assert stale.status_code == 412


@pytest.mark.parametrize(
    ("method", "rest", "options", "status"),
    [
        ("GET", "fact", {"params": {"entity": "Nowhere", "property": "capital"}}, 404),
        ("DELETE", "fact", {"params": {"entity": "Nowhere", "property": "capital"}}, 404),
        ("PUT", "fact", {"params": WHICH, "json": {"value": "  "}}, 400),
        ("PUT", "fact", {"params": WHICH, "json": {"value": "x", "path": "/etc/passwd"}}, 400),
        ("POST", "rollback", {"json": {"version": 77}}, 400),
        ("GET", "facts", {"params": {"count": 0}}, 400),
        ("GET", "facts", {"params": {"version": 5}}, 400),
    ],
)
def test_what_cannot_be_done_is_said(
    api: httpx.Client, method: str, rest: str, options: dict[str, Any], status: int
) -> None:
    answer = api.request(method, path(rest), **options)
    assert answer.status_code == status and answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["nothing", "..%2F..%2Fetc", "%2Fetc%2Fpasswd", "facts%00"])
def test_no_name_reaches_the_file_system(api: httpx.Client, name: str) -> None:
    assert api.get(f"/api/knowledge/{name}/facts").status_code == 404


def test_changes_are_on_the_disk_when_they_are_answered(api: httpx.Client, library: Library, tmp_path: Path) -> None:
    from kblam import KnowledgeBase

    api.put(path("fact"), params=WHICH, json={"value": "Karakorum"})
    with KnowledgeBase.open(tmp_path / "facts") as again:
        fact = again.get("Mongolia", "capital")
    assert fact is not None and fact.value == "Karakorum"
