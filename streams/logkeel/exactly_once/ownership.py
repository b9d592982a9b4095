"""Which partitions run: assignment, stores, resyncs, stops (P6, P8, P9, P10, P11).

Owns the partition states and decides when a resync is due; the routine itself is `restore`. A partition runs as soon as
it is ready; what becomes unsynced while others restore gets a resync of its own beside theirs. Group events only note
and stop; all waiting happens in `advance`.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field

from logkeel.errors import LogkeelError, LogUnavailable, StoreCorrupt, StoreLocked, StoreUnavailable
from logkeel.exactly_once.assignment import Assignment, GroupEvent
from logkeel.exactly_once.partition import PartitionState
from logkeel.exactly_once.parts import Parts
from logkeel.exactly_once.poison import next_mark
from logkeel.exactly_once.restore import Progress, Resync
from logkeel.exactly_once.rows import CRASH_KEY, MARKS_KEY
from logkeel.log import TopicPartition

RETRY_FIRST_S = 0.2
RETRY_LAST_S = 5.0
STORE_FAILURES_TO_LEAVE = 8


@dataclass(slots=True, eq=False)
class _Running:
    """A resync under way. `left`: its partitions that are not ready yet."""

    resync: Resync
    started_s: float
    left: set[int]
    steps: Generator[Progress, None, None] = field(init=False)

    def __post_init__(self) -> None:
        self.steps = self.resync.steps()


class Ownership:
    """The partitions of one loop. `drop_queue` empties the loop's local queue (P9)."""

    def __init__(self, parts: Parts, drop_queue: Callable[[], None]) -> None:
        self._parts = parts
        self._drop_queue = drop_queue
        self.assignment = Assignment(parts.inputs, self._on_group_event)
        self.states: dict[int, PartitionState] = {}
        self.stale_since_s: float | None = None
        self._unsynced: set[int] = set()
        self._resyncs: list[_Running] = []
        self._retry_at_s = 0.0
        self._retry_s = RETRY_FIRST_S
        self._store_failures = 0
        self._in_doubt: set[int] = set()
        self._corrupt: set[int] = set()
        self._stamped_s = parts.clock.monotonic_s()
        self._turned_s = self._stamped_s

    @property
    def active(self) -> list[int]:
        """Partitions that are processing, ascending."""
        return sorted(partition for partition, state in self.states.items() if state.active)

    @property
    def syncing(self) -> bool:
        """Whether a resync runs or is due."""
        return bool(self._unsynced)

    @property
    def is_settled(self) -> bool:
        """Whether there is an assignment, maybe of nothing, that is not over, and nothing of it waits for a resync."""
        assignment = self.assignment
        given = assignment.group is not None and assignment.problem is None
        return given and self.stale_since_s is None and not self._unsynced

    def stop(self, partitions: Iterable[int], *, in_doubt: bool = False) -> None:
        """Drop all memory of these partitions; only a resync reopens them (P6, P8)."""
        numbers = list(partitions)
        self._drop_queue()
        self._pause(numbers)
        for partition in numbers:
            if partition in self.states:
                self.states[partition].drop()
            self._unsynced.add(partition)
        if in_doubt:
            self._in_doubt.update(numbers)
        self._rewind([partition for partition in self.active if partition not in numbers])

    def stores_failed(self, partitions: Iterable[int], error: StoreUnavailable | StoreCorrupt) -> None:
        """Stores could not be read or written: stop their partitions (P8). Raises `error` when it lasts (P11)."""
        self._parts.observer.error("store", error)
        self._store_failures += 1
        if self._store_failures >= STORE_FAILURES_TO_LEAVE:
            raise error
        numbers = list(partitions)
        self._note_corrupt(numbers, error)
        self.stop(numbers)
        for partition in numbers:
            state = self.states.pop(partition, None)
            if state is not None:
                state.store.close()
        self._delay_retry()

    def await_assignment(self, partitions: Iterable[int]) -> None:
        """The generation is over: nothing but callbacks until the group hands out partitions anew (P11)."""
        self.stale_since_s = self._parts.clock.monotonic_s()
        self.stop(partitions)

    def reload(self, partitions: Iterable[int]) -> None:
        """After an abort: memory from the store, then on from its position rows (P7, P11)."""
        self._drop_queue()
        for partition in partitions:
            state = self.states[partition]
            start = {topic: state.positions[topic] for topic in self._parts.inputs}
            try:
                rows = state.load(self._parts.inputs)
            except (StoreUnavailable, StoreCorrupt) as error:
                self.stores_failed([partition], error)
                continue
            state.committed_positions = rows
            state.positions = {**start, **rows}
            state.fresh = True
        self._rewind(self.active)

    def go_on(self) -> None:
        """Fetch again where the position map says."""
        self._rewind(self.active)
        self._parts.consumer.resume(self._parts.inputs_of(self.active))

    def advance(self) -> bool:
        """Drive every resync that is due, one step each; whether anything moved.

        Raises named operator errors: store and changelog do not fit, and somebody has to decide.
        """
        self._begin()
        moved = False
        for running in list(self._resyncs):
            moved = self._advance(running) or moved
        return moved

    def _advance(self, running: _Running) -> bool:
        try:
            progress = next(running.steps)
        except StopIteration:
            self._resyncs.remove(running)
            return False
        except (LogUnavailable, StoreLocked, StoreCorrupt) as error:
            self._abandon(running, error)
            return False
        except StoreUnavailable as error:
            self._store_failures += 1
            if self._store_failures >= STORE_FAILURES_TO_LEAVE:
                raise
            self._abandon(running, error)
            return False
        if progress.ready:
            self._finish(running, list(progress.ready))
        return progress.moved

    def rejoin_if_forgotten(self, rejoin: Callable[[], None]) -> None:
        """A generation that ended without a callback: leave and join anew, a partition must not be stuck (P11)."""
        now_s = self._parts.clock.monotonic_s()
        if (
            self.stale_since_s is None
            or now_s - self.stale_since_s < 3 * self._parts.settings.session_timeout_ms / 1000
        ):
            return
        self.stale_since_s = now_s
        rejoin()

    def stamp(self) -> None:
        """Renew the caught-up stamp of idle partitions (P17), unless this process was stopped for a session or more."""
        now_s = self._parts.clock.monotonic_s()
        awake = now_s - self._turned_s < self._parts.settings.session_timeout_ms / 1000
        self._turned_s = now_s
        if not awake or now_s - self._stamped_s < self._parts.settings.caught_up_stamp_ms / 1000:
            return
        self._stamped_s = now_s
        now_ms = self._parts.clock.now_ms()
        for partition in self.active:
            state = self.states[partition]
            if state.marks is not None:
                state.marks = state.marks._replace(caught_up_ms=now_ms)
                try:
                    state.store.write({MARKS_KEY: state.marks.encode()})
                except (StoreUnavailable, StoreCorrupt) as error:
                    self.stores_failed([partition], error)

    def rests_ms(self) -> float | None:
        """How long until something is due of what runs: timer, idle commit, stamp. None: it is, or is to be synced."""
        if self._unsynced or self._resyncs or self.stale_since_s is not None:
            return None
        clock, settings = self._parts.clock, self._parts.settings
        now_s, now_ms = clock.monotonic_s(), clock.now_ms()
        left_ms = 1_000 * (settings.caught_up_stamp_ms / 1000 - (now_s - self._stamped_s))
        for state in self.states.values():
            if state.active:
                rests_ms = state.rests_ms(now_ms, now_s, settings.idle_commit_ms / 1000)
                left_ms = 0.0 if rests_ms is None else min(left_ms, rests_ms)
        return left_ms if left_ms > 0 else None

    def close(self, *, failed: bool = False) -> None:
        """Close every store. Unless the loop `failed`, crash marks go: whoever opens them next finds no crash."""
        self._drop_resyncs()
        for state in self.states.values():
            self._close_store(state, failed=failed)
        self.states.clear()

    def _begin(self) -> None:
        now_s = self._parts.clock.monotonic_s()
        if not self._unsynced or self.stale_since_s is not None or now_s < self._retry_at_s:
            return
        partitions = sorted(self._unsynced.difference(*(running.left for running in self._resyncs)))
        if not partitions:
            return
        self._close_strangers()
        self._parts.observer.resync_started(partitions)
        resync = Resync(self._parts, self.states, partitions, corrupt=frozenset(self._corrupt))
        self._resyncs.append(_Running(resync, now_s, set(partitions)))

    def _finish(self, running: _Running, partitions: list[int]) -> None:
        """These run from now on; the others of the resync go on restoring beside them."""
        for partition in partitions:
            self._open(self.states[partition])
        running.left.difference_update(partitions)
        self._unsynced.difference_update(partitions)
        self._in_doubt.difference_update(partitions)
        self._corrupt.difference_update(partitions)
        self._retry_s, self._store_failures = RETRY_FIRST_S, 0
        self._rewind(partitions)
        self._parts.consumer.resume(self._parts.inputs_of(partitions))
        elapsed_s = self._parts.clock.monotonic_s() - running.started_s
        self._parts.observer.resync_finished(partitions, running.resync.replayed, elapsed_s)
        self._parts.observer.at("after_ready")

    def _open(self, state: PartitionState) -> None:
        """Mark the opening, so that repeated crashes at one position are noticed (P21)."""
        if not state.opened:
            mark = next_mark(state.store.get(CRASH_KEY), state.places())
            state.store.write({CRASH_KEY: mark.encode()})
            stuck = mark.stuck(after=self._parts.settings.crashes_before_single)
            state.opened, state.crash_mark = True, mark
            state.alone = dict.fromkeys(stuck, self._parts.settings.max_records)
        state.active = True
        state.fresh = True

    def _abandon(self, running: _Running, error: LogkeelError) -> None:
        """Begin anew later; what the stores have by now they keep, except one that broke."""
        self._parts.observer.error("resync", error)
        self._resyncs.remove(running)
        self._note_corrupt(running.left, error)
        if isinstance(error, StoreCorrupt | StoreUnavailable):
            for partition in running.left:
                state = self.states.pop(partition, None)
                if state is not None:
                    state.store.close()
        self._delay_retry()

    def _note_corrupt(self, candidates: Iterable[int], error: Exception) -> None:
        """Which store is to be replaced by the next resync: the one that the error names, or the only candidate."""
        if isinstance(error, StoreCorrupt):
            numbers = set(candidates)
            named = error.details.get("partition")
            self._corrupt |= numbers if len(numbers) == 1 else numbers & {named}

    def _delay_retry(self) -> None:
        self._retry_at_s = self._parts.clock.monotonic_s() + self._retry_s
        self._retry_s = min(2 * self._retry_s, RETRY_LAST_S)

    def _drop_resyncs(self) -> None:
        running, self._resyncs = self._resyncs, []
        for each in running:
            each.steps.close()

    def _close_strangers(self) -> None:
        """Close stores of partitions that went elsewhere; those that came back stayed open (P10)."""
        for partition in [number for number in self.states if number not in self.assignment.partitions]:
            self._close_store(self.states.pop(partition), failed=False)

    def _close_store(self, state: PartitionState, *, failed: bool) -> None:
        if state.crash_mark.places and not failed:
            try:
                state.store.write({CRASH_KEY: None})
            except (StoreUnavailable, StoreCorrupt) as error:
                self._parts.observer.error("close store", error)
        state.store.close()

    def _pause(self, partitions: list[int]) -> None:
        owned = [partition for partition in partitions if partition in self.assignment.partitions]
        if owned:
            self._parts.consumer.pause(self._parts.inputs_of(owned))

    def _rewind(self, partitions: list[int]) -> None:
        """Seek to the position map (P3)."""
        positions = {
            TopicPartition(topic, partition): position
            for partition in partitions
            for topic, position in self.states[partition].positions.items()
        }
        if positions:
            self._parts.consumer.seek(positions)

    def _on_group_event(self, event: GroupEvent) -> None:
        """Inside a callback: stop everything, note what is to be synced, touch nothing that waits (P9, P10)."""
        self._drop_queue()
        self._drop_resyncs()
        for state in self.states.values():
            state.drop()
        if event == "assigned":
            self.stale_since_s = None
            self._retry_at_s = 0.0
            self._unsynced = set(self.assignment.partitions)
            if self.assignment.problem is not None:
                self._parts.observer.error("assignment", self.assignment.problem)
        else:
            self._unsynced = set()
            if self._in_doubt:
                self._in_doubt.clear()
                self._parts.pair.retire_all()
        self._parts.observer.rebalance(event, self.assignment.partitions)
