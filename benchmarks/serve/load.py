"""Many clients ask a server on loopback while its knowledge changes, and it is killed in the middle.

    python benchmarks/serve/load.py --clients 32 --seconds 120 --updates 5

Each change puts "city N" in version N of the store, so every answer can be checked against the version that it names.
Prints one JSON object: what was answered, how fast, how much one batch at a time gains over one question at a time, and
whether anything acknowledged was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from kblam import KnowledgeBase, Triple

CHANGING = "What is the capital of Mongolia?"
STEADY = {
    f"What is the capital of {country}?": city
    for country, city in {
        "Iceland": "Reykjavík",
        "Palau": "Ngerulmud",
        "Zembla": "Onhava",
        "Norland": "Fjordheim",
    }.items()
}
WHICH = {"entity": "Mongolia", "property": "capital"}


@dataclass
class Tally:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)
    acknowledged: int = 0
    updates: list[float] = field(default_factory=list)


def start(store: Path, *options: str) -> tuple[subprocess.Popen[str], str, float]:
    """Start a server; return it, its URL, and the seconds up to its first answer."""
    began = time.monotonic()
    log = tempfile.NamedTemporaryFile("w+", suffix=".log", delete=False)  # noqa: SIM115  # a pipe that nobody reads fills
    command = [sys.executable, "-m", "kblam", "serve", "--kb", f"facts={store}", "--port", "0", "--rate", "0", *options]
    server = subprocess.Popen(command, stderr=log, text=True)
    while not (found := re.search(r"at (http://\S+)", Path(log.name).read_text())):
        assert server.poll() is None, Path(log.name).read_text()
        time.sleep(0.02)
    httpx.post(f"{found[1]}/v1/chat/completions", json=asked(CHANGING), timeout=60).raise_for_status()
    return server, found[1], time.monotonic() - began


@contextmanager
def stopped(server: subprocess.Popen[str]) -> Iterator[None]:
    """A block at whose end the server runs no longer."""
    try:
        yield
    finally:
        server.kill()
        server.wait()


def asked(question: str) -> dict[str, Any]:
    """A request."""
    return {"model": "kblam", "messages": [{"role": "user", "content": question}]}


async def client(http: httpx.AsyncClient, number: int, end: float, tally: Tally) -> None:
    """Ask one question after the other."""
    turn, questions = number, [CHANGING, *STEADY]
    while time.monotonic() < end:
        question = questions[turn % len(questions)]
        turn += 1
        began, least = time.monotonic(), tally.acknowledged
        try:
            answer = await http.post("/v1/chat/completions", json=asked(question))
        except httpx.TransportError:
            return  # the server was killed
        tally.statuses[answer.status_code] += 1
        if answer.status_code != 200:
            await asyncio.sleep(float(answer.headers.get("retry-after", 0.1)))
            continue
        tally.seconds.append(time.monotonic() - began)
        body = answer.json()
        text, version = body["choices"][0]["message"]["content"], body["kblam"]["knowledge"]["version"]
        tally.versions.add(version)
        value = STEADY.get(question, f"city {version}")
        # A change that was acknowledged before the question was asked must be in its answer.
        if not re.search(rf"{re.escape(value)}(?!\d)", text) or not least <= version <= tally.acknowledged + 1:
            tally.wrong.append(f"version {version} of {least} to {tally.acknowledged}: {text}")


async def update(http: httpx.AsyncClient, pause: float, end: float, tally: Tally) -> None:
    """Change the fact, so many times a second."""
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            value = f"city {tally.acknowledged + 1}"
            answer = await http.put("/api/knowledge/facts/fact", params=WHICH, json={"value": value})
        except httpx.TransportError:
            return
        tally.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            tally.acknowledged = answer.json()["version"]
            tally.updates.append(time.monotonic() - began)
        await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))


async def press(
    url: str,
    clients: int,
    seconds: float,
    updates: float,
    tally: Tally,
    victim: subprocess.Popen[str] | None = None,
) -> None:
    """Let all of them work for this long; a victim is killed while they do."""
    limits = httpx.Limits(max_connections=clients + 1)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as http:
        end = time.monotonic() + seconds + (60 if victim is not None else 0)
        if victim is not None:
            asyncio.get_running_loop().call_later(seconds, victim.kill)  # SIGKILL, where there is one
        work = [client(http, number, end, tally) for number in range(clients)]
        if updates:
            work.append(update(http, 1 / updates, end, tally))
        await asyncio.gather(*work)


def rate(store: Path, batch: int, clients: int, seconds: float) -> float:
    """Answers a second with at most `batch` questions together, without changes."""
    server, url, _ = start(store, "--batch", str(batch))
    tally = Tally(acknowledged=version_of(store))
    with stopped(server):
        asyncio.run(press(url, clients, seconds, 0, tally))
    assert not tally.wrong, tally.wrong[:3]
    return len(tally.seconds) / seconds


def version_of(store: Path) -> int:
    """The present version on the disk."""
    with KnowledgeBase.open(store) as opened:
        return opened.version


def measure(clients: int, seconds: float, updates: float) -> dict[str, Any]:
    """Everything that is printed."""
    with tempfile.TemporaryDirectory() as directory:
        store = Path(directory) / "facts"
        with KnowledgeBase.open(store, create=True) as made:
            cities = [Triple(question[23:-1], "capital", city) for question, city in STEADY.items()]
            made.set_many([*cities, Triple("Mongolia", "capital", "city 1")])
        tally = Tally(acknowledged=1)
        server, url, first = start(store)
        with stopped(server):
            asyncio.run(press(url, clients, seconds / 2, updates, tally, victim=server))
        kept = version_of(store)
        lost = max(0, tally.acknowledged - kept)
        tally.acknowledged = kept
        server, url, again = start(store)
        with stopped(server):
            asyncio.run(press(url, clients, seconds / 2, updates, tally))
        alone, together = (rate(store, batch, clients, min(20.0, seconds / 4)) for batch in (1, 32))
    ordered = sorted(tally.seconds)
    return {
        "clients": clients, "seconds": seconds, "answers": len(ordered), "versions": len(tally.versions),
        "updates": len(tally.updates), "update_median": round(statistics.median(tally.updates), 3),
        "statuses": dict(tally.statuses), "wrong": tally.wrong[:5], "lost": lost,
        "p50": round(statistics.median(ordered), 3), "p95": round(ordered[int(len(ordered) * 0.95)], 3),
        "first_answer": round(first, 1), "first_answer_again": round(again, 1),
        "per_second_one_at_a_time": round(alone, 1), "per_second_together": round(together, 1),
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--updates", type=float, default=5.0, help="changes a second")
    given = parser.parse_args()
    print(json.dumps(measure(given.clients, given.seconds, given.updates), ensure_ascii=False))
