"""Processes that write to a store and are killed, and processes that read it meanwhile; run as a script, without torch.

    python store_processes.py kill DIRECTORY TIMES SEED
    python store_processes.py read DIRECTORY COMMITS

What version n + 1 is made of follows from n and the seed, so that every version can be checked whoever wrote it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
from fake_encoder import FakeEncoder, check_vectors, vector

from kblam.knowledge import KnowledgeBase, Triple
from kblam.knowledge.store.store import StoredKnowledge

State = dict[str, str]
IMPORTED = 40


def opened(directory: Path) -> StoredKnowledge:
    return KnowledgeBase.open(directory, create=True, encoder=FakeEncoder())


def plan(version: int, seed: int, states: list[State]) -> tuple[str, State]:
    """What the change after this version does, and the facts it leaves."""
    chance = random.Random(f"{seed} {version}")
    state, kind = dict(states[version]), chance.choice(["set", "set", "import", "remove", "rollback"])
    if kind == "rollback" and version >= 3 and states[version - 3] != state:
        return kind, dict(states[version - 3])
    if kind == "remove" and len(state) > 3:
        del state[chance.choice(sorted(state))]
        return kind, state
    if kind == "import":
        state.update({f"e{chance.randrange(80)}": f"{version} imported {row}" for row in range(IMPORTED)})
        return kind, state
    state[f"e{chance.randrange(80)}"] = f"{version} set"
    return "set", state


def follow_plan(store: StoredKnowledge, seed: int, states: list[State], folder: Path) -> None:
    """Make the next version."""
    version = store.version
    kind, wanted = plan(version, seed, states)
    new = [Triple(entity, "p", value) for entity, value in wanted.items() if states[version].get(entity) != value]
    if kind == "set":
        store.set_many(new)
    elif kind == "import":
        path = folder / f"{os.getpid()}.jsonl"
        path.write_text(
            "".join(json.dumps({"entity": t.entity, "property": "p", "value": t.value}) + "\n" for t in new)
        )
        store.import_file(path)
    elif kind == "remove":
        store.remove_many((entity, "p") for entity in states[version] if entity not in wanted)
    else:
        store.rollback(version - 3)


def extend(states: list[State], version: int, seed: int) -> None:
    while len(states) <= version:
        states.append(plan(len(states) - 1, seed, states)[1])


def write_until_killed(directory: Path, seed: int, states: list[State], said: int, number: int) -> None:
    store = opened(directory)
    chance = random.Random(number)
    os.write(said, b"started\n")
    while True:
        extend(states, store.version, seed)
        follow_plan(store, seed, states, directory.parent)
        os.write(said, f"{store.version}\n".encode())
        whim = chance.random()
        if whim < 0.06:
            store.compact(keep=10)
        elif whim < 0.12:
            store.rebuild_cache()
        elif whim < 0.2:
            store.snapshot()


def kill_writers(directory: Path, times: int, seed: int) -> None:
    """Kill a writer at a random moment, again and again; fail when anything that it said was done is not there."""
    states: list[State] = [{}]
    opened(directory).close()
    chance, acknowledged = random.Random(seed), 0
    for number in range(times):
        hear, say = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(hear)
            try:
                write_until_killed(directory, seed, states, say, number)
            finally:
                os._exit(1)
        os.close(say)
        with os.fdopen(hear, "rb") as pipe:
            heard = [pipe.readline() for _ in range(chance.randint(1, 5))]
            time.sleep(chance.uniform(0, 0.01))
            os.kill(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert code == -signal.SIGKILL, f"writer {number} ended by itself"
            heard += pipe.read().split()
        acknowledged = max([acknowledged, *(int(line) for line in heard if line.strip().isdigit())])
        acknowledged = check_after_kill(directory, acknowledged, states, seed, chance)
    print(f"{times} kills, {acknowledged} versions")


def check_after_kill(directory: Path, acknowledged: int, states: list[State], seed: int, chance: random.Random) -> int:
    """The version there is: all that was acknowledged, and at most one more, which the next writer goes on from."""
    with opened(directory) as store:
        version = store.version
        assert acknowledged <= version <= acknowledged + 1, (acknowledged, version)
        extend(states, version, seed)
        oldest = store.versions(10_000)[-1].version
        for held in {version, chance.randint(oldest, version)}:
            facts = {triple.entity: triple.value for triple in store.facts_as_of(held)}
            assert facts == states[held], (held, version)
        assert store.check().problems == (), store.check().problems
        if chance.random() < 0.2:
            check_vectors(store.snapshot())
        return version


def commit(store: StoredKnowledge, version: int, entities: int) -> None:
    store.set(Triple(f"e{version % entities}", "p", str(version)))


def read_while_writing(directory: Path, commits: int, readers: int = 4, entities: int = 20) -> None:
    """Ask in processes of their own while this one commits; fail when an answer is not one of the version it names."""
    store = opened(directory)
    store.set_many(Triple(f"e{row}", "p", "0") for row in range(entities))
    store.close()
    children = []
    for number in range(readers):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asked = ask_until(directory, commits, entities, number)
                code = 0 if asked > 5 else 3
            finally:
                os._exit(code)
        children.append(child)
    for version in range(2, commits + 2):
        commit(store, version, entities)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * readers, codes
    assert store.check().problems == ()
    print(f"{commits} commits, {readers} readers")


def ask_until(directory: Path, commits: int, entities: int, number: int) -> int:
    """Answer by the nearest key, as attention does, and compare with what the version that the snapshot names holds."""
    store, chance, asked, last = opened(directory), random.Random(number), 0, 0
    while last < commits + 1:
        snapshot = store.snapshot()
        assert snapshot.version >= last
        last = snapshot.version
        entity = chance.randrange(entities)
        key = vector(f"the p of e{entity}")
        row = int(np.argmin(np.square(snapshot.keys - key).sum(axis=1)))
        updates = [version for version in range(2, last + 1) if version % entities == entity]
        expected = str(updates[-1]) if updates else "0"
        assert snapshot.triples[row].value == expected, (last, snapshot.triples[row], expected)
        assert np.array_equal(snapshot.values[row], vector(expected).astype(np.float16))
        asked += 1
    return asked


if __name__ == "__main__":
    mode, where, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if mode == "kill":
        kill_writers(where, count, int(sys.argv[4]))
    else:
        read_while_writing(where, count)
    assert "torch" not in sys.modules
