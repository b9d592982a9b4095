"""The group consumer port.

The loop owns positions (P3): a consumer here never commits by itself, never resets an offset and never reports a
position. It hands out records and end-of-partition events, and calls the listener from inside `fetch`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from logkeel.log.records import Record, TopicPartition

SESSION_TIMEOUT_MS = 10_000
"""How long a member may be silent before its partitions move: longer than an ordinary restart of a broker (decision

0014); brokers allow 6 s and more by default (`group.min.session.timeout.ms`). Heartbeats come from the client's own
thread, so a busy process is never silent.
"""

HAND_OVER_S = 2.0
"""How long a member that leaves waits for the others to take its partitions over."""


@dataclass(frozen=True, slots=True)
class GroupMetadata:
    """Membership of one assignment, captured in its callback (P4): what fences a zombie's `send_offsets`.

    `generation` is >= 0 and `member_id` not empty for a real member. `handle` is the implementation's own object.
    """

    group_id: str
    generation: int
    member_id: str
    instance_id: str | None = None
    handle: object = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class Fetched:
    """What one `fetch` brought, in the order of each partition.

    `ends` maps a partition to the offset at which its end was reached: the position behind the last record *and* behind
    trailing transaction markers and aborted records. It is reported once per reached end, not again while idle.
    """

    records: list[Record]
    ends: dict[TopicPartition, int]


class AssignmentListener(Protocol):
    """Called from inside `fetch` and `close`, on the fetching thread. Callbacks are short (P10)."""

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        """The partitions now owned, whole (eager protocol). They start paused and without a position."""
        ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """The partitions are about to be given up; offsets may still be committed before this returns."""
        ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """The partitions are owned by someone else already: abort, never send their offsets."""
        ...


class GroupConsumer(Protocol):
    """A member of a consumer group, read_committed, assigned by `range`."""

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group. The assignment arrives inside a later `fetch`."""
        ...

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        """Wait up to `timeout_s` for one event, then take what is already fetched, at most `max_records` records.

        Raises `ConsumerFenced` (leave the process), `LogUnavailable`, `TopicMissing`, `AuthorizationFailed`,
        `PositionOutOfRange` (names partition and offset).
        """
        ...

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Set the next offset of assigned partitions. Already fetched records of these partitions are dropped."""
        ...

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Stop fetching from these partitions; their already fetched records are dropped or come after a seek."""
        ...

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch again from these partitions, from the last `seek`."""
        ...

    def committed(self, partitions: Sequence[TopicPartition], timeout_s: float) -> Mapping[TopicPartition, int | None]:
        """Stable committed offsets of the group; None where there is none.

        Waits while a transactional offset is pending (P14). Raises `LogTimeout`; an error is never None.
        """
        ...

    def committed_metadata(
        self, partitions: Sequence[TopicPartition], timeout_s: float
    ) -> Mapping[TopicPartition, tuple[int, str] | None]:
        """Like `committed`, with the metadata string stored beside each offset (P31). Raises `LogTimeout`."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]], timeout_s: float) -> None:
        """Commit offsets with metadata outside of a transaction; the broker checks the generation.

        Raises `StaleGeneration`, `LogTimeout`, `LogUnavailable`. Used by workers (P31), never by the loop.
        """
        ...

    def hand_over(self, idle_topic: str, timeout_s: float) -> bool:
        """Before `close`: let the other members own the partitions now, not when this one's session ends.

        A static member cannot leave (KIP-345); so it rejoins as one that is subscribed to `idle_topic` only, a topic
        that exists and that nobody of the group processes. The listener hears `on_revoked`, and nothing after that.
        Answers whether the group has moved on within `timeout_s`; a dynamic member, and one that was never assigned
        anything, need not, and answers True. A successor under the same instance id is a member like any other.
        """
        ...

    def close(self) -> None:
        """Leave the group's assignment (a static member stays a member until its session time-out); idempotent."""
        ...
