"""Overlays, batches, cache and timers against plain models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.errors import InvariantViolation, RecordTooLarge
from logkeel.exactly_once.batch import Batch, Overlay, changes
from logkeel.exactly_once.cache import RowCache
from logkeel.exactly_once.changelog import ChangelogOffsets, add_position_rows, produce_changelog, slot_headers
from logkeel.exactly_once.committing import follow
from logkeel.exactly_once.partition import LogTarget, PartitionState, needs_target
from logkeel.exactly_once.rows import decode_position, due_of, position_key, timer_id_of, timer_key
from logkeel.exactly_once.timers import TimerHeap
from logkeel.log import DeliveryCallback, OutputRecord, TopicPartition
from logkeel.simulation.store import MemoryStoreDirectory

KEYS = st.binary(min_size=1, max_size=3).map(lambda tail: b"\x10" + tail)
ROWS = st.dictionaries(KEYS, st.binary(max_size=3), max_size=12)
WRITES = st.dictionaries(KEYS, st.none() | st.binary(max_size=3), max_size=12)


def state_with(rows: dict[bytes, bytes], *, cache_rows: int = 100) -> PartitionState:
    """A partition whose store holds `rows`."""
    store = MemoryStoreDirectory().open("table", 0)
    store.write(dict(rows))
    return PartitionState(0, store, RowCache(cache_rows), positions={"in": 5}, committed_positions={"in": 5})


def overlay(batch: Batch, state: PartitionState) -> Overlay:
    """A turn on the batch."""
    return Overlay(batch.of(state), 1_000, 100)


def apply(turn: Overlay, writes: dict[bytes, bytes | None]) -> None:
    """Put and delete."""
    for key, value in writes.items():
        if value is None:
            turn.delete(key)
        else:
            turn.put(key, value)


def merged(rows: dict[bytes, bytes], *layers: dict[bytes, bytes | None]) -> dict[bytes, bytes]:
    """The model: later layers win, None deletes."""
    table: dict[bytes, bytes | None] = dict(rows)
    for layer in layers:
        table.update(layer)
    return {key: value for key, value in table.items() if value is not None}


@given(ROWS, WRITES, WRITES, KEYS, KEYS)
def test_reads_see_store_batch_and_own_writes(
    rows: dict[bytes, bytes],
    first: dict[bytes, bytes | None],
    second: dict[bytes, bytes | None],
    start: bytes,
    end: bytes,
) -> None:
    state, batch = state_with(rows, cache_rows=4), Batch()
    turn = overlay(batch, state)
    apply(turn, first)
    turn.merge_into(batch)
    turn = overlay(batch, state)
    apply(turn, second)
    model = merged(rows, first, second)
    assert {key: turn.get(key) for key in {*rows, *first, *second}} == {
        key: model.get(key) for key in {*rows, *first, *second}
    }
    assert list(turn.scan(start, end)) == sorted((k, v) for k, v in model.items() if start <= k < end)


@given(ROWS, WRITES, WRITES)
def test_a_discarded_overlay_leaves_no_trace(
    rows: dict[bytes, bytes], kept: dict[bytes, bytes | None], discarded: dict[bytes, bytes | None]
) -> None:
    state, batch = state_with(rows), Batch()
    turn = overlay(batch, state)
    apply(turn, kept)
    turn.merge_into(batch)
    failed = overlay(batch, state)
    apply(failed, discarded)
    failed.emit(OutputRecord("out", None, b"x"))
    failed.set_wakeup(1, b"w")
    assert batch.of(state).rows == kept
    assert batch.outputs == []
    assert batch.of(state).wakeups == {}
    assert dict(state.store.scan(b"\x10", b"\xff")) == rows


def test_the_cache_changes_only_with_the_store() -> None:
    state, batch = state_with({b"\x10a": b"1"}), Batch()
    turn = overlay(batch, state)
    turn.put(b"\x10a", b"2")
    turn.merge_into(batch)
    assert state.read(b"\x10a") == b"1"


def test_rows_below_the_processors_are_refused() -> None:
    turn = overlay(Batch(), state_with({}))
    for key in (b"\x00marks", b"\x01in", b"\x02", b""):
        with pytest.raises(InvariantViolation):
            turn.put(key, b"")
        with pytest.raises(InvariantViolation):
            turn.delete(key)


def test_what_the_log_could_not_take_is_refused_where_it_is_made() -> None:
    turn = overlay(Batch(), state_with({}))
    with pytest.raises(RecordTooLarge):
        turn.put(b"\x10a", b"x" * 100)
    with pytest.raises(RecordTooLarge):
        turn.emit(OutputRecord("out", None, b"x" * 101))


def test_positions_become_rows_only_when_they_moved() -> None:
    state, batch = state_with({}), Batch()
    part = batch.of(state)
    assert not changes(batch)
    add_position_rows(part)
    assert part.rows == {}
    part.positions["in"] = 6
    assert changes(batch)
    add_position_rows(part)
    row = part.rows[position_key("in")]
    assert row is not None
    assert decode_position(row) == 6


def test_changelog_offset_is_behind_the_last_delivery() -> None:
    offsets = ChangelogOffsets()
    offsets.delivered(TopicPartition("log", 3), 41, None)
    assert offsets.end_of(3) == 42
    offsets.delivered(TopicPartition("log", 4), -1, ValueError())
    with pytest.raises(InvariantViolation):
        offsets.end_of(4)


@given(st.lists(st.tuples(st.integers(0, 2**40), st.binary(max_size=4))))
def test_timer_keys_sort_by_due_time(timers: list[tuple[int, bytes]]) -> None:
    keys = sorted(timer_key(due_ms, timer_id) for due_ms, timer_id in timers)
    assert [(due_of(key), timer_id_of(key)) for key in keys] == sorted(timers)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60))
def test_the_heap_mirrors_timer_rows(changes_made: list[tuple[int, bool]]) -> None:
    heap, model = TimerHeap(), set[bytes]()
    for due_ms, is_set in changes_made:
        key = timer_key(due_ms, b"t")
        heap.apply({key: b"" if is_set else None})
        (model.add if is_set else model.discard)(key)
        assert heap.next_due_ms() == (due_of(min(model)) if model else None)
        assert heap.due_timers(10, 100) == sorted(key for key in model if due_of(key) <= 10)


def test_a_wakeup_is_replaced_by_a_later_one() -> None:
    heap = TimerHeap()
    heap.apply_wakeups({b"w": 10})
    heap.apply_wakeups({b"w": 20, b"v": 15})
    assert heap.due_wakeups(14) == []
    assert heap.next_due_ms() == 15
    assert heap.due_wakeups(20) == [(15, b"v"), (20, b"w")]
    heap.apply_wakeups({b"v": None})
    assert heap.next_due_ms() == 20
    heap.load([])
    assert heap.next_due_ms() is None


def test_a_log_target_waits_for_every_input() -> None:
    target = LogTarget(1_000, {"a": 5, "b": 0})
    assert not target.reached({"a": 4, "b": 0})
    assert not target.reached({"a": 5})
    assert target.reached({"a": 5, "b": 0})


def test_a_target_is_taken_when_something_is_due_and_the_last_one_was_reached() -> None:
    state = state_with({})
    assert not needs_target(state, 1_000)
    state.timers.apply_wakeups({b"w": 900})
    assert not needs_target(state, 899)
    assert needs_target(state, 900)
    state.target = LogTarget(899, {"in": 6})
    assert not needs_target(state, 900)
    state.target = LogTarget(899, {"in": 5})
    assert needs_target(state, 900)
    state.target = LogTarget(900, {"in": 6})
    assert not needs_target(state, 900)


@given(st.lists(st.tuples(st.integers(0, 30), st.none() | st.binary(max_size=1)), max_size=80))
def test_the_cache_never_contradicts_what_it_was_told(fills: list[tuple[int, bytes | None]]) -> None:
    cache, model = RowCache(16), dict[bytes, bytes | None]()
    for number, value in fills:
        key = b"%d" % number
        cache.apply({key: value})
        model[key] = value
        assert cache[key] == value
        assert len(cache) <= 16
        assert all(cache[key] == known for key, known in model.items() if key in cache)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.none() | st.binary(max_size=1)), max_size=80))
def test_a_complete_scope_has_all_its_rows_in_the_cache(writes: list[tuple[int, int, bytes | None]]) -> None:
    cache, rows = RowCache(12), dict[bytes, bytes | None]()
    begun: set[bytes] = set()
    for run, row, value in writes:
        scope = b"%d/" % run
        cache.apply({scope + b"%d" % row: value}, () if scope in begun else (scope,))
        begun.add(scope)
        rows[scope + b"%d" % row] = value
        for each in begun:
            if cache.is_complete(each):
                assert all(key in cache and cache[key] == kept for key, kept in rows.items() if key.startswith(each))


def test_what_began_empty_is_not_looked_up_unless_the_turn_was_dropped() -> None:
    state, batch = state_with({b"\x10run/a": b"stored"}), Batch()
    dropped = overlay(batch, state)
    dropped.begin(b"\x10run/")
    assert dropped.get(b"\x10run/a", b"\x10run/") is None
    assert overlay(batch, state).get(b"\x10run/a", b"\x10run/") == b"stored"


def test_what_a_batch_began_is_complete_once_it_was_stored() -> None:
    state, batch = state_with({}), Batch()
    turn = overlay(batch, state)
    turn.begin(b"\x10run/")
    turn.put(b"\x10run/a", b"1")
    turn.merge_into(batch)
    assert overlay(batch, state).get(b"\x10run/b", b"\x10run/") is None
    assert not state.cache.is_complete(b"\x10run/")
    follow(batch.of(state))
    assert state.cache.is_complete(b"\x10run/")
    state.drop()
    assert not state.cache.is_complete(b"\x10run/")


class Kept:
    """Keeps what is produced."""

    def __init__(self) -> None:
        self.outputs: list[OutputRecord] = []
        self.reported: list[bytes | None] = []

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        self.outputs.append(output)
        if on_delivery is not None:
            self.reported.append(output.key)


def test_the_first_record_of_a_partition_names_the_writer_and_the_last_one_reports() -> None:
    batch, kept = Batch(), Kept()
    for partition in (0, 1):
        state = PartitionState(partition, MemoryStoreDirectory().open("table", partition), RowCache(10))
        batch.of(state).rows.update({b"a%d" % partition: b"1", b"b%d" % partition: None, b"c%d" % partition: b"3"})
    produce_changelog(kept, batch, topic="log", headers=slot_headers(7), offsets=ChangelogOffsets())
    named = [output.key for output in kept.outputs if output.headers == slot_headers(7)]
    assert named == [b"a0", b"a1"]
    assert kept.reported == [b"c0", b"c1"]
    assert len(kept.outputs) == 6
