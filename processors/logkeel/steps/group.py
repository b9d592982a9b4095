"""A worker's membership of its queue's group: what is owned, where to begin, and commits with marks."""

from collections.abc import Sequence
from typing import Protocol

import structlog

from logkeel.errors import LogkeelError, LogTimeout, LogUnavailable, StaleGeneration
from logkeel.log import HAND_OVER_S, Admin, Fetched, GroupConsumer, GroupMetadata, TopicPartition
from logkeel.steps.machine.messages import Assigned, Commit, CommitFailed, Committed

CALL_TIMEOUT_S = 5.0

log = structlog.get_logger("logkeel.worker", role="worker")


class Giving(Protocol):
    """What the worker does inside the callbacks."""

    def giving_up(self, sources: tuple[TopicPartition, ...], *, clean: bool) -> None:
        """Partitions go away; `clean`: offsets may still be committed."""
        ...


class QueueMember:
    """Wraps the consumer. Listener and caller in one, since callbacks come from inside `fetch`."""

    def __init__(self, consumer: GroupConsumer, admin: Admin, topic: str, worker: Giving) -> None:
        self._consumer = consumer
        self._admin = admin
        self._worker = worker
        self._unplaced: tuple[TopicPartition, ...] = ()
        self._handed_over = False
        self._assigned = False
        consumer.subscribe([topic], self)

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        self._unplaced = tuple(partitions)
        self._assigned = True

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._worker.giving_up(tuple(partitions), clean=True)
        self._forget(partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._worker.giving_up(tuple(partitions), clean=False)
        self._forget(partitions)

    @property
    def is_placed(self) -> bool:
        """Whether the group has given partitions, maybe none, and each is read from where it should be."""
        return self._assigned and not self._unplaced

    @property
    def has_to_place(self) -> bool:
        """Whether `placed` would do anything."""
        return bool(self._unplaced)

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        self._assigned = False
        self._unplaced = tuple(source for source in self._unplaced if source not in set(partitions))

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        """As `GroupConsumer.fetch`."""
        return self._consumer.fetch(max_records, timeout_s)

    def placed(self) -> list[Assigned]:
        """Newly owned partitions with where to begin. Tried again at the next call when the broker is late."""
        sources = list(self._unplaced)
        if not sources:
            return []
        try:
            committed = self._consumer.committed_metadata(sources, CALL_TIMEOUT_S)
            starts = self._admin.start_offsets(sources)
            ends = self._admin.end_offsets(sources, committed_only=False)
        except LogUnavailable:
            return []
        self._unplaced = ()
        return [Assigned(source, committed[source], starts[source], ends[source]) for source in sources]

    def commit(self, commit: Commit) -> Committed | CommitFailed:
        """Commit; the broker checks the generation, so success means an unchanged assignment (P31)."""
        try:
            self._consumer.commit({source: (low, mark) for source, low, mark in commit.offsets}, CALL_TIMEOUT_S)
        except (StaleGeneration, LogTimeout, LogUnavailable):
            return CommitFailed(commit)
        return Committed(commit)

    def pause(self, sources: Sequence[TopicPartition]) -> None:
        """Fetch no more from these."""
        self._consumer.pause(sources)

    def resume(self, positions: Sequence[tuple[TopicPartition, int]]) -> None:
        """Fetch from these positions."""
        self._consumer.seek(dict(positions))
        self._consumer.resume([source for source, _ in positions])

    def hand_over(self, idle_topic: str) -> None:
        """Give the partitions to the others now; nobody of the group processes `idle_topic`. Once is enough."""
        if self._handed_over:
            return
        self._handed_over = True
        try:
            self._consumer.hand_over(idle_topic, HAND_OVER_S)
        except LogkeelError as error:
            log.warning("not_handed_over", error=error.message)

    def close(self) -> None:
        """Leave."""
        self._consumer.close()
        self._admin.close()
