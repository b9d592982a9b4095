"""Wherever a process dies, and however far back it begins again: rows are as if each record had come once."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.insight.events import event

from logkeel.insight.folding import Change, Windows, expired, of_event, of_refusal
from logkeel.insight.rows import cluster_in, key_of, mark_in, shown, tally_in
from logkeel.records import ErrorInfo, RequestRejected, RunEvent

WINDOWS = Windows(length_ms=60_000, kept_ms=600_000)
ERROR = ErrorInfo(code="http", message="no answer after 12 s", kind="retryable")
ASK = {"path": "0/ask", "step": "ask", "attempt": 1}
HOUR_MS = 3_600_000


def life(run_id: str, at_ms: int, took_ms: int) -> list[RunEvent]:
    end_ms = at_ms + took_ms
    return [
        event(run_id, 1, "run_started", at_ms),
        event(run_id, 2, "step_dispatched", at_ms, **ASK),
        event(run_id, 3, "step_failed", end_ms, **ASK, started_at_ms=at_ms, error=ERROR, amounts={"tokens": 3}),
        event(run_id, 4, "run_completed", end_ms, status="failed"),
    ]


LOG = [
    *life("a", 1_000, 500),
    *life("b", 30_000, 70_000),
    *life("c", HOUR_MS, 9_000),
    event("d", 1, "run_started", HOUR_MS),
]
Table = dict[bytes, bytes]


def put(table: Table, changes: Sequence[Change]) -> None:
    for key, value in changes:
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


def sweep(table: Table) -> None:
    mark = mark_in(table.get(key_of("mark", 0)))
    put(table, [(key, None) for key, row in table.items() if expired(key, row, mark, WINDOWS)])


def folded(table: Table, log: Sequence[tuple[int, RunEvent]], *, sweeps: bool) -> Table:
    for offset, each in log:
        put(table, of_event(table.get, each, 0, offset, WINDOWS))
        if sweeps:
            sweep(table)
    return table


@given(st.data(), st.booleans())
def test_a_crash_between_any_two_rows_changes_nothing(data: st.DataObject, sweeps: bool) -> None:
    log = list(enumerate(LOG))
    died = data.draw(st.integers(0, len(log) - 1))
    table = folded({}, log[:died], sweeps=sweeps)
    changes = of_event(table.get, log[died][1], 0, died, WINDOWS)
    put(table, changes[: data.draw(st.integers(0, len(changes)))])
    if data.draw(st.booleans()):
        sweep(table)
    folded(table, log[data.draw(st.integers(0, died)) :], sweeps=sweeps)
    sweep(table)
    once = folded({}, log, sweeps=False)
    sweep(once)
    assert table == once


def test_rows_say_what_happened() -> None:
    table = folded({}, list(enumerate(LOG)), sweeps=False)
    tally = tally_in(table[key_of("tally", 0, "w", "ask", HOUR_MS)])
    assert (tally.started, tally.ended, tally.max_ms, tally.used) == (1, {"failed": 1}, 9_000, {"tokens": 3})
    runs = tally_in(table[key_of("tally", 0, "w", "", 60_000)])
    assert (runs.started, runs.ended, runs.max_ms) == (0, {"failed": 1}, 70_000)
    (cluster,) = [cluster_in(row) for key, row in table.items() if b"cluster" in key]
    # The hour before is further back than anything is kept.
    assert (cluster.count, cluster.last_ms, cluster.run_id) == (1, HOUR_MS + 9_000, "c")
    assert [key for key in table if b'"run"' in key] == [key_of("run", 0, "d")]
    document = msgspec.json.decode(shown("tally", tally, WINDOWS.length_ms))
    assert document["kind"] == "tally"
    assert "through" not in document


def test_what_is_over_for_long_goes_and_does_not_come_back() -> None:
    table = folded({}, list(enumerate(LOG)), sweeps=True)
    starts = {tally_in(row).start_ms for key, row in table.items() if b"tally" in key}
    assert starts == {HOUR_MS}
    assert of_event(table.get, LOG[0], 0, 0, WINDOWS) != []  # the run, which is not known any more
    assert not [key for key, _ in of_event(table.get, LOG[0], 0, 0, WINDOWS) if b"tally" in key]


@pytest.mark.parametrize("again", [1, 3])
def test_refusals_are_counted_once_each(again: int) -> None:
    table: Table = {}
    refused = RequestRejected(
        request_id="q", run_id="r", code="bad_input", reason="no name", rejected_at_ms=5, request_type="start_run"
    )
    for offset in [7] * again + [8] * again:
        put(table, of_refusal(table.get, refused, 2, offset, WINDOWS))
    found = cluster_in(table[key_of("refusals", 2, "start_run", "bad_input")])
    assert (found.count, found.example, found.step) == (2, "no name", "start_run")
