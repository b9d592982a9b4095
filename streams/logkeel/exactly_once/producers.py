"""The two transactional producers of a loop (P1) and their retirement (P5).

Does I/O on producers only; a retired instance is replaced by a fresh one under the same id, initialised off-thread
while the other carries on. Instances are never used after retirement: they are closed in the background, since a close
may block.
"""

import threading
from collections.abc import Callable
from functools import partial

from logkeel.errors import LogkeelError
from logkeel.log import Clock, LogClient, TransactionalProducer

RETRY_S = 0.1


class _Seat:
    """One transactional id and the instance that may use it. Written by one preparation at a time."""

    __slots__ = ("attempt_at_s", "error", "lock", "preparing", "producer", "transactional_id")

    def __init__(self, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self.producer: TransactionalProducer | None = None
        self.preparing = False
        self.error: LogkeelError | None = None
        self.attempt_at_s = 0.0
        self.lock = threading.Lock()


class ProducerPair:
    """Hands out the producers in turn. Not for use from several threads; preparation runs on threads of its own."""

    def __init__(
        self,
        client: LogClient,
        clock: Clock,
        *,
        ids: tuple[str, str],
        transaction_timeout_ms: int,
        init_timeout_ms: int,
        background: bool,
    ) -> None:
        self._client = client
        self._clock = clock
        self._transaction_timeout_ms = transaction_timeout_ms
        self._init_timeout_s = init_timeout_ms / 1000
        self._background = background
        self._seats = (_Seat(ids[0]), _Seat(ids[1]))
        self._turn = 0

    def prepare(self) -> None:
        """Start initialising every empty seat (P13: at the start both, in parallel); cheap when all are taken."""
        for seat in self._seats:
            if seat.producer is None and not seat.preparing and self._clock.monotonic_s() >= seat.attempt_at_s:
                seat.preparing = True
                self._run(partial(self._fill, seat))

    def take_error(self) -> LogkeelError | None:
        """The last failure to initialise, once."""
        for seat in self._seats:
            if seat.error is not None:
                error, seat.error = seat.error, None
                return error
        return None

    @property
    def error(self) -> LogkeelError | None:
        """What `take_error` would take."""
        return self._seats[0].error or self._seats[1].error

    def all_ready(self) -> bool:
        """Whether both ids are initialised: only then may a barrier be read (P10, P16)."""
        return self._seats[0].producer is not None and self._seats[1].producer is not None

    def any_ready(self) -> bool:
        """Whether a transaction could begin now."""
        return self._seats[0].producer is not None or self._seats[1].producer is not None

    def next(self) -> TransactionalProducer | None:
        """The producer for the next transaction, in turn; the other one while a seat is empty; None if both are."""
        for step in (0, 1):
            seat = self._seats[(self._turn + step) % 2]
            producer = seat.producer
            if producer is None:
                continue
            if _disturbance(producer) is not None:
                self.retire(producer)
                continue
            self._turn = (self._turn + step + 1) % 2
            return producer
        return None

    def settle(self, producer: TransactionalProducer) -> str | None:
        """After a transaction: retire the instance if anything disturbed it since its begin (P5)."""
        reason = _disturbance(producer)
        if reason is not None:
            self.retire(producer)
        return reason

    def retire(self, producer: TransactionalProducer) -> None:
        """Never use this instance again; prepare another one."""
        for seat in self._seats:
            if seat.producer is producer:
                seat.producer = None
                seat.attempt_at_s = 0.0
                self._run(producer.close)
        self.prepare()

    def retire_all(self) -> None:
        """Replace both (P10)."""
        for seat in self._seats:
            if seat.producer is not None:
                self.retire(seat.producer)

    def close(self) -> None:
        """Close what is there; instances under preparation are closed when they arrive."""
        for seat in self._seats:
            with seat.lock:
                producer, seat.producer = seat.producer, None
                seat.attempt_at_s = float("inf")
            if producer is not None:
                producer.close()

    def _fill(self, seat: _Seat) -> None:
        producer = self._client.transactional_producer(
            seat.transactional_id, transaction_timeout_ms=self._transaction_timeout_ms
        )
        try:
            producer.init_transactions(self._init_timeout_s)
        except LogkeelError as error:
            seat.error = error
            seat.attempt_at_s = self._clock.monotonic_s() + RETRY_S
            producer.close()
            seat.preparing = False
            return
        with seat.lock:
            closed = seat.attempt_at_s == float("inf")
            if not closed:
                seat.producer = producer
            seat.preparing = False
        if closed:
            producer.close()

    def _run(self, work: Callable[[], None]) -> None:
        if self._background:
            threading.Thread(target=work, daemon=True, name="logkeel-producer").start()
        else:
            work()


def _disturbance(producer: TransactionalProducer) -> str | None:
    """Why the instance may not begin again (P5): asked after each transaction, and before each begin."""
    return producer.disturbance()


def fence(client: LogClient, transactional_id: str, *, timeout_s: float) -> None:
    """Abort whatever `transactional_id` left open and fence its owner (P18). Raises `EngineError`."""
    producer = client.transactional_producer(transactional_id)
    try:
        producer.init_transactions(timeout_s)
    finally:
        producer.close()
