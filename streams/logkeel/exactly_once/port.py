"""What a `Processor` is: the only thing the loop knows of the work it does.

A processor decides; the loop does. `process` reads rows through its `Turn` and leaves writes, outputs and timers there;
each record gets a `Turn` of its own, an overlay on the batch that is discarded if processing it fails (P21). One
transaction binds the input positions, the rows and the outputs of a batch; rows reach the store after the commit (P7).

A processor keeps no mutable state of its own beyond caches of immutable values that are derived from rows: the loop may
drop a batch at any time and hand the same records in again.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from logkeel.log import OutputRecord, Record, TopicPartition


@dataclass(frozen=True, slots=True)
class Timer:
    """A due timer of one partition. `timer_id` is the processor's own; `payload` came with `set_timer`."""

    partition: int
    due_ms: int
    timer_id: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class SideEvent:
    """Something learned outside of the inputs, e.g. a definition that was published (P38). Not durable by itself:

    it is offered to every owned partition once, and again after a resync of that partition.
    """

    name: str
    value: object


class Turn(Protocol):
    """One record's view of its partition: reads see the batch so far plus this turn's own writes."""

    @property
    def partition(self) -> int:
        """The partition number: of the inputs, and of the table."""
        ...

    @property
    def now_ms(self) -> int:
        """The time of this turn, in milliseconds since the epoch; the same for the whole batch."""
        ...

    def get(self, key: bytes, below: bytes | None = None) -> bytes | None:
        """The row under `key`, or None. `below`: a scope that the key lies in; see `begin`."""
        ...

    def begin(self, scope: bytes) -> None:
        """Say that no key starts with `scope` yet, before writing the first: absent ones are not looked up then.

        Said untruly, rows that exist are missed.
        """
        ...

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end in key order."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Write a row. Changelogged, so durable with the commit."""
        ...

    def delete(self, key: bytes) -> None:
        """Delete a row (a tombstone in the changelog)."""
        ...

    def emit(self, output: OutputRecord) -> None:
        """Produce a record in the batch's transaction, in the order of the calls."""
        ...

    def set_timer(self, due_ms: int, timer_id: bytes, payload: bytes = b"") -> None:
        """Set a durable timer, a row keyed by (due_ms, timer_id). Several due times under one id are several timers."""
        ...

    def clear_timer(self, due_ms: int, timer_id: bytes) -> None:
        """Delete that timer; unknown ones are ignored. Also takes effect if it is already due in this batch (P23)."""
        ...

    def set_wakeup(self, due_ms: int, timer_id: bytes) -> None:
        """Set a wake-up kept in memory only (P19: heartbeat deadlines): lost with the partition's cache.

        A later call for the same id replaces it. It arrives as a `Timer` with an empty payload, and waits for the log
        like timers do (P23).
        """
        ...

    def clear_wakeup(self, timer_id: bytes) -> None:
        """Forget the wake-up under this id; unknown ones are ignored."""
        ...


class Produced(NamedTuple):
    """An output with its place in the log."""

    place: TopicPartition
    offset: int
    output: OutputRecord


class CommitListener(Protocol):
    """Hears of outputs as soon as their commit was answered: for whoever in this process waits for them.

    They may not be readable yet; they will be. Called on the loop's thread, so it must be short, and must not raise.
    """

    @property
    def topics(self) -> Collection[str]:
        """The topics whose records it wants to hear of."""
        ...

    def committed(self, records: Sequence[Produced]) -> None:
        """These are committed, those of a partition in order."""
        ...


class Processor(Protocol):
    """The work of one application. All methods run on the loop's thread, synchronously, without I/O of their own."""

    @property
    def inputs(self) -> Sequence[str]:
        """Input topics, co-partitioned (P12)."""
        ...

    @property
    def table(self) -> str:
        """Name of the table; its changelog is the topic `changelog`."""
        ...

    @property
    def changelog(self) -> str:
        """The compacted changelog topic, with as many partitions as each input."""
        ...

    @property
    def dead_letters(self) -> str:
        """Topic for records that cannot be processed."""
        ...

    def process(self, record: Record, turn: Turn) -> None:
        """Handle one input record. Raising anything but store and broker errors makes it poison (P21)."""
        ...

    def on_timer(self, timer: Timer, turn: Turn) -> None:
        """Handle one due timer. Its row is deleted in the same turn by the loop."""
        ...

    def on_side_event(self, event: SideEvent, turn: Turn) -> None:
        """Handle one side event for the turn's partition."""
        ...

    def on_poison(self, culprit: Record | Timer, error: Exception, turn: Turn) -> None:
        """After `process` or `on_timer` raised: make the failure visible where it belongs.

        Runs on a fresh turn of the same transaction that writes the culprit to `dead_letters`. If it raises too, the
        record is dead-lettered alone.
        """
        ...

    def on_partition_ready(self, turn: Turn) -> None:
        """The partition was (re)synced: set wake-ups anew from rows (P32: every lease starts anew)."""
        ...


class SideSource(Protocol):
    """Where side events come from, e.g. a thread that reads the definitions topic."""

    def take(self) -> Sequence[SideEvent]:
        """New events since the last call; never blocks."""
        ...

    def current(self) -> Sequence[SideEvent]:
        """All events that hold now, for a partition that was just synced."""
        ...
