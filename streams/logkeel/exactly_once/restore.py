"""Resync of partitions: the one way from "not ours yet" or "in doubt" to "running" (P16).

A generator, advanced by the loop between its polls: it yields whenever it has to wait, so that group callbacks are
served meanwhile (P10). It may be dropped at any yield and begun anew. Order matters and is the order of the code:
producers, stable committed offsets, changelog target read uncommitted, validation, replay, position rows.
It never touches group metadata (P11b).
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from logkeel.errors import InvariantViolation, LogTimeout, StoreCorrupt, TopicMissing
from logkeel.exactly_once.cache import RowCache
from logkeel.exactly_once.orphans import break_orphans
from logkeel.exactly_once.partition import PartitionState
from logkeel.exactly_once.parts import Parts
from logkeel.exactly_once.rows import MARKS_KEY, LocalMarks
from logkeel.exactly_once.validation import ChangelogView, Wipe, judge_position, judge_store
from logkeel.log import Record, TopicPartition
from logkeel.log.keyspace import LOCAL

_FETCH_S = 0.02


@dataclass(slots=True)
class Resync:
    """One run of the routine over `partitions`. `states` holds every open partition of the loop and is added to."""

    parts: Parts
    states: dict[int, PartitionState]
    partitions: list[int]
    replayed: int = 0
    _waiting_since_s: float | None = field(default=None)

    def steps(self) -> Iterator[None]:
        """Run; yields when it waits. Raises `LogUnavailable`, `StoreLocked` (try again) and named operator errors."""
        self.parts.pair.prepare()
        while not self.parts.pair.all_ready():
            yield
        committed = yield from self._barrier()
        views = self._views()
        bounds = self._input_bounds()
        replays = {partition: self._validated(views[partition]) for partition in self.partitions}
        yield from self._replay(views, {p: offset for p, offset in replays.items() if offset < views[p].end})
        for partition in self.partitions:
            self._load(self.states[partition], views[partition], committed, bounds)
        self.parts.observer.at("after_restore")

    def _barrier(self) -> Generator[None, None, Mapping[TopicPartition, int | None]]:
        """Stable committed offsets; an unanswered call is repeated, never taken for "none" (P14)."""
        inputs = self.parts.inputs_of(self.partitions)
        self._waiting_since_s = None
        while True:
            try:
                return self.parts.consumer.committed(inputs, self.parts.settings.barrier_timeout_ms / 1000)
            except LogTimeout:
                self._blocked()
                yield

    def _views(self) -> dict[int, ChangelogView]:
        """Changelog as it is now. The target is read uncommitted: what is in doubt may yet be committed (P16)."""
        topic = self.parts.processor.changelog
        description = self.parts.admin.describe_topics([topic]).get(topic)
        if description is None:
            raise TopicMissing(f"changelog topic {topic} does not exist: run `logkeel topics apply`", topic=topic)
        changelogs = self.parts.changelogs_of(self.partitions)
        ends = self.parts.admin.end_offsets(changelogs, committed_only=False)
        starts = self.parts.admin.start_offsets(changelogs)
        return {
            tp.partition: ChangelogView(topic, tp.partition, description.topic_id, starts[tp], ends[tp])
            for tp in changelogs
        }

    def _input_bounds(self) -> dict[TopicPartition, tuple[int, int]]:
        inputs = self.parts.inputs_of(self.partitions)
        starts = self.parts.admin.start_offsets(inputs)
        ends = self.parts.admin.end_offsets(inputs, committed_only=False)
        return {tp: (starts[tp], ends[tp]) for tp in inputs}

    def _validated(self, view: ChangelogView) -> int:
        """Open and judge the store; the changelog offset to replay from (P17)."""
        now_ms = self.parts.clock.now_ms()
        retention_ms = self.parts.settings.delete_retention_ms
        state, marks, corrupt = self._opened(view.partition)
        verdict = judge_store(marks, view, now_ms=now_ms, delete_retention_ms=retention_ms, corrupt=corrupt)
        if isinstance(verdict, Wipe):
            state = self._wiped(view.partition, verdict)
            marks = None
        if state is None:
            raise InvariantViolation("a store that cannot be opened was not wiped", partition=view.partition)
        state.drop()
        state.marks = marks or LocalMarks(0, now_ms, view.topic_id)
        if marks is None:
            state.store.write({MARKS_KEY: state.marks.encode()})
        return state.marks.offset

    def _opened(self, partition: int) -> tuple[PartitionState | None, LocalMarks | None, bool]:
        try:
            state = self.states.get(partition) or self._open(partition)
            return state, state.load_marks(), False
        except StoreCorrupt as error:
            self.parts.observer.error("open store", error)
            return None, None, True

    def _open(self, partition: int) -> PartitionState:
        store = self.parts.stores.open(self.parts.processor.table, partition)
        state = PartitionState(partition, store, RowCache(self.parts.settings.cache_rows))
        self.states[partition] = state
        return state

    def _wiped(self, partition: int, verdict: Wipe) -> PartitionState:
        self.parts.observer.error("wipe store", StoreCorrupt(verdict.reason, partition=partition))
        held = self.states.pop(partition, None)
        if held is not None:
            held.store.close()
        self.parts.stores.destroy(self.parts.processor.table, partition)
        return self._open(partition)

    def _replay(self, views: Mapping[int, ChangelogView], starts: Mapping[int, int]) -> Iterator[None]:
        """Apply the changelog, read committed, until each partition's end is seen at or beyond its target."""
        if not starts:
            return
        topic = self.parts.processor.changelog
        reader = self.parts.client.reader("read_committed")
        missing = dict(starts)
        self._waiting_since_s = None
        try:
            reader.assign({TopicPartition(topic, partition): offset for partition, offset in starts.items()})
            while missing:
                fetched = reader.fetch(2000, _FETCH_S)
                self._apply(fetched.records)
                for tp, end in fetched.ends.items():
                    if tp.partition in missing and end >= views[tp.partition].end:
                        del missing[tp.partition]
                        self._mark(self.states[tp.partition], end)
                if missing and not fetched.records:
                    self._blocked(list(missing))
                    yield
        finally:
            reader.close()

    def _apply(self, records: list[Record]) -> None:
        """Write replayed rows, each partition's with its new offset in one batch (P16b)."""
        if not records:
            return
        self._waiting_since_s = None
        batches: dict[int, dict[bytes, bytes | None]] = {}
        ends: dict[int, int] = {}
        for record in records:
            rows = batches.setdefault(record.partition, {})
            if record.key is not None and not record.key.startswith(LOCAL):
                rows[record.key] = record.value
            ends[record.partition] = record.offset + 1
        for partition, rows in batches.items():
            self._mark(self.states[partition], ends[partition], rows)
        self.replayed += len(records)

    def _mark(self, state: PartitionState, offset: int, rows: dict[bytes, bytes | None] | None = None) -> None:
        marks = state.marks
        if marks is None:
            raise InvariantViolation("replay into a store that was not validated", partition=state.partition)
        state.marks = marks._replace(offset=offset)
        state.store.write({**(rows or {}), MARKS_KEY: state.marks.encode()})

    def _load(
        self,
        state: PartitionState,
        view: ChangelogView,
        committed: Mapping[TopicPartition, int | None],
        bounds: Mapping[TopicPartition, tuple[int, int]],
    ) -> None:
        """Read timers and positions from the caught-up store (P2) and renew the stamp (P17)."""
        if state.marks is not None:
            state.marks = state.marks._replace(caught_up_ms=self.parts.clock.now_ms())
            state.store.write({MARKS_KEY: state.marks.encode()})
        rows = state.load(self.parts.inputs)
        state.committed_positions = rows
        for topic in self.parts.inputs:
            tp = TopicPartition(topic, view.partition)
            start, end = bounds[tp]
            state.positions[topic] = judge_position(
                topic, view.partition, row=rows.get(topic), committed=committed[tp], start=start, end=end
            )

    def _blocked(self, partitions: list[int] | None = None) -> None:
        """Called while waiting for stability; after a while, fences dead slots (P18)."""
        now_s = self.parts.clock.monotonic_s()
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        elif now_s - self._waiting_since_s >= self.parts.settings.orphan_wait_ms / 1000:
            self._waiting_since_s = now_s
            break_orphans(self.parts, partitions or self.partitions)
