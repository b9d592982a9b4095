"""A group member as the suite uses it: it keeps what it heard and what it read."""

from collections.abc import Callable, Sequence

from logkeel.log import GroupMetadata, LogClient, Record, TopicPartition

SESSION_TIMEOUT_MS = 3_000
"""Heartbeats are a quarter of it: short enough for a fast suite, long enough for a loaded machine."""

FETCH_S = 0.03


class Member:
    """A consumer and its listener. `owned` is None as long as nothing is assigned."""

    def __init__(
        self, client: LogClient, group_id: str, topics: Sequence[str], *, instance_id: str | None = None
    ) -> None:
        self.consumer = client.group_consumer(group_id, instance_id=instance_id, session_timeout_ms=SESSION_TIMEOUT_MS)
        self.owned: list[TopicPartition] | None = None
        self.groups: list[GroupMetadata] = []
        self.events: list[str] = []
        self.records: list[Record] = []
        self.ends: list[tuple[TopicPartition, int]] = []
        self.while_revoked: Callable[[], None] | None = None
        self.consumer.subscribe(topics, self)

    @property
    def group(self) -> GroupMetadata:
        """The membership of the last assignment."""
        return self.groups[-1]

    @property
    def numbers(self) -> list[int] | None:
        """The owned partitions' numbers, topics mixed."""
        return None if self.owned is None else sorted(place.partition for place in self.owned)

    def fetch(self, max_records: int = 100) -> list[Record]:
        """Fetch once."""
        fetched = self.consumer.fetch(max_records, FETCH_S)
        self.records += fetched.records
        self.ends += fetched.ends.items()
        return fetched.records

    def close(self) -> None:
        """Leave."""
        self.consumer.close()

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        self.owned = list(partitions)
        self.groups.append(group)
        self._note("assigned", partitions)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._note("revoked", partitions)
        if self.while_revoked is not None:
            self.while_revoked()
        self.owned = None

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._note("lost", partitions)
        self.owned = None

    def _note(self, event: str, partitions: Sequence[TopicPartition]) -> None:
        self.events.append(" ".join([event, *sorted(str(place.partition) for place in partitions)]))
