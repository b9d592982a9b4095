"""What steps emit, on its way to `run-streams`: bounded buffers, and one producer beside that of the answers.

Nobody waits for it, and nothing depends on it: when a buffer is full its oldest values go, and what the log does not
take is lost. The next record of the execution says how many are missing. A shell file: with `threaded` the producer has
a thread of its own, so that neither the polling thread nor the loop ever meets a broker that does not answer; without,
`turn` does it all. `emit` and `ended` may be called from any thread.
"""

import dataclasses
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import structlog
from msgspec.structs import replace
from pydantic import TypeAdapter

from logkeel.errors import LogkeelError, PayloadTooLarge, ProducerFatal
from logkeel.log import Clock, OutputRecord, Producer, TopicPartition
from logkeel.payloads import JSON_ENCODING, PayloadChain
from logkeel.records import Payload, StepEmitted, StepIdentity
from logkeel.records.limits import MAX_EMITTED_BYTES
from logkeel.steps.journal.results import written
from logkeel.wire import encode

SEND_EVERY_MS: Final = 50
"""Below what a person sees as a stutter; at 100 tokens a second one record carries five of them."""

BUFFERED_VALUES: Final = 1_000
BUFFERED_BYTES: Final = 256 * 1024
"""Of one execution, together with the values' number: some seconds of the fastest model."""

RECORD_BYTES: Final = 128 * 1024
"""All values of one record, or a single one: half of what a payload may have."""

UNDER_WAY_BYTES: Final = 8 * 1024 * 1024
"""Not acknowledged yet, of all executions. Beyond it values stay in their buffers, where the oldest make room."""

RETRY_S: Final = 5.0
"""After the log has refused something: a missing topic is not asked for with each token."""

CLOSE_S: Final = 2.0

_ANY: Final[TypeAdapter[Any]] = TypeAdapter(Any)

log = structlog.get_logger("logkeel.worker", role="worker")


def emitted_bytes(value: Any) -> bytes:
    """A value as it is emitted: JSON. Raises `StepSignatureError` for what is no data, `PayloadTooLarge`."""
    payload = written(_ANY, value, "what step.emit was given").payload
    data = b"null" if payload is None or payload.data is None else payload.data
    if len(data) > MAX_EMITTED_BYTES:
        raise PayloadTooLarge(
            f"an emitted value has {len(data)} bytes, at most {MAX_EMITTED_BYTES} are sent: emit what a person or a"
            " page needs to see now, and return the rest",
            size_bytes=len(data),
            limit_bytes=MAX_EMITTED_BYTES,
        )
    return data


class Emissions:
    """What one execution has emitted and nobody has sent yet. Guarded by its sender's lock."""

    __slots__ = ("dropped", "identity", "sequence", "size_bytes", "values")

    def __init__(self, identity: StepIdentity) -> None:
        self.identity = identity
        self.values: deque[tuple[int, bytes]] = deque()
        self.size_bytes = 0
        self.sequence = 0
        self.dropped = 0

    def add(self, at_ms: int, value: bytes) -> None:
        """The newest value; the oldest make room for it."""
        self.values.append((at_ms, value))
        self.size_bytes += len(value)
        while len(self.values) > BUFFERED_VALUES or self.size_bytes > BUFFERED_BYTES:
            self._pop()
            self.dropped += 1

    def take(self) -> tuple[StepEmitted, int] | None:
        """The next record, its values still plain, and how many values it has; None if there is nothing."""
        first, dropped = self.sequence, self.dropped
        times_ms: list[int] = []
        values: list[bytes] = []
        size_bytes = 0
        while self.values and (not values or size_bytes + len(self.values[0][1]) < RECORD_BYTES):
            at_ms, value = self._pop()
            times_ms.append(at_ms)
            values.append(value)
            size_bytes += len(value) + 1
        if not values:
            return None
        self.dropped = 0
        data = b"[" + b",".join(values) + b"]"
        record = StepEmitted(
            identity=self.identity,
            sequence=first,
            times_ms=tuple(times_ms),
            values=Payload(encoding=JSON_ENCODING, data=data),
            dropped=dropped,
        )
        return record, len(values)

    def drop(self) -> None:
        """Lose what is buffered."""
        self.dropped += len(self.values)
        self.sequence += len(self.values)
        self.values.clear()
        self.size_bytes = 0

    def _pop(self) -> tuple[int, bytes]:
        at_ms, value = self.values.popleft()
        self.size_bytes -= len(value)
        self.sequence += 1
        return at_ms, value


