"""From run-events to cases and deliveries: the notifier's processor. It decides; `outbox` sends.

Exactly once up to the edge: positions, cases and timers are one transaction (decision 36). A delivery that is due is
claimed in one batch and offered to the outbox by a wake-up in a later one, hence only after the claim was committed. A
timer waits for the log (P23), so nothing is sent about a question whose end is on the log already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from msgspec.structs import replace

from logkeel.errors import LogkeelError
from logkeel.exactly_once import SideEvent, Timer, Turn
from logkeel.log import Record
from logkeel.notify import rows
from logkeel.notify.cases import (
    Case,
    Delivery,
    Kind,
    Outcome,
    Place,
    Refused,
    Retry,
    announced,
    claim,
    ended,
    may_go,
    settled,
)
from logkeel.notify.routing import Routes
from logkeel.notify.schedule import HOUR_MS, next_attempt_ms
from logkeel.projection import WaitView
from logkeel.projection.views import RunView, apply
from logkeel.projection.waits import answer_in
from logkeel.records import RunEvent
from logkeel.records.topics import TopicNames
from logkeel.wire import decode_as

OUTCOME = "outcome"
"""A side event: what became of a delivery; the value is a `Settled`."""

KEEP_MS: Final = 7 * 24 * HOUR_MS
"""How long a case that is over and the offsets of a run that has ended are kept."""

SWEEP_ROWS = 1_000

log = structlog.get_logger("logkeel.notifier", role="notifier")

_DUE, _SWEEP_CASE, _SWEEP_RUN = b"d", b"c", b"r"


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed delivery on its way. `case_key` names the row, `partition` where the run lives."""

    partition: int
    case_key: bytes
    case: Case
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an attempt."""

    partition: int
    case_key: bytes
    key: str
    attempt: int
    outcome: Outcome


class NotifyProcessor:
    """Implements `logkeel.exactly_once.Processor`. `send` takes an errand, must not block, and may get one twice."""

    def __init__(self, names: TopicNames, routes: Routes, send: Callable[[Errand], None]) -> None:
        self._names = names
        self._routes = routes
        self._send = send

    @property
    def inputs(self) -> Sequence[str]:
        """The history of all runs."""
        return (self._names.run_events,)

    @property
    def table(self) -> str:
        """Its own."""
        return "notifier"

    @property
    def changelog(self) -> str:
        """Compacted."""
        return self._names.notifier_state

    @property
    def dead_letters(self) -> str:
        """Those of the application."""
        return self._names.dead_letters

    def process(self, record: Record, turn: Turn) -> None:
        """Take one event in. A record of another kind is not for this version: passed over."""
        try:
            event = None if record.value is None else decode_as(record.value, RunEvent)
        except LogkeelError:
            return
        if event is None:
            return
        if event.writes:
            turn.put(rows.write_key(event, event.revision), record.offset.to_bytes(8, "big"))
        if event.kind == "run_started" and event.trace is not None:
            turn.put(rows.trace_key(event.run_id, event.incarnation), event.trace.traceparent.encode())
        if event.kind == "question_asked":
            self._asked(event, turn)
        elif event.kind == "run_retried":
            turn.put(rows.going_on_key(event), b"")
        else:
            self._changed(event, turn)
        if event.kind == "run_completed":
            turn.delete(rows.going_on_key(event))
            scope = rows.writes_of(event.run_id, event.incarnation)
            turn.set_timer(turn.now_ms + KEEP_MS, _SWEEP_RUN + scope, rows.going_on_key(event))

    def on_timer(self, timer: Timer, turn: Turn) -> None:
        """A delivery is due or claimed, or something is old."""
        kind, name = timer.timer_id[:1], timer.timer_id[1:]
        if kind == _SWEEP_RUN:
            self._sweep_run(name, timer, turn)
        elif kind == _SWEEP_CASE:
            self._sweep_case(name, turn)
        else:
            self._due(name, turn)

    def on_side_event(self, event: SideEvent, turn: Turn) -> None:
        """What became of a delivery; said twice or late, it changes nothing."""
        said = event.value
        if not isinstance(said, Settled) or said.partition != turn.partition:
            return
        case = self._case(said.case_key, turn)
        delivery = None if case is None else case.delivery(said.key)
        if case is None or delivery is None or (delivery.state, delivery.attempt) != ("claimed", said.attempt):
            return
        outcome, next_ms = said.outcome, None
        if isinstance(outcome, Retry):
            next_ms = next_attempt_ms(said.key, said.attempt, turn.now_ms, not_before_ms=outcome.after_ms)
        if isinstance(outcome, Refused) and outcome.gone:
            fingerprint = self._routes.fingerprints.get(delivery.channel, "")
            turn.put(rows.gone_key(delivery.channel), fingerprint.encode())
        self._keep(
            settled(case, delivery, outcome, next_ms=next_ms, now_ms=turn.now_ms, wants=self._routes.wants), turn
        )

    def on_poison(self, culprit: Record | Timer, error: Exception, turn: Turn) -> None:
        """The dead letter tells it."""

    def on_partition_ready(self, turn: Turn) -> None:
        """Nobody knows whether what is claimed was sent: it is sent again, under the same keys."""
        for key, data in turn.scan(*rows.below(rows.CASES)):
            for delivery in rows.decode_case(data).deliveries:
                if delivery.state == "claimed":
                    turn.set_wakeup(turn.now_ms, _timer_id(key, delivery))

    def _asked(self, event: RunEvent, turn: Turn) -> None:
        view = _view(event, {})
        apply(view, event)
        question = view.waits[event.path or ""]
        case = Case(
            run_id=event.run_id,
            incarnation=event.incarnation,
            workflow=event.workflow,
            version=event.version,
            definition_digest=event.definition_digest,
            routing_key=event.routing_key,
            question=question,
            places=tuple(_place(name, event, turn) for name in question.shows),
            traceparent=_trace(event, turn),
        )
        turn.put(rows.asking_key(event), b"")
        self._announce(case, "asked", event, turn)

    def _changed(self, event: RunEvent, turn: Turn) -> None:
        """Whatever else happens in a run may change or end its open questions."""
        if turn.get(rows.asking_key(event)) is None:
            return
        found = turn.scan(*rows.below(rows.cases_of(event.run_id, event.incarnation)))
        cases = [case for case in (rows.decode_case(data) for _, data in found) if case.is_open]
        if not cases:
            turn.delete(rows.asking_key(event))
            return
        view = _view(event, {case.question.path: case.question for case in cases})
        apply(view, event)
        for case in cases:
            question = view.waits.get(case.question.path)
            if question is None:
                answer = answer_in(event) if _answers(event, case.question) else None
                over = ended(case, answer, revision=event.revision, now_ms=turn.now_ms, wants=self._routes.wants)
                self._keep(over, turn)
            elif question != case.question:
                self._announce(replace(case, question=question), _kind_of(event), event, turn)

    def _announce(self, case: Case, kind: Kind, event: RunEvent, turn: Turn) -> None:
        targets = self._routes.targets(case.question, kind)
        if not targets and kind == "asked":
            question = case.question
            names = {"assignee": question.assignee, "notify": question.notify}
            log.warning("nobody_to_tell", run_id=case.run_id, path=question.path, **names)
        self._keep(announced(case, kind, targets, revision=event.revision, now_ms=turn.now_ms), turn)

    def _due(self, name: bytes, turn: Turn) -> None:
        """Claim it; once that is committed its wake-up comes here again, and it is sent."""
        key, _, delivery_key = name.rpartition(b"/")
        case = self._case(key, turn)
        delivery = None if case is None else case.delivery(delivery_key.decode())
        if case is None or delivery is None:
            return
        if delivery.state == "claimed":
            self._send(Errand(turn.partition, key, case, delivery))
        elif may_go(case, delivery):
            if self._is_gone(delivery.channel, turn):
                claimed = claim(case, delivery)
                refused = Refused(f"{delivery.channel} has said that it is gone")
                taken = claimed.delivery(delivery.key) or delivery
                self._keep(
                    settled(claimed, taken, refused, next_ms=None, now_ms=turn.now_ms, wants=self._routes.wants), turn
                )
                return
            self._keep(claim(case, delivery), turn)
            turn.set_wakeup(turn.now_ms, _timer_id(key, delivery))

    def _is_gone(self, channel: str, turn: Turn) -> bool:
        gone = turn.get(rows.gone_key(channel))
        return gone is not None and gone.decode() == self._routes.fingerprints.get(channel, "")

    def _keep(self, case: Case, turn: Turn) -> None:
        """Write the row, and a timer for all that is due. One that fires too early, or in vain, does nothing."""
        key = rows.case_key(case)
        turn.put(key, rows.encode_case(case))
        for delivery in case.deliveries:
            if delivery.state == "due":
                turn.set_timer(delivery.next_ms, _timer_id(key, delivery))
        if case.over_ms is not None:
            turn.set_timer(case.over_ms + KEEP_MS, _SWEEP_CASE + key)

    def _sweep_case(self, key: bytes, turn: Turn) -> None:
        """Forget it, unless somebody is still to be told."""
        case = self._case(key, turn)
        if case is None:
            return
        if any(each.is_open for each in case.deliveries):
            turn.set_timer(turn.now_ms + KEEP_MS, _SWEEP_CASE + key)
        else:
            turn.delete(key)

    def _sweep_run(self, scope: bytes, timer: Timer, turn: Turn) -> None:
        """Forget where its values stand, in bounded bites, unless the run goes on again."""
        if turn.get(timer.payload) is not None:
            return
        for count, (key, _) in enumerate(turn.scan(*rows.below(scope))):
            if count == SWEEP_ROWS:
                turn.set_timer(turn.now_ms, timer.timer_id, timer.payload)
                return
            turn.delete(key)
        turn.delete(rows.trace_of_writes(scope))

    def _case(self, key: bytes, turn: Turn) -> Case | None:
        data = turn.get(key)
        return None if data is None else rows.decode_case(data)


def _timer_id(case_key: bytes, delivery: Delivery) -> bytes:
    return _DUE + case_key + b"/" + delivery.key.encode()


def _view(event: RunEvent, waits: dict[str, WaitView]) -> RunView:
    """The run with nothing but what is asked: how events change that is the projection's business."""
    return RunView(
        run_id=event.run_id,
        incarnation=event.incarnation,
        workflow=event.workflow,
        version=event.version,
        revision=event.revision - 1,
        waits=waits,
    )


def _place(name: str, event: RunEvent, turn: Turn) -> Place:
    revision = next((each.revision for each in event.reads if each.field == name), 0)
    found = turn.get(rows.write_key(event, revision)) if revision else None
    return Place(field=name, revision=revision, offset=None if found is None else int.from_bytes(found, "big"))


def _trace(event: RunEvent, turn: Turn) -> str | None:
    found = turn.get(rows.trace_key(event.run_id, event.incarnation))
    return None if found is None else found.decode()


def _answers(event: RunEvent, question: WaitView) -> bool:
    return event.kind == "question_answered" and event.path == question.path


def _kind_of(event: RunEvent) -> Kind:
    if event.kind == "question_reminded":
        return "reminder"
    return "escalated" if event.actor is None else "delegated"
