"""Carries one batch through its transaction: the doing beside the commit machine's deciding.

Reports what happened to the machine and hands back the actions that concern partitions. Calls producers only; stores
are written by `store_rows` after the commit was answered, never before (P7).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from logkeel.errors import (
    CommitInDoubt,
    EngineError,
    LogUnavailable,
    ProducerFatal,
    StaleGeneration,
    StoreCorrupt,
    StoreUnavailable,
    TransactionAbortable,
)
from logkeel.exactly_once.batch import Batch, PartitionBatch
from logkeel.exactly_once.changelog import ChangelogOffsets, add_position_rows, produce_changelog, slot_headers
from logkeel.exactly_once.observer import Observer
from logkeel.exactly_once.poison import CrashMark
from logkeel.exactly_once.port import CommitListener, Produced
from logkeel.exactly_once.rows import CRASH_KEY, MARKS_KEY, Needed
from logkeel.exactly_once.settings import LoopSettings
from logkeel.exactly_once.transaction import Action, Event, State, Transaction
from logkeel.log import DeliveryCallback, GroupMetadata, OutputRecord, TopicPartition, TransactionalProducer
from logkeel.log.keyspace import TIMER

_TIMER = TIMER[0]


@dataclass(slots=True)
class Outcome:
    """How a transaction ended, and what is left to do for its partitions."""

    state: State
    actions: tuple[Action, ...]
    offsets: ChangelogOffsets = field(default_factory=ChangelogOffsets)
    error: EngineError | None = None


HEARD_OUTPUTS = 64
"""A batch with more outputs is one of many runs: then nobody waits for the log, and a callback per output costs."""


class Committer:
    """Runs transactions for one loop."""

    def __init__(
        self, changelog: str, settings: LoopSettings, observer: Observer, listener: CommitListener | None = None
    ) -> None:
        self._listener = listener
        self._changelog = changelog
        self._headers = slot_headers(settings.slot)
        self._timeout_s = settings.commit_timeout_ms / 1000
        self._observer = observer

    def run(self, batch: Batch, producer: TransactionalProducer, group: GroupMetadata) -> Outcome:
        """Produce, send offsets, await acknowledgements, commit; abort where the machine says so."""
        machine = Transaction()
        outcome = Outcome(machine.state, ())
        try:
            actions = self._forward(machine, batch, producer, group=group, offsets=outcome.offsets)
        except EngineError as error:
            outcome.error = error
            actions = machine.on(failure_event(error, machine.state))
        if Action.ABORT in actions:
            actions = machine.on(self._abort(producer))
        outcome.state, outcome.actions = machine.state, actions
        return outcome

    def _forward(
        self,
        machine: Transaction,
        batch: Batch,
        producer: TransactionalProducer,
        *,
        group: GroupMetadata,
        offsets: ChangelogOffsets,
    ) -> tuple[Action, ...]:
        at = self._observer.at
        for part in batch.touched.values():
            add_position_rows(part)
        producer.begin()
        machine.on(Event.BEGAN)
        at("after_begin")
        # Rows first: they name their writer, so that who is blocked by a dead slot's outputs learns of it (P18).
        produce_changelog(producer, batch, topic=self._changelog, headers=self._headers, offsets=offsets)
        heard = self._produce_outputs(producer, batch.outputs)
        producer.dispatch()
        machine.on(Event.PRODUCED)
        at("after_produce")
        # While the records are on their way: one round trip less to wait for.
        producer.send_offsets(positions_of(batch), group, self._timeout_s, metadata=needed_by(batch))
        machine.on(Event.OFFSETS_SENT)
        at("after_offsets")
        producer.flush(self._timeout_s)
        machine.on(Event.ACKNOWLEDGED)
        at("after_flush")
        machine.on(Event.COMMIT_CALLED)
        producer.commit(self._timeout_s)
        actions = machine.on(Event.COMMIT_ANSWERED)
        at("after_commit")
        if heard and self._listener is not None:
            self._listener.committed(heard)
        return actions

    def _produce_outputs(self, producer: TransactionalProducer, outputs: Sequence[OutputRecord]) -> list[Produced]:
        """Produce them; the answer fills with those the listener wants, as they are acknowledged."""
        produce, listener = producer.produce, self._listener
        heard: list[Produced] = []
        if listener is None or len(outputs) > HEARD_OUTPUTS:
            for output in outputs:
                produce(output)
            return heard
        topics = listener.topics
        for output in outputs:
            if output.topic in topics:
                produce(output, _keeping(heard, output))
            else:
                produce(output)
        return heard

    def _abort(self, producer: TransactionalProducer) -> Event:
        try:
            producer.abort(self._timeout_s)
        except (ProducerFatal, LogUnavailable, TransactionAbortable) as error:
            self._observer.error("abort", error)
            return Event.ABORT_FAILED
        self._observer.at("after_abort")
        return Event.ABORT_ANSWERED


def _keeping(heard: list[Produced], output: OutputRecord) -> DeliveryCallback:
    def delivered(place: TopicPartition, offset: int, error: Exception | None) -> None:
        if error is None:
            heard.append(Produced(place, offset, output))

    return delivered


def positions_of(batch: Batch) -> dict[TopicPartition, int]:
    """Next positions of all inputs of the touched partitions: never empty, so that the broker checks (P3)."""
    return {
        TopicPartition(topic, partition): position
        for partition, part in batch.touched.items()
        for topic, position in part.positions.items()
    }


def needed_by(batch: Batch) -> dict[TopicPartition, str]:
    """For each of those positions, how far the changelog must have been replayed to hold this batch."""
    needed: dict[TopicPartition, str] = {}
    for partition, part in batch.touched.items():
        if (marks := part.state.marks) is not None:
            text = Needed(marks.offset + bool(part.rows), marks.topic_id).encode()
            needed |= {TopicPartition(topic, partition): text for topic in part.positions}
    return needed


def failure_event(error: EngineError, state: State) -> Event:
    """What an error means to the machine. Raises it again if it is none of a transaction's."""
    match error:
        case StaleGeneration():
            return Event.STALE_GENERATION
        case TransactionAbortable():
            return Event.ABORTABLE
        case CommitInDoubt():
            return Event.DOUBT
        case ProducerFatal():
            return Event.FATAL
        case LogUnavailable():
            return Event.DOUBT if state is State.COMMITTING else Event.ABORTABLE
        case _:
            raise error


