"""The values that a question shows, as they stood when it was asked: read from run-events by their offsets."""

import threading
from collections.abc import Sequence
from typing import Any, Final

from logkeel.client.building import plain_result
from logkeel.errors import LogkeelError, LogTimeout, PositionOutOfRange
from logkeel.log import LogClient, LogReader, TopicPartition
from logkeel.notify.cases import Case, Place
from logkeel.payloads import PLAIN, PayloadChain
from logkeel.records import FieldValue, RunEvent
from logkeel.wire import decode_as

READ_S: Final = 5.0
SHOWN_BYTES: Final = 64 * 1024
"""A larger blob is not fetched: a message and a page have room for less."""

GONE: Final = "(not readable any more)"
UNWRITTEN: Final = "(not written)"


class ShownValues:
    """Reads values; safe to use from several threads. Close it."""

    def __init__(self, client: LogClient, topic: str, payloads: PayloadChain = PLAIN) -> None:
        self._client = client
        self._topic = topic
        self._payloads = payloads
        self._lock = threading.Lock()
        self._reader: LogReader | None = None

    def read(self, case: Case, partition: int) -> dict[str, Any]:
        """By field, in the author's order. Values that cannot be opened here are told by encoding and size.

        Raises `LogUnavailable`.
        """
        with self._lock:
            return {place.field: self._value(case, place, partition) for place in case.places}

    def close(self) -> None:
        """Release the client; idempotent."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _value(self, case: Case, place: Place, partition: int) -> Any:
        if place.revision == 0:
            return UNWRITTEN
        event = None if place.offset is None else self._event(place.offset, partition)
        if event is None or (event.run_id, event.incarnation) != (case.run_id, case.incarnation):
            return GONE
        writes = [write for write in event.writes if write.field == place.field]
        if not writes:
            return GONE
        write = writes[-1]
        if write.is_control:
            return write.control
        return self._plain(FieldValue(field=place.field, revision=place.revision, payload=write.payload))

    def _plain(self, value: FieldValue) -> Any:
        payload = value.payload
        if payload is None:
            return None
        try:
            if payload.blob is None or payload.blob.size_bytes <= SHOWN_BYTES:
                payload = self._payloads.unwrap(payload)
        except LogkeelError:
            pass
        if payload.blob is not None:
            return {"encoding": payload.encoding, "bytes": payload.blob.size_bytes, "uri": payload.blob.uri}
        plain = plain_result((FieldValue(field=value.field, revision=value.revision, payload=payload),))[value.field]
        return {"encoding": payload.encoding, "bytes": len(plain)} if isinstance(plain, bytes) else plain

    def _event(self, offset: int, partition: int) -> RunEvent | None:
        """None if retention has taken it."""
        if self._reader is None:
            self._reader = self._client.reader("read_committed")
        self._reader.assign({TopicPartition(self._topic, partition): offset})
        try:
            fetched = self._reader.fetch(1, READ_S)
        except PositionOutOfRange:
            return None
        records: Sequence[Any] = [record for record in fetched.records if record.offset == offset]
        if not records:
            if fetched.records or fetched.ends:
                return None
            raise LogTimeout(f"offset {offset} of {self._topic}-{partition} could not be read in {READ_S:.0f} s")
        try:
            return decode_as(records[0].value, RunEvent)
        except LogkeelError:
            return None
