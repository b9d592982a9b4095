"""A run on rows: each turn reads what the one before has written, and the rows are the fold of the history."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runs.flows import Flow
from tests.unit.runs.test_block_laws import MOVES, happen, plans

from logkeel.runs.core.paths import below, fields_below, is_under
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import FieldPointer, RunInfo, RunState, ScopeState
from logkeel.runs.rows.run_rows import load_run, new_run, save_head

MAPS = (
    "steps",
    "forks",
    "fields",
    "values",
    "signals",
    "waits",
    "elements",
    "positions",
    "stale",
    "eaches",
    "items",
    "held",
)


class DictRows:
    """The rows of a partition, in memory."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes, below: bytes | None = None) -> bytes | None:
        return self.rows.get(key)

    def begin(self, scope: bytes) -> None:
        pass

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, value) for key, value in self.rows.items() if start <= key < end))

    def put(self, key: bytes, value: bytes) -> None:
        self.rows[key] = value

    def delete(self, key: bytes) -> None:
        self.rows.pop(key, None)


class RowFlow(Flow):
    """A run that is loaded anew after each turn."""

    def begin(self, info: RunInfo) -> RunState:
        self.rows = DictRows()
        return new_run(self.rows, info)

    def keep(self) -> None:
        save_head(self.rows, self.state)
        state = load_run(self.rows, "r")
        assert state is not None
        self.state = state

    def check(self) -> None:
        folded = replay(self.history, self.plan)
        assert self.state.head == folded.head
        for name in MAPS:
            assert dict(getattr(self.state, name)) == dict(getattr(folded, name)), name


@settings(max_examples=120, deadline=None)
@given(plan=plans(), data=st.data())
def test_the_rows_are_the_fold_of_the_history(plan: Plan, data: st.DataObject) -> None:
    flow = RowFlow(plan)
    flow.check()
    for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=12)):
        if flow.state.running:
            happen(flow, move, data)
            flow.check()


PATHS = st.lists(st.sampled_from(("a", "b", "a[1]", "a[é]", "ab", "a\x00")), min_size=1, max_size=3).map("/".join)


@given(paths=st.sets(PATHS, max_size=8), prefix=PATHS)
def test_what_is_below_a_block_is_found_by_its_path(paths: set[str], prefix: str) -> None:
    rows = DictRows()
    state = new_run(rows, _info())
    for path in paths:
        state.forks[path] = ScopeState(1)
        state.fields[f"{path}#0", "x"] = FieldPointer(revision=1)
    state = load_again(rows, state)
    assert {path for path, _ in below(state.forks, prefix)} == {path for path in paths if is_under(path, prefix)}
    assert {scope for scope, _ in fields_below(state.fields, prefix)} == {
        f"{path}#0" for path in paths if is_under(f"{path}#0", prefix)
    }
    assert {path for path, _ in below(state.forks, "")} == paths


def load_again(rows: DictRows, state: RunState) -> RunState:
    save_head(rows, state)
    loaded = load_run(rows, "r")
    assert loaded is not None
    return loaded


def _info() -> RunInfo:
    return RunInfo(
        run_id="r",
        incarnation="0-0-0",
        workflow="w",
        version="1",
        digest="d",
        schema_version=1,
        logic=1,
        routing_key="r",
        started_at_ms=0,
    )