class StreamSender:
    """Sends emissions. The producer is made when the first value is emitted."""

    def __init__(
        self,
        make_producer: Callable[[], Producer],
        topic: str,
        *,
        payloads: PayloadChain,
        clock: Clock,
        threaded: bool,
    ) -> None:
        self._make_producer = make_producer
        self._topic = topic
        # Values this small are not kept elsewhere, whatever the limit: nobody would wait for them there.
        self._payloads = dataclasses.replace(payloads, blobs=None)
        self._clock = clock
        self._threaded = threaded
        self._lock = threading.Lock()
        self._open: dict[Emissions, None] = {}
        self._under_way_bytes = 0
        self._producer: Producer | None = None
        self._due_s = self._not_before_s = 0.0
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def emit(self, emissions: Emissions, value: bytes) -> None:
        """Buffer a value; never waits for the log."""
        with self._lock:
            if self._closed:
                return
            emissions.add(self._clock.now_ms(), value)
            if not self._open:
                self._due_s = self._clock.monotonic_s() + SEND_EVERY_MS / 1_000
                self._wake.set()
            self._open[emissions] = None
            if self._threaded and self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="logkeel-streams", daemon=True)
                self._thread.start()

    def ended(self, emissions: Emissions) -> None:
        """The execution is about to report: what it has emitted goes now."""
        with self._lock:
            waits = emissions in self._open
            if waits:
                self._due_s = 0.0
        if waits and self._threaded:
            self._wake.set()
        elif waits:
            self.turn()

    @property
    def is_idle(self) -> bool:
        """Whether nothing was emitted that is not acknowledged."""
        return not self._open and not self._under_way_bytes

    def turn(self) -> None:
        """Not threaded: send what is due."""
        if not self._threaded and (self._open or self._under_way_bytes):
            self._send_due()

    def close(self) -> None:
        """Send what is left, within a moment; idempotent."""
        with self._lock:
            self._closed = True
            self._due_s = 0.0
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        elif self._producer is not None:
            self._finish(self._producer)

    # On the sender's thread -------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._closed:
            self._wake.wait(SEND_EVERY_MS / 1_000 if self._open or self._under_way_bytes else None)
            self._wake.clear()
            self._send_due()
        if self._producer is not None:
            self._finish(self._producer)

    def _send_due(self) -> None:
        now_s = self._clock.monotonic_s()
        try:
            if self._producer is None and now_s >= self._not_before_s:
                self._producer = self._make_producer()
            if self._producer is not None:
                self._producer.poll(0.0)
                if now_s >= max(self._due_s, self._not_before_s):
                    self._send(self._producer)
                    self._producer.poll(0.0)
        except LogkeelError as error:
            self._refused(error, now_s)

    def _refused(self, error: LogkeelError, now_s: float) -> None:
        """Runs go on, whatever the log says of their streams."""
        log.warning("stream_not_sent", error=error.message, code=error.code)
        self._not_before_s = now_s + RETRY_S
        with self._lock:
            for emissions in self._open:
                emissions.drop()
            self._open.clear()
            if isinstance(error, ProducerFatal):
                self._producer, self._under_way_bytes = None, 0

    def _send(self, producer: Producer) -> None:
        while (taken := self._take()) is not None:
            emissions, record, count = taken
            try:
                wrapped = self._payloads.wrap(record.values, "what a step emits")
                value = encode(replace(record, values=wrapped))
                output = OutputRecord(self._topic, record.identity.run_id.encode(), value)
                producer.produce(output, self._report(emissions, count, len(value)))
            except LogkeelError:
                with self._lock:
                    emissions.dropped += record.dropped + count
                raise
            with self._lock:
                self._under_way_bytes += len(value)

    def _take(self) -> tuple[Emissions, StepEmitted, int] | None:
        with self._lock:
            while self._open and self._under_way_bytes < UNDER_WAY_BYTES:
                emissions = next(iter(self._open))
                taken = emissions.take()
                if taken is not None:
                    return emissions, *taken
                del self._open[emissions]
            return None

    def _report(
        self, emissions: Emissions, count: int, size_bytes: int
    ) -> Callable[[Any, int, Exception | None], None]:
        def delivered(_: TopicPartition, __: int, error: Exception | None) -> None:
            with self._lock:
                self._under_way_bytes = max(0, self._under_way_bytes - size_bytes)
                if error is not None:
                    emissions.dropped += count

        return delivered

    def _finish(self, producer: Producer) -> None:
        try:
            self._send(producer)
            producer.flush(CLOSE_S / 2)
        except LogkeelError as error:
            log.warning("stream_not_sent", error=error.message, code=error.code)
        producer.close()
