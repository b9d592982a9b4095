"""Sends one record and waits until it is on the log, for any number of threads that share one producer.

One thread at a time polls the producer and so hears for all of them; the others wait for it. If each polled for itself,
one would take the acknowledgement that another is waiting for, who would then wait a whole poll for nothing.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from logkeel.log import Header, OutputRecord, Producer, TopicPartition
from logkeel.records import Request, ScheduleRequest

POLL_S = 0.05

HeadersOf: TypeAlias = Callable[[Request | ScheduleRequest], tuple[Header, ...]]


def no_headers(request: Request | ScheduleRequest) -> tuple[Header, ...]:
    """None."""
    return ()


class AcknowledgedSender:
    """Owns the producer. Thread-safe."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._heard = threading.Condition()
        self._somebody_polls = False

    def send(self, output: OutputRecord, timeout_s: float) -> bool:
        """Produce; True once it is acknowledged, False if nothing was heard in time: it may still arrive.

        Records of one thread keep their order in each partition. Raises what the delivery failed with, and as
        `Producer.produce`.
        """
        outcome: list[Exception | None] = []

        def delivered(place: TopicPartition, offset: int, error: Exception | None) -> None:
            outcome.append(error)

        self._producer.produce(output, delivered)
        deadline_s = time.monotonic() + timeout_s
        while not outcome:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            self._poll(min(left_s, POLL_S), outcome)
        if outcome[0] is not None:
            raise outcome[0]
        return True

    def close(self) -> None:
        """Release the producer."""
        self._producer.close()

    def _poll(self, timeout_s: float, outcome: list[Exception | None]) -> None:
        """Poll for everybody, or wait until somebody has."""
        with self._heard:
            if outcome:
                return
            if self._somebody_polls:
                self._heard.wait(timeout_s)
                return
            self._somebody_polls = True
        try:
            self._producer.poll(timeout_s)
        finally:
            with self._heard:
                self._somebody_polls = False
                self._heard.notify_all()
