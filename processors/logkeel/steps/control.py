"""Reads `step-control` whole, without a group: a worker that is full must still hear a cancel (P36)."""

from logkeel.errors import LogkeelError
from logkeel.log import Admin, LogReader, Record, TopicPartition, places_of
from logkeel.records import StepRevoked
from logkeel.wire import decode_as

BATCH = 1_000


class ControlReader:
    """Revocations, from the start of the topic. `caught_up` turns true at the end that was there at the beginning."""

    def __init__(self, reader: LogReader, admin: Admin, topic: str) -> None:
        self._reader = reader
        partitions = places_of(admin, topic)
        self._ends = dict(admin.end_offsets(partitions, committed_only=True))
        positions = dict(admin.start_offsets(partitions))
        self._reader.assign(positions)
        self._pending = {source for source, end in self._ends.items() if positions[source] < end}

    @property
    def caught_up(self) -> bool:
        """Whether a command may start."""
        return not self._pending

    def read(self, timeout_s: float) -> list[tuple[StepRevoked, int]]:
        """What has come since, each with the time (ms) at which the log took it. Raises as `LogReader.fetch`."""
        fetched = self._reader.fetch(BATCH, timeout_s)
        for record in fetched.records:
            self._reached(record.source, record.offset + 1)
        for source, end in fetched.ends.items():
            self._reached(source, end)
        heard = ((_decoded(record), record.timestamp_ms) for record in fetched.records)
        return [(revoked, at_ms) for revoked, at_ms in heard if revoked is not None]

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()

    def _reached(self, source: TopicPartition, position: int) -> None:
        if position >= self._ends.get(source, 0):
            self._pending.discard(source)


def _decoded(record: Record) -> StepRevoked | None:
    """A record of another kind is not for this version: passed over."""
    try:
        return decode_as(record.value, StepRevoked) if record.value is not None else None
    except LogkeelError:
        return None
