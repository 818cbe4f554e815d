"""Any sequence of changes leaves what a dictionary with history would."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from fake_encoder import FakeEncoder, check_vectors
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kblam.errors import KnowledgeError
from kblam.knowledge import KnowledgeBase, Snapshot, Triple, rows
from kblam.knowledge.store import view
from kblam.knowledge.store.columns import FOLDER

entities = st.sampled_from(["AI", "ai", "蒙古", "O'Neil; --", "%_", "e5"])
properties = st.sampled_from(["capital", "首都"])
values = st.sampled_from(["one", "two", "三", "one\ntwo", "x" * 5000])
triples = st.builds(
    Triple,
    entities,
    properties,
    values,
    aliases=st.sampled_from([(), ("alias",), ("a", "别名")]),
    id=st.sampled_from([None, "7"]),
)
many = st.lists(triples, max_size=6)

State = dict[tuple[str, str], Triple]


class StoreAgainstDictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.states: list[State] = [{}]
        self.oldest = 0
        self.seen: list[Snapshot] = []

    @initialize()
    def create(self) -> None:
        self.store = KnowledgeBase.open(self.folder / "facts", create=True, encoder=FakeEncoder())
        self.other = KnowledgeBase.open(self.folder / "facts", encoder=FakeEncoder())

    def teardown(self) -> None:
        self.store.close()
        self.other.close()
        shutil.rmtree(self.folder, ignore_errors=True)  # a cache may just be being written

    @property
    def state(self) -> State:
        return self.states[-1]

    def expect(self, state: State) -> None:
        if state != self.state:
            self.states.append(state)

    @rule(given=many)
    def set_many(self, given: list[Triple]) -> None:
        before = self.state
        wanted = {triple.identity: triple for triple in given}
        change = self.store.set_many(given)
        unchanged = sum(before.get(identity) == triple for identity, triple in wanted.items())
        added = len(wanted.keys() - before.keys())
        assert (change.added, change.replaced, change.unchanged) == (added, len(wanted) - added - unchanged, unchanged)
        self.expect({**before, **wanted})

    @rule(triple=triples)
    def add(self, triple: Triple) -> None:
        if triple.identity in self.state:
            with pytest.raises(KnowledgeError, match="already here"):
                self.other.add(triple)
        else:
            self.other.add(triple)
            self.expect({**self.state, triple.identity: triple})

    @rule(given=many)
    def merge(self, given: list[Triple]) -> None:
        self.other.merge(KnowledgeBase.from_triples(given, FakeEncoder()))
        self.expect({**self.state, **{triple.identity: triple for triple in given}})

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if not self.state:
            with pytest.raises(KnowledgeError, match="to remove"):
                self.store.remove("AI", "capital")
            return
        gone = data.draw(st.lists(st.sampled_from(sorted(self.state)), min_size=1, unique=True))
        self.store.remove_many(gone)
        self.expect({identity: triple for identity, triple in self.state.items() if identity not in gone})

    @rule(gone=st.tuples(entities, properties))
    def removing_what_is_not_there_removes_nothing(self, gone: tuple[str, str]) -> None:
        if gone not in self.state:
            with pytest.raises(KnowledgeError, match="to remove"):
                self.store.remove_many([*list(self.state)[:1], gone])

    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        version = data.draw(st.integers(self.oldest, len(self.states) - 1))
        self.store.rollback(version)
        self.expect(dict(self.states[version]))

    @rule(keep=st.integers(1, 4))
    def compact(self, keep: int) -> None:
        self.store.compact(keep)
        self.oldest = max(self.oldest, len(self.states) - keep)

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = KnowledgeBase.open(self.folder / "facts", encoder=FakeEncoder())

    @rule()
    def lose_the_cache(self) -> None:
        shutil.rmtree(self.folder / "facts" / FOLDER, ignore_errors=True)

    @rule()
    def damage_the_cache(self) -> None:
        for path in (self.folder / "facts" / FOLDER).glob("*.columns"):
            aside = path.with_suffix(".aside")  # not in place: who has mapped it would see that, or crash
            aside.write_bytes(path.read_bytes()[:4100] + b"\xff" * 64)
            aside.replace(path)

    @rule()
    def look(self) -> None:
        snapshot = self.store.snapshot()
        assert {triple.identity: triple for triple in snapshot.triples} == self.state
        check_vectors(snapshot)
        self.seen.append(snapshot)

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def changed_rows_are_known(self, data: st.DataObject) -> None:
        earlier, now = data.draw(st.sampled_from(self.seen)), self.store.snapshot()
        rows = self.store.changes_since(earlier.version)
        if rows is None:
            return
        common = range(min(len(earlier.triples), len(now.triples)))
        differing = {
            row
            for row in common
            if earlier.triples[row] != now.triples[row]
            or not np.array_equal(earlier.keys[row], now.keys[row])
            or not np.array_equal(earlier.values[row], now.values[row])
        }
        assert differing <= rows <= set(range(len(now.triples)))
        assert rows >= set(range(len(earlier.triples), len(now.triples)))

    @rule()
    def snapshots_do_not_change(self) -> None:
        for snapshot in self.seen:
            check_vectors(snapshot)

    @rule(data=st.data())
    def the_past_is_kept(self, data: st.DataObject) -> None:
        old, new = (data.draw(st.integers(self.oldest, len(self.states) - 1)) for _ in range(2))
        before, after = self.states[old], self.states[new]
        snapshot = self.store.at(old)
        assert snapshot.version == old and {triple.identity: triple for triple in snapshot.triples} == before
        check_vectors(snapshot)
        difference = self.other.diff(old, new)
        assert {triple.identity for triple in difference.added} == after.keys() - before.keys()
        assert {triple.identity for triple in difference.removed} == before.keys() - after.keys()
        changed = {(before[key], after[key]) for key in before.keys() & after.keys() if before[key] != after[key]}
        assert set(difference.replaced) == changed

    @rule(identity=st.tuples(entities, properties))
    def the_history_of_a_fact_is_kept(self, identity: tuple[str, str]) -> None:
        told = {
            version: record.triple
            for record in self.store.history(*identity)
            for version in range(max(record.began, self.oldest), record.ended or len(self.states))
        }
        kept = range(self.oldest, len(self.states))
        assert told == {version: self.states[version][identity] for version in kept if identity in self.states[version]}

    @invariant()
    def the_present_is_what_it_should_be(self) -> None:
        if hasattr(self, "store"):
            assert self.store.version == self.other.version == len(self.states) - 1
            assert {triple.identity: triple for triple in self.other} == self.state
            assert len(self.store) == len(self.state)

    @rule()
    def check(self) -> None:
        assert self.store.check().problems == ()


class StoreWithHastyCache(StoreAgainstDictionary):
    """The column cache is outgrown after two changes and pieces after two rows, so that every way is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(rows, "PIECE", 2)
        self.patch.setattr(view, "allowance", lambda _: 2)

    def teardown(self) -> None:
        super().teardown()
        self.patch.undo()


TestStore = StoreAgainstDictionary.TestCase
TestHastyCache = StoreWithHastyCache.TestCase
TestHastyCache.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestStore.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
