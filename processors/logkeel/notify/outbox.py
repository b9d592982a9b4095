"""Sends what was claimed, and tells the loop what became of it. A shell file: it holds the threads.

Implements `logkeel.exactly_once.SideSource`. An errand that is under way is not taken twice. Outcomes are told again to
a partition that was synced anew: without them it would send what this process has sent.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Final, Protocol

import structlog

from logkeel.errors import LogkeelError
from logkeel.exactly_once import SideEvent
from logkeel.notify.cases import ENDING, Case, Outcome, Refused, Retry, receipt_of
from logkeel.notify.channels import Channel, Message
from logkeel.notify.processor import OUTCOME, Errand, Settled
from logkeel.notify.tracing import Facts, NotificationTracer, facts_of
from logkeel.notify.values import ShownValues

THREADS: Final = 8
REMEMBERED: Final = 10_000

log = structlog.get_logger("logkeel.notifier", role="notifier")


class Linking(Protocol):
    """Makes links to the page of a question."""

    def link(self, case: Case, recipient: str) -> tuple[str, str] | None:
        """(address, token) for this recipient; None if there are no pages."""
        ...


class NoPages:
    """Where the notifier serves no pages."""

    def link(self, case: Case, recipient: str) -> tuple[str, str] | None:
        """None."""
        return None


class Outbox:
    """`threads` 0 sends on the loop's thread, for tests."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        values: ShownValues,
        links: Linking | None = None,
        *,
        threads: int = THREADS,
    ) -> None:
        self._channels = channels
        self._values = values
        self._links = links or NoPages()
        self._lock = Lock()
        self._under_way: set[str] = set()
        self._fresh: list[SideEvent] = []
        self.counted: Callable[[str, str], None] = _uncounted
        self.tracer: NotificationTracer | None = None
        self._draining = False
        self._known: deque[SideEvent] = deque(maxlen=REMEMBERED)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="logkeel-outbox") if threads else None

    def send(self, errand: Errand) -> None:
        """Take an errand; it is sent soon, unless the process is about to end: then it stays claimed."""
        key = errand.delivery.key
        with self._lock:
            if key in self._under_way or self._draining:
                return
            self._under_way.add(key)
        self._run(lambda: self._carry(errand))

    def take(self) -> Sequence[SideEvent]:
        """What became of errands since the last call."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
            self._known.extend(fresh)
        return fresh

    def current(self) -> Sequence[SideEvent]:
        """What became of the last ones."""
        with self._lock:
            return tuple(self._known)

    def drain(self) -> bool:
        """Take no more errands; whether all that were taken have ended and the loop has heard of it."""
        with self._lock:
            self._draining = True
            return not self._under_way and not self._fresh

    def close(self) -> None:
        """Wait for what is under way. What was not begun stays claimed, and is sent after the next start."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, work: Callable[[], None]) -> None:
        if self._pool is None:
            work()
            return
        try:
            self._pool.submit(work)
        except RuntimeError:
            log.debug("outbox_closed")  # the process ends: it stays claimed

    def _carry(self, errand: Errand) -> None:
        delivery = errand.delivery
        with self._traced(errand) as ended:
            outcome = self._delivered(errand)
            ended["outcome"] = type(outcome).__name__.lower()
        self.counted(delivery.channel, type(outcome).__name__.lower())
        facts = {"key": delivery.key, "kind": delivery.kind, "to": str(delivery.target), "run_id": errand.case.run_id}
        if isinstance(outcome, Retry | Refused):
            log.warning("not_notified", **facts, attempt=delivery.attempt, reason=outcome.reason)
        else:
            log.info("notified", **facts, attempt=delivery.attempt)
        said = Settled(errand.partition, errand.case_key, delivery.key, delivery.attempt, outcome)
        with self._lock:
            self._under_way.discard(delivery.key)
            self._fresh.append(SideEvent(OUTCOME, said))

    def _traced(self, errand: Errand) -> AbstractContextManager[Facts]:
        if self.tracer is None:
            return nullcontext({})
        return self.tracer.sending(facts_of(errand.case, errand.delivery), errand.case.traceparent)

    def _delivered(self, errand: Errand) -> Outcome:
        channel = self._channels.get(errand.delivery.channel)
        if channel is None:
            return Retry(f"there is no channel {errand.delivery.channel!r} in the configuration any more")
        try:
            return channel.deliver(self._message(errand))
        except LogkeelError as error:
            return Retry(f"{error.code}: {error.message}")
        except Exception as error:
            # A fault in one message must not end the notifier: it is tried again by the schedule, and then failed.
            log.exception("channel_failed", key=errand.delivery.key)
            return Retry(f"{type(error).__name__}: {error}")

    def _message(self, errand: Errand) -> Message:
        case, delivery = errand.case, errand.delivery
        ending = delivery.kind in ENDING
        linked = None if ending or not case.is_open else self._links.link(case, delivery.recipient)
        return Message(
            case=case,
            delivery=delivery,
            shown={} if ending else self._values.read(case, errand.partition),
            link=None if linked is None else linked[0],
            token=None if linked is None else linked[1],
            receipt=receipt_of(case, delivery.target),
        )


def _uncounted(channel: str, outcome: str) -> None:
    """Nobody counts what becomes of deliveries."""
