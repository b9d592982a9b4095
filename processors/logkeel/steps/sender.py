"""Sends answers to `step-results`, each to its home partition, and collects their acknowledgements.

A record is never lost silently: what the producer has no room for or gives up is queued again; only a fatal producer
error ends the worker. `send` and `dispatch` may be called from any thread, everything else on the polling thread.

What is said within one round of the event loop leaves together: a transaction of the engine brings a burst of commands,
and a request for each of their answers is work for the broker, and wakes the engine each time. `soon` calls back when
that round is over; a loop that somebody blocks delays no answer beyond the polling thread's next turn.

What became of an execution stands in the outbox from `send` until it is durable, if there is one. What the slot's last
process left there leaves first: the engine reads it before it is asked about the same executions (P32). Once there is a
loop, the outbox's disk is touched on its thread alone: one that stalls keeps no heartbeat from going out.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import structlog

from logkeel.errors import LogkeelError, LogTimeout, OperatorError, ProducerFatal, RecordTooLarge, TopicMissing
from logkeel.log import OutputRecord, Producer, TopicPartition
from logkeel.records import (
    ErrorInfo,
    StepAnswer,
    StepCommand,
    StepFailed,
    StepHeartbeat,
    StepJournaled,
    StepReclaimed,
    StepSucceeded,
)
from logkeel.steps.machine.messages import Acknowledged, Key, key_of
from logkeel.steps.outbox import Outbox, Ticket
from logkeel.wire import decode_as, encode

log = structlog.get_logger("logkeel.worker", role="worker")

_Outcome: TypeAlias = StepSucceeded | StepFailed | StepJournaled
_OUTCOMES: Final[tuple[type[_Outcome], ...]] = (StepSucceeded, StepFailed, StepJournaled)


class _Sent(NamedTuple):
    """`told`: what the machine hears once it is durable. `kept`: called then, on the thread that polls. `ticket`: where
    it stands in the outbox. `found`: it was left there by the slot's last process.
    """

    output: OutputRecord
    told: Acknowledged | None = None
    instead: StepFailed | None = None
    kept: Callable[[], None] | None = None
    ticket: Ticket | None = None
    found: bool = False


class AnswerSender:
    """One idempotent producer. Closes `outbox`, which may be left out."""

    def __init__(self, producer: Producer, topic: str, *, holder: str = "", outbox: Outbox | None = None) -> None:
        """`holder`: in whose name the engine is told what the slot's last process has left open."""
        self._producer = producer
        self._topic = topic
        self._holder = holder
        self._outbox = outbox
        self._soon: Callable[[Callable[[], None]], None] | None = None
        self._unsent: deque[_Sent] = deque()
        self._dispatching = threading.Lock()
        self._asked = self._asked_to_tidy = False
        self._poller: int | None = None
        self._again: deque[_Sent] = deque()
        self._acknowledged: deque[Acknowledged] = deque()
        self._fatal: Exception | None = None
        self.found = self._find(outbox) if outbox is not None else 0
        """Answers of the slot's last process that the log may not have; they leave with the first ones of this one."""

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
        told = None if entry else Acknowledged(key_of(command.identity), final)
        ticket = self._put(output) if _is_outcome(answer) else None
        self._unsent.append(_Sent(output, told, _too_large(answer), kept, ticket))
        if not self._asked:
            self._asked = True
            self._on_the_loop(self.dispatch)

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
        self._poller = threading.get_ident()
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
        """Release producer and outbox."""
        self._producer.close()
        if self._outbox is not None:
            self._outbox.close()

    def let_go(self) -> None:
        """Release the file alone, as the end of the process would; idempotent."""
        if self._outbox is not None:
            self._outbox.let_go()

    def _output(self, command: StepCommand, answer: StepAnswer) -> OutputRecord:
        return OutputRecord(self._topic, command.routing_key.encode(), encode(answer), command.home_partition)

    def _find(self, outbox: Outbox) -> int:
        """What is of another application stands in a state directory that was shared; nobody waits for it.

        An entry is a sign of life to the engine. Behind it comes the word that its execution has ended with the process
        whose slot this is: else a step would wait for a lease once more.
        """
        open_ones: dict[Key, OutputRecord] = {}
        for ticket, output in outbox.take_found():
            if output.topic != self._topic:
                outbox.kept(ticket)
                continue
            self._unsent.append(_Sent(output, ticket=ticket, found=True))
            try:
                answer = decode_as(output.value or b"", *_OUTCOMES)
            except LogkeelError:  # of a newer version: it says itself what it says
                continue
            open_ones.pop(key_of(answer.identity), None)
            if isinstance(answer, StepJournaled):
                ended = StepReclaimed(identity=answer.identity, holder=self._holder, holder_dead=True)
                open_ones[key_of(answer.identity)] = output._replace(value=encode(ended))
        found = len(self._unsent)
        self._unsent.extend(_Sent(output, found=True) for output in open_ones.values())
        return found

    def _put(self, output: OutputRecord) -> Ticket | None:
        """Not on the polling thread, which speaks for a loop that is blocked."""
        if self._outbox is None or (self._soon is not None and threading.get_ident() == self._poller):
            return None
        return self._outbox.put(output)

    def _settle(self, sent: _Sent) -> None:
        """The outbox need not keep it any more."""
        if self._outbox is None or sent.ticket is None:
            return
        self._outbox.kept(sent.ticket)
        if not self._asked_to_tidy:
            self._asked_to_tidy = True
            self._on_the_loop(self._tidy)

    def _tidy(self) -> None:
        self._asked_to_tidy = False
        if self._outbox is not None:
            self._outbox.tidy()

    def _on_the_loop(self, act: Callable[[], None]) -> None:
        """When its round is over; here, if there is none or it has ended."""
        if self._soon is None:
            act()
            return
        try:
            self._soon(act)
        except RuntimeError:
            act()

    def _produce(self, sent: Sequence[_Sent]) -> None:
        self._producer.produce_all([(each.output, partial(self._delivered, each)) for each in sent])

    def _delivered(self, sent: _Sent, place: TopicPartition, offset: int, error: Exception | None) -> None:
        if error is not None:
            self._failed(sent, error)
            return
        self._settle(sent)
        if sent.told is not None:
            self._acknowledged.append(sent.told)
        if sent.kept is not None:
            sent.kept()

    def _failed(self, sent: _Sent, error: Exception) -> None:
        if sent.found and isinstance(error, TopicMissing | RecordTooLarge):
            # Of another cluster, or of other limits: the engine is asked about it, as if it had not been found.
            log.warning("found_answer_dropped", partition=sent.output.partition, reason=str(error))
            self._settle(sent)
        elif isinstance(error, ProducerFatal | OperatorError):  # a missing right does not come by itself
            self._fatal = error
        elif isinstance(error, RecordTooLarge):
            if sent.instead is None:
                self._fatal = error
            else:
                small = sent.output._replace(value=encode(sent.instead))
                self._again.append(sent._replace(output=small, instead=None))
        else:
            self._again.append(sent)


def _is_outcome(answer: StepAnswer) -> bool:
    """Whether something has happened that would have to be done again. An intent says that nothing has, yet."""
    if isinstance(answer, StepJournaled):
        return answer.entry.state != "intent"
    return isinstance(answer, StepSucceeded | StepFailed)


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
