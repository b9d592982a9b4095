"""Repairs that an operator decided on (P17): the changelog from a store, or going on without what is lost.

Safe to run twice, to kill anywhere, and beside engines:
- The repair is a member of the group, under its slot's name, and works only while it owns every partition; its
  transaction carries the group's generation, so an engine that joins meanwhile makes it abort.
- It uses the slot's transactional ids, so a zombie of the slot is fenced, and an engine that finds its open transaction
  in the way fences it as it would any orphan (P18).
- A partition is repaired by one transaction; its store follows after the commit, as in the loop. No store is destroyed:
  one that is of no use any more is moved aside.

A shell: what is to be done is decided by `diagnosis`.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

from logkeel.errors import EnginesRunning, LogkeelError, LogTimeout, StoreCorrupt, StoreStale
from logkeel.exactly_once.assignment import Assignment
from logkeel.exactly_once.changelog import ChangelogOffsets, slot_headers
from logkeel.exactly_once.diagnosis import Evidence, Verdict, diagnose, loss_of
from logkeel.exactly_once.observer import Unobserved
from logkeel.exactly_once.parts import LoopPorts, Parts
from logkeel.exactly_once.port import Processor
from logkeel.exactly_once.producers import ProducerPair
from logkeel.exactly_once.replaying import FETCH_ROWS, Patience, vouch_in
from logkeel.exactly_once.restore import changelog_views, input_bounds
from logkeel.exactly_once.rows import (
    MARKS_KEY,
    VOUCH_KEY,
    LocalMarks,
    Needed,
    Vouch,
    decode_position,
    encode_position,
    position_key,
)
from logkeel.exactly_once.settings import LoopSettings
from logkeel.exactly_once.validation import ChangelogView
from logkeel.log import HAND_OVER_S, Changes, OutputRecord, Store, TopicPartition, TransactionalProducer
from logkeel.log.keyspace import END, LOCAL, PROCESSOR

TRANSACTION_TIMEOUT_MS = 900_000
"""The most that a broker allows by default (`transaction.max.timeout.ms`): a partition is one transaction."""

FLUSH_EVERY = 20_000
CALL_S = 120.0
FETCH_S = 0.1
_FILLER_KEY = LOCAL + b"filler"


class Repaired(NamedTuple):
    """What a repair did to one partition. `rows` were written to the changelog."""

    partition: int
    rows: int
    positions: Mapping[str, int]
    set_aside: str | None = None


class Repair:
    """One slot's repair of one table. A context: leaves the group and releases the clients at its end."""

    def __init__(self, ports: LoopPorts, processor: Processor, settings: LoopSettings) -> None:
        pair = ProducerPair(
            ports.client,
            ports.clock,
            ids=settings.transactional_ids,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            init_timeout_ms=settings.init_timeout_ms,
            background=False,
        )
        self._parts = Parts(
            client=ports.client,
            clock=ports.clock,
            stores=ports.stores,
            processor=processor,
            settings=settings,
            observer=Unobserved(),
            pair=pair,
            admin=ports.client.admin(),
            consumer=ports.client.group_consumer(
                settings.group_id, instance_id=settings.instance_id, session_timeout_ms=settings.session_timeout_ms
            ),
            inputs=tuple(processor.inputs),
        )
        self._assignment = Assignment(self._parts.inputs, lambda event: None)
        self._joined = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(LogkeelError):
            self._parts.consumer.hand_over(self._parts.processor.changelog, HAND_OVER_S)
        self._parts.consumer.close()
        self._parts.pair.close()
        self._parts.admin.close()

    def partitions(self) -> list[int]:
        """All partitions of the table."""
        topic = self._parts.inputs[0]
        found = self._parts.admin.describe_topics([topic])
        return list(range(found[topic].partitions)) if topic in found else []

    def join(self) -> None:
        """Fence the slot's producers and own every partition. Raises `EnginesRunning` if others keep some of them."""
        self._parts.pair.prepare()
        if (error := self._parts.pair.take_error()) is not None:
            raise error
        wanted = set(self.partitions())
        self._parts.consumer.subscribe(self._parts.inputs, self._assignment)
        for _ in range(int(2 * self._parts.settings.session_timeout_ms / 1000 / FETCH_S)):
            self._parts.consumer.fetch(1, FETCH_S)
            if wanted <= set(self._assignment.partitions):
                self._joined = True
                return
        members = self._parts.admin.group_members(self._parts.settings.group_id)
        others = sorted({m.instance_id or m.member_id for m in members} - {self._parts.settings.instance_id})
        raise EnginesRunning(
            f"engines are running: {', '.join(others) or self._parts.settings.group_id}. Stop them, wait for their "
            "sessions to end, and run this again; nothing was changed",
            members=others,
        )

    def diagnose(self, partition: int) -> Verdict:
        """What is wrong with one partition; changes nothing. Raises `StoreLocked`, `LogUnavailable`."""
        evidence, store = self._evidence(partition)
        if store is not None:
            store.close()
        return self._verdict(evidence)

    def rebuild_changelog(self, partition: int) -> Repaired | None:
        """Make the changelog partition equal to the store; None if nothing is at odds.

        Raises `StoreStale` if the store must not be used, the verdict's error if this repair does not help, and
        `EnginesRunning`.
        """
        evidence, store = self._evidence(partition)
        verdict = self._verdict(evidence)
        try:
            if verdict.error is None:
                return None
            if verdict.stale is not None or store is None or evidence.marks is None:
                raise StoreStale(
                    f"partition {partition} cannot be rebuilt from this store: {verdict.stale}. Run this where the "
                    "newest store is; if there is none: `logkeel state accept-loss`",
                    partition=partition,
                )
            self._catch_up(evidence, store, evidence.marks)
            return self._rebuild(evidence, store)
        finally:
            if store is not None:
                store.close()

    def accept_loss(self, partition: int) -> Repaired | None:
        """Go on from what the changelog holds; None if nothing is at odds. Raises `EnginesRunning`."""
        evidence, store = self._evidence(partition)
        if store is not None:
            store.close()
        verdict = self._verdict(evidence)
        if verdict.error is None:
            return None
        loss = loss_of(evidence, verdict)
        table = self._parts.processor.table
        aside = self._parts.stores.set_aside(table, partition) if loss.set_store_aside else None
        view = evidence.view
        rows = {VOUCH_KEY: Vouch(view.start, view.topic_id).encode(), **_position_rows(loss.positions)}
        with _Transaction(self._parts, self._assignment, view) as transaction:
            for key, value in rows.items():
                transaction.put(key, value)
            transaction.commit(loss.positions)
        return Repaired(partition, len(rows), loss.positions, aside)

    def _verdict(self, evidence: Evidence) -> Verdict:
        now_ms = self._parts.clock.now_ms()
        return diagnose(evidence, now_ms=now_ms, delete_retention_ms=self._parts.settings.delete_retention_ms)

    def _evidence(self, partition: int) -> tuple[Evidence, Store | None]:
        """Everything that is known of a partition, and its store, open, if there is a readable one."""
        parts = self._parts
        view = changelog_views(parts, [partition])[partition]
        bounds = input_bounds(parts, [partition])
        committed = parts.admin.group_offsets(parts.settings.group_id, list(bounds))
        logged: dict[str, int] = {}
        vouch: Vouch | None = None
        for changes in self._read(view, view.start):
            rows = changes.rows.get(TopicPartition(view.topic, partition), {})
            vouch = vouch_in(rows, vouch)
            for topic in parts.inputs:
                row = rows.get(position_key(topic))
                if row is not None:
                    logged[topic] = decode_position(row)
        store, marks, stored, corrupt = self._stored(partition)
        evidence = Evidence(
            view,
            marks,
            corrupt,
            vouch,
            stored=stored,
            logged=logged,
            committed={tp.topic: committed[tp][0] for tp in bounds if tp in committed},
            needed={tp.topic: Needed.decode(committed[tp][1]) for tp in bounds if tp in committed},
            bounds={tp.topic: limits for tp, limits in bounds.items()},
        )
        return evidence, store

    def _stored(self, partition: int) -> tuple[Store | None, LocalMarks | None, dict[str, int], bool]:
        table = self._parts.processor.table
        if not self._parts.stores.exists(table, partition):
            return None, None, {}, False
        store = None
        try:
            store = self._parts.stores.open(table, partition)
            row = store.get(MARKS_KEY)
            found = {topic: store.get(position_key(topic)) for topic in self._parts.inputs}
        except StoreCorrupt:
            if store is not None:
                store.close()
            return None, None, {}, True
        stored = {topic: decode_position(value) for topic, value in found.items() if value is not None}
        return store, None if row is None else LocalMarks.decode(row), stored, False

    def _read(self, view: ChangelogView, start: int) -> Iterator[Changes]:
        """The changelog from `start` to its end as in `view`, committed; fences dead slots that pin it (P18)."""
        if start >= view.end:
            return
        patience = Patience(self._parts)
        place = TopicPartition(view.topic, view.partition)
        reader = self._parts.client.reader("read_committed")
        try:
            reader.assign({place: start})
            for _ in range(int(CALL_S / FETCH_S)):
                changes = reader.fetch_changes(FETCH_ROWS, FETCH_S)
                while changes.rows:
                    patience.moved()
                    yield changes
                    if changes.ends.get(place, -1) >= view.end:
                        return
                    changes = reader.fetch_changes(FETCH_ROWS, FETCH_S)
                if changes.ends.get(place, -1) >= view.end:
                    return
                patience.waits([view.partition])
        finally:
            reader.close()
        raise LogTimeout(
            f"{view.topic}-{view.partition} could not be read to its end {view.end}: a transaction is open"
        )

    def _catch_up(self, evidence: Evidence, store: Store, marks: LocalMarks) -> None:
        """A truncated changelog may still hold what the store lacks."""
        view = evidence.view
        if marks.topic_id != view.topic_id:
            return
        place = TopicPartition(view.topic, view.partition)
        for changes in self._read(view, marks.offset):
            rows = {key: value for key, value in changes.rows[place].items() if not key.startswith(LOCAL)}
            rows[MARKS_KEY] = marks._replace(offset=changes.positions[place]).encode()
            store.write(rows)

    def _rebuild(self, evidence: Evidence, store: Store) -> Repaired:
        view = evidence.view
        vouch = Vouch(max(view.end, _offset_in(evidence.marks, view)), view.topic_id).encode()
        positions = {topic: _position_of(store, topic) for topic in self._parts.inputs}
        rows = 0
        with _Transaction(self._parts, self._assignment, view) as transaction:
            # Older stores of this partition that are elsewhere must meet every row that is written here.
            for _ in range(view.end, _offset_in(evidence.marks, view)):
                transaction.put(_FILLER_KEY, None)
            for key in self._surplus(view, store):
                transaction.put(key, None)
            transaction.put(VOUCH_KEY, vouch)
            for key, value in _changelogged(store):
                transaction.put(key, value)
                rows += 1
            end = transaction.commit(positions)
        now_ms = self._parts.clock.now_ms()
        store.write({VOUCH_KEY: vouch, MARKS_KEY: LocalMarks(end, now_ms, view.topic_id).encode()})
        return Repaired(view.partition, rows, positions)

    def _surplus(self, view: ChangelogView, store: Store) -> list[bytes]:
        """Keys that the changelog has and the store has not."""
        keys: dict[bytes, None] = {}
        for changes in self._read(view, view.start):
            for rows in changes.rows.values():
                keys.update(dict.fromkeys(key for key in rows if not key.startswith(LOCAL) and store.get(key) is None))
        return list(keys)


