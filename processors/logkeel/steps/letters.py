"""Keeps what is no command on `dead-letters`, and tells when it is durable. On the polling thread."""

from collections import deque
from contextlib import suppress

import structlog

from logkeel.errors import LogkeelError, LogTimeout, LogUnavailable, OperatorError, ProducerFatal, RecordTooLarge
from logkeel.exactly_once.dead_letters import OMITTED
from logkeel.exactly_once.poison import dead_letter
from logkeel.log import OutputRecord, Producer, Record, TopicPartition
from logkeel.steps.machine.messages import LetterKept, SendLetter

log = structlog.get_logger("logkeel.worker", role="worker")


def letter_of(record: Record, error: LogkeelError, topic: str) -> OutputRecord:
    """The dead letter of a record: its bytes untouched, its place and what is wrong in headers."""
    log.error(
        "not_a_command", topic=record.topic, partition=record.partition, offset=record.offset, error=error.message
    )
    return dead_letter(topic, record, error, table="")


class LetterSender:
    """One producer. A letter is sent until it is acknowledged, one that fits nowhere without its bytes."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._again: deque[SendLetter] = deque()
        self._kept: deque[LetterKept] = deque()
        self._fatal: Exception | None = None

    def send(self, letter: SendLetter) -> None:
        """Produce it."""

        def delivered(place: TopicPartition, offset: int, error: Exception | None) -> None:
            if error is None:
                self._kept.append(LetterKept(letter.source, letter.offset))
            else:
                self._failed(letter, error)

        try:
            self._producer.produce(letter.letter, delivered)
        except (LogUnavailable, RecordTooLarge, ProducerFatal, OperatorError) as error:
            self._failed(letter, error)

    def poll(self) -> list[LetterKept]:
        """What has become durable since the last call. Raises `ProducerFatal`, `OperatorError`."""
        for _ in range(len(self._again)):
            self.send(self._again.popleft())
        self._producer.poll(0.0)
        if self._fatal is not None:
            raise self._fatal
        return [self._kept.popleft() for _ in range(len(self._kept))]

    @property
    def is_idle(self) -> bool:
        """Whether `poll` would only serve the producer."""
        return not self._again and not self._kept and self._fatal is None

    def flush(self, timeout_s: float) -> list[LetterKept]:
        """As `poll`, waiting for what is under way."""
        with suppress(LogTimeout):
            self._producer.flush(timeout_s)
        return self.poll()

    def close(self) -> None:
        """Release the producer."""
        self._producer.close()

    def _failed(self, letter: SendLetter, error: Exception) -> None:
        too_large = isinstance(error, RecordTooLarge)
        if isinstance(error, ProducerFatal | OperatorError) or (too_large and letter.letter.value is None):
            self._fatal = error
        elif too_large:
            # In front: the last headers of a letter say where it came from.
            headers = ((OMITTED, b"the value is too large; it is still at its place"), *letter.letter.headers)
            self._again.append(letter._replace(letter=letter.letter._replace(value=None, headers=headers)))
        else:
            self._again.append(letter)
