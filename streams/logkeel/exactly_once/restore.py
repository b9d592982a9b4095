"""Resync of partitions: the one way from "not ours yet" or "in doubt" to "running" (P16).

A generator, advanced by the loop between its polls: it yields whenever it waits, after each bite of a replay, and as
soon as a partition is ready, so that group callbacks are served meanwhile (P10), partitions with an intact store go on
at once and others restore beside them. It may be dropped at any yield and begun anew. Order matters and is the order of
the code: producers, stable committed offsets, changelog target read uncommitted, validation, replay, position rows.
It never touches group metadata (P11b).
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from logkeel.errors import InvariantViolation, LogTimeout, StoreCorrupt, TopicMissing
from logkeel.exactly_once.cache import RowCache
from logkeel.exactly_once.partition import PartitionState
from logkeel.exactly_once.parts import Parts
from logkeel.exactly_once.replaying import FETCH_ROWS, WAIT_S, Patience, Replay, Target, vouch_in
from logkeel.exactly_once.rows import MARKS_KEY, VOUCH_KEY, LocalMarks, Vouch
from logkeel.exactly_once.validation import (
    ChangelogView,
    SetAside,
    Wipe,
    judge_position,
    judge_store,
    needs_vouch,
)
from logkeel.log import TopicPartition


class Progress(NamedTuple):
    """What a step of a resync brought: partitions that are ready to run, and whether anything moved at all."""

    ready: tuple[int, ...] = ()
    moved: bool = False


WAITING = Progress()


@dataclass(slots=True)
class Resync:
    """One run of the routine over `partitions`. `states` holds every open partition of the loop and is added to.

    `corrupt`: partitions whose stores turned out to be unreadable after they had been opened.
    """

    parts: Parts
    states: dict[int, PartitionState]
    partitions: list[int]
    corrupt: frozenset[int] = frozenset()
    replayed: int = 0

    def steps(self) -> Generator[Progress, None, None]:
        """Run; yields as said above. Raises `LogUnavailable`, `StoreLocked` (try again) and named operator errors."""
        self.parts.pair.prepare()
        while not self.parts.pair.all_ready():
            yield WAITING
        committed = yield from self._barrier()
        views = self._views()
        bounds = self._input_bounds()
        behind: dict[int, Target] = {}
        for partition in self.partitions:
            state = yield from self._validated(views[partition])
            if state.replay_from < views[partition].end:
                behind[partition] = Target(state, views[partition])
            else:
                self._load(state, committed, bounds)
                self.parts.observer.at("after_restore")
                yield Progress((partition,), moved=True)
        # Those that lack only a tail, be it the marker of their last transaction, do not wait for those that lack much.
        near_rows = self.parts.settings.restore_near_rows
        near = {p: each for p, each in behind.items() if each.view.end - each.state.replay_from <= near_rows}
        far = {p: each for p, each in behind.items() if p not in near}
        for targets in (near, far):
            if targets:
                yield from self._replay(targets, committed, bounds)

    def _barrier(self) -> Generator[Progress, None, Mapping[TopicPartition, int | None]]:
        """Stable committed offsets; an unanswered call is repeated, never taken for "none" (P14)."""
        inputs = self.parts.inputs_of(self.partitions)
        patience = Patience(self.parts)
        while True:
            patience.begins()
            try:
                return self.parts.consumer.committed(inputs, self._barrier_timeout_s())
            except LogTimeout:
                patience.waits(self.partitions)
                yield WAITING

    def _barrier_timeout_s(self) -> float:
        """Short while other partitions run: the call blocks them."""
        settings = self.parts.settings
        busy = any(state.active for state in self.states.values())
        longest_ms = settings.restore_bite_ms if busy else settings.barrier_timeout_ms
        return min(settings.barrier_timeout_ms, longest_ms) / 1000

    def _views(self) -> dict[int, ChangelogView]:
        """Changelog as it is now. The target is read uncommitted: what is in doubt may yet be committed (P16)."""
        return changelog_views(self.parts, self.partitions)

    def _input_bounds(self) -> dict[TopicPartition, tuple[int, int]]:
        return input_bounds(self.parts, self.partitions)

    def _validated(self, view: ChangelogView) -> Generator[Progress, None, PartitionState]:
        """Open and judge the store; afterwards its marks say from where to replay (P17)."""
        now_ms = self.parts.clock.now_ms()
        retention_ms = self.parts.settings.delete_retention_ms
        state, marks, corrupt = self._opened(view.partition)
        vouch = None
        if needs_vouch(marks, view):
            vouch = yield from self._vouch(view, state)
        verdict = judge_store(
            marks, view, now_ms=now_ms, delete_retention_ms=retention_ms, corrupt=corrupt, vouch=vouch
        )
        if isinstance(verdict, Wipe | SetAside):
            state = self._replaced(view.partition, verdict)
            marks = None
        if state is None:
            raise InvariantViolation("a store that cannot be opened was not wiped", partition=view.partition)
        state.drop()
        state.marks = marks or LocalMarks(view.start, now_ms, view.topic_id)
        if marks is None:
            state.store.write({MARKS_KEY: state.marks.encode()})
        return state

    def _vouch(self, view: ChangelogView, state: PartitionState | None) -> Generator[Progress, None, Vouch | None]:
        """What a repair left in this changelog: known to the store, or found by reading the changelog through."""
        row = None if state is None else state.store.get(VOUCH_KEY)
        known = None if row is None else Vouch.decode(row)
        if known is not None and known.topic_id == view.topic_id and known.complete_from >= view.start:
            return known
        found: Vouch | None = None
        if view.start >= view.end:
            return found
        place = TopicPartition(view.topic, view.partition)
        patience = Patience(self.parts)
        reader = self.parts.client.reader("read_committed")
        try:
            reader.assign({place: view.start})
            while True:
                changes = reader.fetch_changes(FETCH_ROWS, WAIT_S)
                found = vouch_in(changes.rows.get(place, {}), found)
                if changes.ends.get(place, -1) >= view.end:
                    return found
                if changes.rows:
                    patience.moved()
                else:
                    patience.waits([view.partition])
                yield Progress(moved=bool(changes.rows))
        finally:
            reader.close()

    def _opened(self, partition: int) -> tuple[PartitionState | None, LocalMarks | None, bool]:
        if partition in self.corrupt:
            return None, None, True
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

    def _replaced(self, partition: int, verdict: Wipe | SetAside) -> PartitionState:
        """A new store in the place of one that is of no use; destroyed is only what the changelog holds (P17)."""
        self.parts.observer.error("replace store", StoreCorrupt(verdict.reason, partition=partition))
        held = self.states.pop(partition, None)
        if held is not None:
            held.store.close()
        if isinstance(verdict, Wipe):
            self.parts.stores.destroy(self.parts.processor.table, partition)
        else:
            self.parts.stores.set_aside(self.parts.processor.table, partition)
        return self._open(partition)

    def _replay(
        self,
        behind: Mapping[int, Target],
        committed: Mapping[TopicPartition, int | None],
        bounds: Mapping[TopicPartition, tuple[int, int]],
    ) -> Iterator[Progress]:
        """Bite by bite; each partition is ready when its own target is reached."""
        left, before = set(behind), self.replayed
        replay = Replay(self.parts, behind)
        try:
            while left:
                done, came = replay.bite()
                self.replayed = before + replay.replayed
                self.parts.observer.restoring(replay.remaining() | dict.fromkeys(done, 0))
                for partition in done:
                    self._load(behind[partition].state, committed, bounds)
                if done:
                    self.parts.observer.at("after_restore")
                left.difference_update(done)
                yield Progress(tuple(done), moved=came or bool(done))
        finally:
            replay.close()

    def _load(
        self,
        state: PartitionState,
        committed: Mapping[TopicPartition, int | None],
        bounds: Mapping[TopicPartition, tuple[int, int]],
    ) -> None:
        """Read timers and positions from the caught-up store (P2) and renew the stamp (P17)."""
        if state.marks is not None:
            state.marks = state.marks._replace(caught_up_ms=self.parts.clock.now_ms())
            state.store.write({MARKS_KEY: state.marks.encode()})
        rows = state.load(self.parts.inputs)
        state.committed_positions = {}
        for topic in self.parts.inputs:
            tp = TopicPartition(topic, state.partition)
            if topic in rows and committed[tp] == rows[topic]:
                # A group that lost its offset, or stands elsewhere, is told again by an idle commit (P2, P15).
                state.committed_positions[topic] = rows[topic]
            start, end = bounds[tp]
            if rows.get(topic, 0) > end:
                # The bounds are older than the replay: somebody else went on meanwhile, and this is a zombie.
                end = self.parts.admin.end_offsets([tp], committed_only=False)[tp]
            state.positions[topic] = judge_position(
                topic, state.partition, row=rows.get(topic), committed=committed[tp], start=start, end=end
            )


def changelog_views(parts: Parts, partitions: list[int]) -> dict[int, ChangelogView]:
    """The changelog partitions as they are now, ends read uncommitted. Raises `TopicMissing`, `LogUnavailable`."""
    topic = parts.processor.changelog
    description = parts.admin.describe_topics([topic]).get(topic)
    if description is None:
        raise TopicMissing(f"changelog topic {topic} does not exist: run `logkeel topics apply`", topic=topic)
    changelogs = parts.changelogs_of(partitions)
    ends = parts.admin.end_offsets(changelogs, committed_only=False)
    starts = parts.admin.start_offsets(changelogs)
    return {
        tp.partition: ChangelogView(topic, tp.partition, description.topic_id, starts[tp], ends[tp])
        for tp in changelogs
    }


def input_bounds(parts: Parts, partitions: list[int]) -> dict[TopicPartition, tuple[int, int]]:
    """(log start, end read uncommitted) of the inputs of these partitions. Raises `LogUnavailable`."""
    inputs = parts.inputs_of(partitions)
    starts = parts.admin.start_offsets(inputs)
    ends = parts.admin.end_offsets(inputs, committed_only=False)
    return {tp: (starts[tp], ends[tp]) for tp in inputs}
