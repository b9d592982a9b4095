"""Whatever suffix of the events comes again, tallies, clusters and runs are as if each had come once."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.insight.events import event

from logkeel.insight.clusters import Cluster, cluster_of, joined, shape_of
from logkeel.insight.standing import Patience, Reason, advanced, packed, stuck, unpacked
from logkeel.insight.windows import Tally, counted, is_counted, window_start
from logkeel.projection import RunView
from logkeel.records import ErrorInfo, RunEvent

ERROR = ErrorInfo(code="http", message="no answer of 'a' after 12 s", kind="retryable")
STEP = {"path": "0/ask", "step": "ask", "attempt": 1}
AGAIN = {"path": "0/ask", "step": "ask", "attempt": 2}
LIFE = (
    event("r", 1, "run_started", 1_000),
    event("r", 2, "step_dispatched", 1_000, **STEP, amounts={"tokens": 90}),
    event("r", 3, "step_failed", 3_000, **STEP, started_at_ms=1_500, error=ERROR, amounts={"tokens": 5}),
    event("r", 4, "step_dispatched", 3_000, **AGAIN),
    event("r", 5, "step_succeeded", 9_000, **AGAIN, started_at_ms=4_000, amounts={"tokens": 7}),
    event("r", 6, "run_completed", 9_000, status="succeeded"),
)
MINUTE_MS = 60_000


def tallied(events: Sequence[tuple[int, RunEvent]], step: str) -> Tally:
    tally = Tally(workflow="w", step=step, start_ms=0)
    for offset, each in events:
        if is_counted(each) and (each.step or "") == step:
            tally = counted(tally, each, offset, run_started_ms=1_000)
    return tally


def folded(events: Sequence[tuple[int, RunEvent]], view: RunView | None = None) -> RunView | None:
    for _, each in events:
        view = advanced(view, each)
    return view


def test_a_step_and_its_runs_are_tallied() -> None:
    life = list(enumerate(LIFE))
    step = tallied(life, "ask")
    assert (step.started, step.ended, step.used) == (2, {"failed": 1, "succeeded": 1}, {"tokens": 12})
    assert (step.timed, step.total_ms, step.max_ms) == (2, 6_500, 5_000)
    runs = tallied(life, "")
    assert (runs.started, runs.ended, runs.max_ms) == (1, {"succeeded": 1}, 8_000)
    assert window_start(125_000, MINUTE_MS) == 120_000


@given(st.integers(0, len(LIFE)), st.integers(0, len(LIFE)))
def test_what_comes_again_changes_nothing(died: int, committed: int) -> None:
    """It died behind `died` events, all of which are on the changelogs, and reads on from `committed`."""
    life = list(enumerate(LIFE))
    again = life[:died] + life[min(died, committed) :]
    for step in ("ask", ""):
        assert tallied(again, step) == tallied(life, step)
    cluster = Cluster(workflow="w", step="ask", code="http", shape=shape_of(ERROR.message))
    for offset, each in again:
        if cluster_of(each) is not None:
            cluster = joined(cluster, each, offset)
    assert cluster.count == (1 if len(again) >= 3 else 0)
    assert folded(again) is None


@pytest.mark.parametrize("length", range(1, len(LIFE)))
def test_an_open_run_is_the_same_however_often_it_is_read_and_written(length: int) -> None:
    life = list(enumerate(LIFE[:length]))
    view = folded(life)
    assert view is not None
    again = folded(life[length // 2 :], unpacked(packed(view)))
    assert again == view


def test_a_shape_leaves_out_what_varies() -> None:
    other = "no answer of 'b' after 7.5 s\nTraceback"
    assert shape_of(ERROR.message) == shape_of(other) == "no answer of … after … s"


DAY_MS = 24 * 3_600_000
STARTED = event("r", 1, "run_started", 0)


@pytest.mark.parametrize(
    ("events", "after_ms", "reason"),
    [
        ([event("r", 2, "step_dispatched", 0, **STEP)], 300_000, "worker"),
        ([event("r", 2, "step_started", 0, **STEP, holder="x")], 3_600_000, "worker"),
        ([event("r", 2, "limit_asked", 0, path="0/ask", name="api")], 900_000, "limit"),
        ([event("r", 2, "question_asked", 0, path="0/approve", actor="ada")], DAY_MS, "human"),
        ([event("r", 2, "wait_started", 0, path="0/sleep", name="sleep", due_ms=5_000)], 65_000, "timer"),
        ([event("r", 2, "step_retry_scheduled", 0, **STEP, due_ms=7_000)], 67_000, "timer"),
        ([event("r", 2, "wait_started", 0, path="0/paid", name="signal", reason="paid")], DAY_MS, "signal"),
        ([], 900_000, "other"),
    ],
)
def test_a_run_is_stuck_when_its_time_is_over_and_not_before(
    events: list[RunEvent], after_ms: int, reason: Reason
) -> None:
    view = folded(list(enumerate([STARTED, *events])))
    assert view is not None
    assert stuck(view, after_ms, Patience()) is None
    found = stuck(view, after_ms + 1, Patience())
    assert found is not None
    assert found.reason == reason
    # It is the same standstill a day later.
    later = stuck(view, after_ms + DAY_MS, Patience())
    assert later is not None
    assert later.key == found.key
    # Nothing that the engine would have to do itself happens while nobody reads the partition.
    standing = stuck(view, after_ms + 1, Patience(), engine_stands=True)
    assert standing is not None
    assert standing.reason == ("restore" if reason in ("worker", "timer", "other") else reason)


def test_a_paused_run_is_not_stuck() -> None:
    paused = [STARTED, event("r", 2, "step_dispatched", 0, **STEP), event("r", 3, "run_paused", 0)]
    view = folded(list(enumerate(paused)))
    assert view is not None
    assert stuck(view, DAY_MS, Patience()) is None