class _Transaction:
    """One transaction on one changelog partition that holds only while the repair owns the whole table."""

    def __init__(self, parts: Parts, assignment: Assignment, view: ChangelogView) -> None:
        self._parts, self._assignment, self._view = parts, assignment, view
        self._epoch = assignment.epoch
        self._headers = slot_headers(parts.settings.slot)
        self._offsets = ChangelogOffsets()
        self._producer: TransactionalProducer | None = None
        self._count = 0
        self._done = False

    def __enter__(self) -> Self:
        self._check_alone()
        producer = self._parts.pair.next()
        if producer is None:
            raise LogTimeout("no producer is ready; run this again")
        producer.begin()
        self._producer = producer
        return self

    def __exit__(self, *exception: object) -> None:
        producer, self._producer = self._producer, None
        if producer is not None and not self._done:
            producer.abort(CALL_S)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Produce one row, with a look at the group now and then."""
        producer = self._open()
        record = OutputRecord(self._view.topic, key, value, self._view.partition, self._headers)
        producer.produce(record, self._offsets.delivered)
        self._count += 1
        if self._count % FLUSH_EVERY == 0:
            producer.flush(CALL_S)
            self._check_alone()

    def commit(self, positions: Mapping[str, int]) -> int:
        """Commit with these group offsets, under the generation of the assignment (P3); the changelog's next offset."""
        producer, group = self._open(), self._assignment.group
        self._check_alone()
        if group is None:
            raise EnginesRunning("the group took the partitions away; stop all engines and run this again")
        offsets = {TopicPartition(topic, self._view.partition): position for topic, position in positions.items()}
        producer.send_offsets(offsets, group, CALL_S)
        producer.flush(CALL_S)
        self._done = True
        producer.commit(CALL_S)
        return self._offsets.end_of(self._view.partition)

    def _open(self) -> TransactionalProducer:
        if self._producer is None:
            raise LogTimeout("the transaction is over")
        return self._producer

    def _check_alone(self) -> None:
        self._parts.consumer.fetch(1, 0.0)
        if self._assignment.group is None or self._assignment.epoch != self._epoch:
            raise EnginesRunning("an engine joined the group: stop all engines and run this again; nothing was changed")


def _offset_in(marks: LocalMarks | None, view: ChangelogView) -> int:
    return marks.offset if marks is not None and marks.topic_id == view.topic_id else 0


def _position_of(store: Store, topic: str) -> int:
    row = store.get(position_key(topic))
    if row is None:
        raise StoreStale(f"the store holds no position of {topic}")
    return decode_position(row)


def _position_rows(positions: Mapping[str, int]) -> dict[bytes, bytes]:
    return {position_key(topic): encode_position(position) for topic, position in positions.items()}


def _changelogged(store: Store) -> Iterator[tuple[bytes, bytes]]:
    """The processor's rows first and the loop's last: positions come when everything else is there."""
    yield from store.scan(PROCESSOR, END)
    for key, value in store.scan(LOCAL, PROCESSOR):
        if not key.startswith(LOCAL) and key != VOUCH_KEY:
            yield key, value
