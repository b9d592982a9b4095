"""What a timer's turn is told of the time."""

import pytest
from tests.ledger.ledger import Ledger, LedgerTopics

from logkeel.exactly_once import LoopSettings, Unobserved
from logkeel.exactly_once.batch import Batch
from logkeel.exactly_once.cache import RowCache
from logkeel.exactly_once.collecting import Collector
from logkeel.exactly_once.partition import LogTarget, PartitionState
from logkeel.exactly_once.port import Timer, Turn
from logkeel.exactly_once.rows import timer_key
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster

TOPICS = LedgerTopics("sim")
DUE_MS, TAKEN_MS = 1_342, 2_079


class Watch(Ledger):
    """Notes when a timer was due, and what time it is told."""

    def __init__(self) -> None:
        super().__init__(TOPICS)
        self.told: list[tuple[int, int]] = []

    def on_timer(self, timer: Timer, turn: Turn) -> None:
        self.told.append((timer.due_ms, turn.now_ms))


@pytest.mark.parametrize("kind", ["row", "wake-up"])
@pytest.mark.parametrize(("clock_ms", "told_ms"), [(TAKEN_MS, TAKEN_MS), (DUE_MS - 40_000, DUE_MS)])
def test_a_timer_that_was_due_never_hears_of_an_earlier_time(kind: str, clock_ms: int, told_ms: int) -> None:
    """The clock went back after the target was taken: who hears of a time before the timer's would wait for ever."""
    store, key = MemoryStoreDirectory().open("table", 0), timer_key(DUE_MS, b"t")
    state = PartitionState(0, store, RowCache(10), target=LogTarget(TAKEN_MS, {}))
    if kind == "row":
        store.write({key: b"payload"})
        state.timers.load([key])
    else:
        state.timers.apply_wakeups({b"t": DUE_MS})
    watch = Watch()
    settings = LoopSettings(application="sim", group_id="sim")
    collector = Collector(watch, settings, SimulatedCluster().clock, Unobserved())
    collector.timers(Batch(), state, clock_ms)
    assert watch.told == [(DUE_MS, told_ms)]