def store_rows(
    batch: Batch, offsets: ChangelogOffsets, *, now_ms: int
) -> Iterator[tuple[PartitionBatch, StoreUnavailable | StoreCorrupt]]:
    """Write each partition's rows with its changelog offset, then let memory follow (P7, P16b).

    Yields the partitions whose write failed; they stopped at once (P8). Nothing happens unless this is iterated.
    """
    for partition, part in batch.touched.items():
        state = part.state
        try:
            state.store.write(_local_rows(part, offsets.end_of(partition) if part.rows else None, now_ms))
        except (StoreUnavailable, StoreCorrupt) as error:
            state.drop()
            yield part, error
            continue
        follow(part)


def _local_rows(part: PartitionBatch, end: int | None, now_ms: int) -> Mapping[bytes, bytes | None]:
    state = part.state
    rows = dict(part.rows)
    if state.marks is not None:
        state.marks = state.marks._replace(offset=state.marks.offset if end is None else end, caught_up_ms=now_ms)
        rows[MARKS_KEY] = state.marks.encode()
    if state.crash_mark.places and state.crash_mark.is_over({**state.places(), **part.positions}):
        rows[CRASH_KEY] = None
        state.crash_mark = CrashMark()
    return rows


def follow(part: PartitionBatch) -> None:
    """Cache, timers and position map after the rows are in the store (P7)."""
    state = part.state
    state.fresh = False
    rows = part.rows
    state.cache.apply(rows, part.began)
    timers = {key: value for key, value in rows.items() if key[0] == _TIMER}
    if timers:
        state.timers.apply(timers)
    if part.wakeups:
        state.timers.apply_wakeups(part.wakeups)
    state.positions = part.positions
    state.committed_positions = dict(part.positions)
