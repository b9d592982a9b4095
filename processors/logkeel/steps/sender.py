"""Sends answers to `step-results`, each to its home partition, and collects their acknowledgements.

A record is never lost silently: what the producer has no room for or gives up is queued again; only a fatal producer
error ends the worker. `send` and `dispatch` may be called from any thread, everything else on the polling thread.

What is said within one round of the event loop leaves together: a transaction of the engine brings a burst of commands,
and a request for each of their answers is work for the broker, and wakes the engine each time. `soon` calls back when
that round is over; a loop that somebody blocks delays no answer beyond the polling thread's next turn.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from logkeel.errors import LogTimeout, OperatorError, ProducerFatal, RecordTooLarge
from logkeel.log import OutputRecord, Producer, TopicPartition
from logkeel.records import ErrorInfo, StepAnswer, StepCommand, StepFailed, StepHeartbeat, StepJournaled, StepSucceeded
from logkeel.steps.machine.messages import Acknowledged, Key, key_of
from logkeel.wire import encode


class _Sent(NamedTuple):
    """`kept`: called once it is durable, on the thread that polls then. `silent`: the machine does not hear of it."""

    key: Key
    output: OutputRecord
    final: bool
    instead: StepFailed | None
    kept: Callable[[], None] | None = None
    silent: bool = False


class AnswerSender:
    """One idempotent producer."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._soon: Callable[[Callable[[], None]], None] | None = None
        self._unsent: deque[_Sent] = deque()
        self._dispatching = threading.Lock()
        self._asked = False
        self._again: deque[_Sent] = deque()
        self._acknowledged: deque[Acknowledged] = deque()
        self._fatal: Exception | None = None

    def gather(self, soon: Callable[[Callable[[], None]], None]) -> None:
        """From now on send what was queued when `soon` calls back; it may raise RuntimeError when nothing will."""
        self._soon = soon

    def send(self, command: StepCommand, answer: StepAnswer, kept: Callable[[], None] | None = None) -> None:
        """Queue an answer to a command; `kept` is called once it is durable.

        The machine is not told of journal entries: the engine's lease, which lets it pass the command, begins with a
        heartbeat (P31).
        """
        entry = isinstance(answer, StepJournaled)
        final = not (entry or isinstance(answer, StepHeartbeat))
        output = self._output(command, answer)
        self._unsent.append(_Sent(key_of(command.identity), output, final, _too_large(answer), kept, entry))
        if self._soon is None:
            self.dispatch()
        elif not self._asked:
            self._asked = True
            try:
                self._soon(self.dispatch)
            except RuntimeError:  # the loop has ended
                self.dispatch()

    def dispatch(self) -> None:
        """Send what is queued, on any thread; in the order of `send`."""
        with self._dispatching:
            self._asked = False
            sent = [self._unsent.popleft() for _ in range(len(self._unsent))]
            if sent:
                self._produce(sent)

    def serve(self) -> None:
        """Serve the producer, on any thread; `poll` tells what came of it."""
        self._producer.poll(0.0)

    def poll(self) -> list[Acknowledged]:
        """Serve the producer; what has become durable since the last call. Raises `ProducerFatal`, `OperatorError`."""
        again = [self._again.popleft() for _ in range(len(self._again))]
        if again:
            self._produce(again)
        self.dispatch()
        self._producer.poll(0.0)
        if self._fatal is not None:
            raise self._fatal
        return [self._acknowledged.popleft() for _ in range(len(self._acknowledged))]

    @property
    def is_idle(self) -> bool:
        """Whether `poll` would only serve the producer."""
        return not (self._unsent or self._again or self._acknowledged) and self._fatal is None

    def flush(self, timeout_s: float) -> list[Acknowledged]:
        """As `poll`, waiting for what is under way."""
        self.dispatch()
        with suppress(LogTimeout):
            self._producer.flush(timeout_s)
        return self.poll()

    def close(self) -> None:
        """Release the producer."""
        self._producer.close()

    def _output(self, command: StepCommand, answer: StepAnswer) -> OutputRecord:
        return OutputRecord(self._topic, command.routing_key.encode(), encode(answer), command.home_partition)

    def _produce(self, sent: Sequence[_Sent]) -> None:
        self._producer.produce_all([(each.output, partial(self._delivered, each)) for each in sent])

    def _delivered(self, sent: _Sent, place: TopicPartition, offset: int, error: Exception | None) -> None:
        if error is not None:
            self._failed(sent, error)
            return
        if not sent.silent:
            self._acknowledged.append(Acknowledged(sent.key, sent.final))
        if sent.kept is not None:
            sent.kept()

    def _failed(self, sent: _Sent, error: Exception) -> None:
        if isinstance(error, ProducerFatal | OperatorError):  # a missing right does not come by itself
            self._fatal = error
        elif isinstance(error, RecordTooLarge):
            if sent.instead is None:
                self._fatal = error
            else:
                small = sent.output._replace(value=encode(sent.instead))
                self._again.append(sent._replace(output=small, instead=None))
        else:
            self._again.append(sent)


def _too_large(answer: StepAnswer) -> StepFailed | None:
    """What is said instead of a result that the log does not take."""
    if not isinstance(answer, StepSucceeded | StepFailed):
        return None
    message = "the result does not fit into one record: return less, or store it elsewhere and return a reference"
    return StepFailed(
        identity=answer.identity,
        holder=answer.holder,
        started_at_ms=answer.started_at_ms,
        finished_at_ms=answer.finished_at_ms,
        error=ErrorInfo(code=RecordTooLarge.code, message=message, kind="fatal"),
    )
