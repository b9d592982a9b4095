"""Reads `step-control` whole, without a group: a worker that is full must still hear a cancel (P36)."""

from logkeel.errors import LogkeelError, LogUnavailable
from logkeel.log import Admin, LogReader, Record, TopicPartition, places_of
from logkeel.records import StepRevoked
from logkeel.wire import decode_as

BATCH = 1_000


class ControlReader:
    """Revocations, from the start of the topic. `caught_up` turns true at the end that was there at the beginning."""

    def __init__(self, reader: LogReader, admin: Admin, topic: str) -> None:
        self._reader = reader
        self._admin = admin
        partitions = places_of(admin, topic)
        self._positions = dict(admin.start_offsets(partitions))
        self._ends = dict(admin.end_offsets(partitions, committed_only=True))
        self._reader.assign(dict(self._positions))
        self.caught_up = self._is_at_ends()
        """Whether a command may be read at all: once true, it stays so."""
        self._unsure = False

    @property
    def is_behind(self) -> bool:
        """Whether something may have been revoked while this process stood still, that it has not heard of."""
        return self._unsure or not self._is_at_ends()

    def stood_still(self) -> None:
        """The process did: it is behind until it has read to where the topic ends now, which the next `read` asks."""
        self._unsure = True

    def _look(self) -> None:
        try:
            self._ends = dict(self._admin.end_offsets(list(self._positions), committed_only=True))
        except LogUnavailable:
            return  # it stays unsure, and the next read asks again
        self._unsure = False

    def _is_at_ends(self) -> bool:
        return all(self._positions[source] >= end for source, end in self._ends.items())

    def read(self, timeout_s: float) -> list[tuple[StepRevoked, int]]:
        """What has come since, each with the time (ms) at which the log took it. Raises as `LogReader.fetch`."""
        if self._unsure:
            self._look()
        fetched = self._reader.fetch(BATCH, timeout_s)
        for record in fetched.records:
            self._reached(record.source, record.offset + 1)
        for source, end in fetched.ends.items():
            self._reached(source, end)
        self.caught_up = self.caught_up or self._is_at_ends()
        heard = ((_decoded(record), record.timestamp_ms) for record in fetched.records)
        return [(revoked, at_ms) for revoked, at_ms in heard if revoked is not None]

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()

    def _reached(self, source: TopicPartition, position: int) -> None:
        self._positions[source] = max(position, self._positions.get(source, 0))


def _decoded(record: Record) -> StepRevoked | None:
    """A record of another kind is not for this version: passed over."""
    try:
        return decode_as(record.value, StepRevoked) if record.value is not None else None
    except LogkeelError:
        return None
