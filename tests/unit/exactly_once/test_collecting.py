"""What a timer's turn is told of the time."""

import pytest
from tests.ledger.ledger import Ledger, LedgerTopics

from logkeel.exactly_once import LoopSettings, Unobserved
from logkeel.exactly_once.batch import Batch
from logkeel.exactly_once.cache import RowCache
from logkeel.exactly_once.collecting import Collector
from logkeel.exactly_once.partition import LogTarget, PartitionState, waits_for_records
from logkeel.exactly_once.port import Timer, Turn
from logkeel.exactly_once.rows import timer_key
from logkeel.simulation import MemoryStoreDirectory, SimulatedClock, SimulatedCluster

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


class Slow(Watch):
    """Takes a while for each timer."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock

    def on_timer(self, timer: Timer, turn: Turn) -> None:
        super().on_timer(timer, turn)
        self._clock.advance(TAKES_MS)


TAKES_MS = 2
DUE = 500


def test_thousands_due_at_once_leave_room_for_records_and_all_fire_in_order() -> None:
    """Else one batch held all of them: seconds in which no answer of a step was read."""
    store = MemoryStoreDirectory().open("table", 0)
    rows = {timer_key(DUE_MS + number, b"t"): b"payload" for number in range(DUE)}
    store.write(rows)
    cluster = SimulatedCluster()
    state = PartitionState(0, store, RowCache(10), target=LogTarget(TAKEN_MS, {}))
    state.timers.load(rows)
    slow = Slow(cluster.clock)
    settings = LoopSettings(application="sim", group_id="sim")
    collector = Collector(slow, settings, cluster.clock, Unobserved())
    fired = []
    while len(slow.told) < DUE:
        before = len(slow.told)
        collector.timers(Batch(), state, TAKEN_MS, until_s=cluster.clock.monotonic_s() + 0.1)
        fired.append(len(slow.told) - before)
        state.timers.apply(dict.fromkeys(sorted(rows)[: len(slow.told)]))
    assert slow.told == [(DUE_MS + number, TAKEN_MS) for number in range(DUE)]
    # 100 ms are 50 timers; the clock is looked at after every 32.
    assert fired == [64] * 7 + [52]


def test_a_partition_whose_turn_comes_when_the_time_is_over_fires_some_all_the_same() -> None:
    store = MemoryStoreDirectory().open("table", 0)
    rows = {timer_key(DUE_MS + number, b"t"): b"payload" for number in range(DUE)}
    store.write(rows)
    cluster = SimulatedCluster()
    cluster.advance(1_000)
    state = PartitionState(0, store, RowCache(10), target=LogTarget(TAKEN_MS, {}))
    state.timers.load(rows)
    watch = Watch()
    settings = LoopSettings(application="sim", group_id="sim")
    Collector(watch, settings, cluster.clock, Unobserved()).timers(Batch(), state, TAKEN_MS, until_s=0.0)
    assert len(watch.told) == 32


def test_what_is_left_over_is_not_waited_for() -> None:
    """A loop sleeps until a record comes while timers wait for records, not when some were left for the next batch."""
    state = PartitionState(0, MemoryStoreDirectory().open("table", 0), RowCache(10))
    assert not waits_for_records(state, DUE_MS)
    state.target = LogTarget(TAKEN_MS, {"requests": 7})
    state.positions["requests"] = 6
    assert waits_for_records(state, DUE_MS)
    assert not waits_for_records(state, TAKEN_MS + 1)
    state.positions["requests"] = 7
    assert not waits_for_records(state, DUE_MS)
