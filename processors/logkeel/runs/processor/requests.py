"""Requests on `run-requests`: identity, home, duplicates, parking, and what is refused (P26-P28, P38).

Order of questions: whose is it, does it belong here, was it seen, is its run known; only then the core decides.
"""

from typing import assert_never

from msgspec.structs import replace

from logkeel.definitions import Conversation
from logkeel.errors import InvalidInput, UndecodableRecord
from logkeel.exactly_once import Turn
from logkeel.log import OutputRecord, Record
from logkeel.log.partitioner import partition_for
from logkeel.records import (
    AnswerQuestion,
    CancelRun,
    ErrorInfo,
    ForkRun,
    Parent,
    PauseRun,
    Request,
    RequestRejected,
    ResolveStep,
    ResumeRun,
    RetryRun,
    SignalRun,
    StartRun,
)
from logkeel.records.limits import MAX_ATTRIBUTES_BYTES, attributes_bytes
from logkeel.runs.core import pausing, questions, retrying
from logkeel.runs.core import requests as core
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.child_again import asks_anew, child_problem
from logkeel.runs.core.places import PlacedStep
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.starting import info_of, start
from logkeel.runs.core.state import RunState
from logkeel.runs.processor import forks
from logkeel.runs.processor.carrying import Carrier
from logkeel.runs.processor.definitions import Definitions
from logkeel.runs.processor.identity import REROUTED_HEADER, Identified, identify, incarnation_of
from logkeel.runs.processor.settings import RunSettings
from logkeel.runs.processor.starting import as_fields, as_result, input_digest, same_input
from logkeel.runs.processor.timer_ids import OFFER, PARKED, UNPARK
from logkeel.runs.processor.tracing import with_trace
from logkeel.runs.processor.turn_taking import TurnTaking, conversation_of
from logkeel.runs.processor.waiting_turns import Handling, WaitingTurns
from logkeel.runs.rows.ledger import (
    Ledger,
    ParkedRequest,
    RequestKind,
    SeenRequest,
    awaited_run,
    awaited_workflow,
)
from logkeel.runs.rows.run_rows import load_run, new_run
from logkeel.wire import decode_request

_KINDS: dict[type, RequestKind] = {
    StartRun: "start",
    SignalRun: "signal",
    CancelRun: "cancel",
    ResolveStep: "resolve",
    AnswerQuestion: "answer",
    PauseRun: "pause",
    ResumeRun: "resume",
    RetryRun: "retry",
    ForkRun: "fork",
}


class RequestHandler:
    """Handles requests of one application. `waiting_turns`: starts that wait for the turns before them."""

    def __init__(self, carrier: Carrier, definitions: Definitions, settings: RunSettings, partitions: int) -> None:
        self._carrier = carrier
        self._definitions = definitions
        self._settings = settings
        self._partitions = partitions
        self._turns = TurnTaking(carrier, definitions)
        handling = Handling(self._identified, self._start, self._reject, self.refuse_unprocessable)
        self.waiting_turns = WaitingTurns(self._turns, definitions, handling)

    def handle(self, record: Record, turn: Turn) -> None:
        """One request record. Raises `DataError` for one that cannot be read, or has had its hop: a dead letter."""
        if record.value is None:
            raise UndecodableRecord("a request is not a tombstone")
        what = self._identified(record)
        request = what.request
        home = partition_for(what.routing_key.encode(), self._partitions)
        if home != turn.partition:
            self._reroute(record, what, home, turn)
            return
        ledger = Ledger(turn)
        seen = ledger.seen(what.request_id)
        if seen is not None:
            self._again(what, seen, turn)
        elif isinstance(request, StartRun):
            self._start(record, what, request, turn)
        elif isinstance(request, ForkRun):
            self._fork(record, what, request, turn)
        else:
            self._to_run(record, what, turn)

    def offer(self, awaited: str, turn: Turn) -> None:
        """Have what waits for a definition handled: a bite of it now, each request in a turn of its own.

        So one that cannot be processed takes no other along (P21), and no transaction grows with what waits.
        """
        tails, more = Ledger(turn).parked(awaited, self._settings.unpark_requests, self._settings.unpark_bytes)
        for tail in tails:
            turn.set_wakeup(turn.now_ms, UNPARK + tail)
        if more:
            turn.set_wakeup(turn.now_ms + 1, OFFER + awaited.encode())

    def unpark(self, tail: bytes, turn: Turn) -> None:
        """Handle one parked request, unless it was taken meanwhile."""
        parked = Ledger(turn).take_parked(tail)
        if parked is not None:
            self.handle(parked.record(turn.partition), turn)

    def refuse_parked(self, tail: bytes, code: str, message: str, turn: Turn) -> None:
        """A parked request that raised: it is taken all the same, and its sender hears of it."""
        parked = Ledger(turn).take_parked(tail)
        if parked is not None:
            self.refuse_unprocessable(parked.record(turn.partition), code, message, turn)

    def reject_overdue(self, turn: Turn) -> None:
        """Reject what has waited too long, and wake up for the next one.

        What can begin by now only waits in a long line, and begins. Its workflow may have come with this very batch.
        """
        ledger, begins = Ledger(turn), False
        for tail, parked in ledger.overdue_parked(turn.now_ms, self._settings.sweep_rows):
            what = self._identified(parked.record(turn.partition))
            if self._can_begin(what.request):
                turn.set_wakeup(turn.now_ms, UNPARK + tail)
                begins = True
                continue
            ledger.take_parked(tail)
            if isinstance(what.request, StartRun | ForkRun):
                name = what.request.workflow
                self._reject(
                    what, Reject("unknown_workflow", f"no workflow {name!r} was published; start its worker"), turn
                )
            else:
                self._reject(what, Reject("run_not_found", f"there is no run {what.run_id!r}"), turn)
        # Behind those that begin.
        self.wake_for_parked(turn, not_before_ms=turn.now_ms + 1 if begins else 0)

    def _can_begin(self, request: Request) -> bool:
        match request:
            case StartRun(workflow=workflow, version=version):
                return self._definitions.find(workflow, version) is not None
            case ForkRun(workflow=workflow):
                return self._definitions.find(workflow, forks.read_fork(request).version) is not None
            case _:
                return False

    def wake_for_parked(self, turn: Turn, *, not_before_ms: int = 0) -> None:
        """Set the wake-up of the first parked request."""
        due_ms = Ledger(turn).next_parked_ms()
        if due_ms is not None:
            turn.set_wakeup(max(due_ms, not_before_ms), PARKED)

    def refuse_unprocessable(self, record: Record, code: str, message: str, turn: Turn) -> None:
        """A request that raised: if it can be read at all, its sender hears of it."""
        if record.value is None:
            return
        request = decode_request(record.value)
        what = identify(record, request, max_characters=1 << 20)
        self._announce(what, Reject(code, message), turn)

    # Starting

    def _start(self, record: Record, what: Identified, request: StartRun, turn: Turn, *, is_next: bool = False) -> None:
        state = load_run(turn, what.run_id)
        if state is not None:
            if request.parent is not None and asks_anew(request.parent, state):
                self._child_again(what, request.parent, state, turn)
            else:
                self._start_again(what, request, state, turn)
            return
        plan = self._definitions.find(request.workflow, request.version)
        if request.parent is not None and asks_anew(request.parent, None):
            self._unknown_child_again(record, what, request, plan, turn)
            return
        if plan is None:
            self._park(awaited_workflow(request.workflow, request.version or None), record, what, turn)
            return
        if attributes_bytes(request) > MAX_ATTRIBUTES_BYTES:
            reason = f"attributes, trace and names exceed {MAX_ATTRIBUTES_BYTES} bytes; put them into the input"
            self._reject(what, Reject("attributes_too_large", reason), turn)
            return
        if request.input_digest is None:
            request = _with_digest(request)
        conversation = conversation_of(plan)
        if conversation is not None:
            admitted = self._admit(record, what, request, conversation, turn, is_next=is_next)
            if admitted is None:
                return
            request = admitted
        self._accept(record, what, request, plan, turn)

    def _accept(self, record: Record, what: Identified, request: StartRun, plan: Plan, turn: Turn) -> None:
        info = info_of(
            request,
            plan,
            run_id=what.run_id,
            request_id=what.request_id,
            incarnation=incarnation_of(record),
            now_ms=turn.now_ms,
        )
        ledger = Ledger(turn)
        info = self._turns.begin(info, plan, turn)
        self._definitions.keep(plan, ledger)
        ledger.open_run(info.run_id)
        self._see(what, turn)
        activation = Activation(new_run(turn, info), plan, turn.now_ms)
        waiting = ledger.unpark(awaited_run(info.run_id))
        early = self._early_cancel(waiting, turn)
        start(activation, request, as_fields(plan, request.inputs), early_cancel=early)
        self._carrier.carry_out(activation, turn)
        self._handle_early(waiting, turn)

    def _handle_early(self, waiting: list[ParkedRequest], turn: Turn) -> None:
        """Requests to a run that overtook its start."""
        for parked in waiting:
            self.handle(parked.record(turn.partition), turn)

    def _fork(self, record: Record, what: Identified, request: ForkRun, turn: Turn) -> None:
        fork = forks.read_fork(request)
        plan = self._definitions.find(request.workflow, fork.version)
        if plan is None:
            self._park(awaited_workflow(request.workflow, fork.version), record, what, turn)
            return
        begun = forks.begin(record, what, fork, plan, turn, self._turns)
        if isinstance(begun, Reject):
            self._reject(what, begun, turn)
            return
        self._definitions.keep(plan, Ledger(turn))
        self._see(what, turn)
        self._carrier.carry_out(begun, turn)
        self._handle_early(Ledger(turn).unpark(awaited_run(what.run_id)), turn)

    # Turns of conversations

    def _admit(
        self,
        record: Record,
        what: Identified,
        request: StartRun,
        conversation: Conversation,
        turn: Turn,
        *,
        is_next: bool,
    ) -> StartRun | None:
        """The start of a turn that may begin now, with its conversation; None: it waits, or is refused."""
        named = request.conversation_id or request.routing_key
        if named is None or what.routing_key != named:
            reason = "a start of this workflow says whose turn it is: conversation_id, which is the routing key too"
            self._reject(what, Reject("conversation_missing", reason), turn)
            return None
        request = replace(request, conversation_id=named)
        parked = self._parked(record, what, turn)
        decided = self._turns.admit(what, request, conversation, parked, turn, is_next=is_next)
        if isinstance(decided, Reject):
            self._reject(what, decided, turn)
            return None
        if decided:
            return request
        self._see(what, turn)
        # A cancel may have overtaken it; what else came before waits on.
        self._handle_early(Ledger(turn).unpark(awaited_run(what.run_id)), turn)
        return None

    def _cancel_waiting(self, what: Identified, turn: Turn) -> bool:
        """Whether the run that is to be cancelled had not begun: it waited for its turn."""
        if not self.waiting_turns.cancel(what.run_id, what.routing_key, turn):
            return False
        self._see(what, turn)
        for parked in Ledger(turn).unpark(awaited_run(what.run_id)):
            other = self._identified(parked.record(turn.partition))
            self._reject(other, Reject("run_not_found", f"run {what.run_id!r} was cancelled before it began"), turn)
        return True

    def _identified(self, record: Record) -> Identified:
        request = with_trace(decode_request(record.value or b""), record.headers)
        return identify(record, request, max_characters=self._settings.max_id_characters)

    def _early_cancel(self, waiting: list[ParkedRequest], turn: Turn) -> tuple[CancelRun, str] | None:
        """A cancel that overtook its start: nothing of the run is dispatched then."""
        for parked in waiting:
            what = self._identified(parked.record(turn.partition))
            if isinstance(what.request, CancelRun):
                self._see(what, turn)
                return what.request, parked.request_id
        return None

    def _start_again(self, what: Identified, request: StartRun, state: RunState, turn: Turn) -> None:
        """The run id is known: the same once more, or something else under its name."""
        if request.workflow != state.info.workflow or not same_input(request, state.info.input_digest):
            reason = f"run {what.run_id!r} exists with another input; choose another run id"
            self._reject(what, Reject("run_id_taken", reason), turn)
            return
        self._see(what, turn)
        self._reannounce(state, turn)

    def _unknown_child_again(
        self, record: Record, what: Identified, request: StartRun, plan: Plan | None, turn: Turn
    ) -> None:
        """A child that is not known is never begun by a retry; while its first start may wait, this one waits for it.

        It waits for the run, as what cancels the run does: they come behind its start in the order in which they came.
        """
        first_may_wait, _ = Ledger(turn).parked(awaited_workflow(request.workflow, request.version or None), 1, 1)
        if plan is None or first_may_wait:
            self._park(awaited_run(what.run_id), record, what, turn)
        elif request.parent is not None:
            self._child_again(what, request.parent, None, turn)

    def _child_again(self, what: Identified, parent: Parent, state: RunState | None, turn: Turn) -> None:
        """A parent that was retried waits for its child anew: it goes on, or its end is told once more."""
        problem = child_problem(what.run_id, parent, state)
        if problem is not None or state is None:
            self._reject(what, problem or Reject("child_expired", ""), turn)
            return
        activation = Activation(state, self._definitions.of_run(state.info, Ledger(turn)), turn.now_ms)
        if state.head.status == "succeeded" and not self._has_expired(state, turn):
            self._carrier.tell_again(activation, parent, turn)
            self._see(what, turn)
            return
        reason = f"its parent run {parent.run_id} is retried"
        request = RetryRun(run_id=what.run_id, reason=reason, requested_by=parent.run_id)
        self._retry(activation, request, what, turn, parent)
        rejection = self._carrier.carry_out(activation, turn)
        if rejection is None:
            self._see(what, turn)
        else:
            self._reject(what, rejection, turn)

    # Other requests

    def _to_run(self, record: Record, what: Identified, turn: Turn) -> None:
        state = load_run(turn, what.run_id)
        if state is None:
            if not (isinstance(what.request, CancelRun) and self._cancel_waiting(what, turn)):
                self._park(awaited_run(what.run_id), record, what, turn)
            return
        plan = self._definitions.of_run(state.info, Ledger(turn))
        activation = Activation(state, plan, turn.now_ms)
        match what.request:
            case SignalRun() as request:
                core.signal(activation, request, what.request_id)
            case CancelRun() as request:
                core.cancel(activation, request, what.request_id)
            case ResolveStep() as request:
                writes = as_result(plan, _placed(plan, request), request.writes)
                core.resolve(activation, request, what.request_id, writes)
            case AnswerQuestion() as request:
                questions.answer(activation, request, what.request_id)
            case PauseRun() as request:
                pausing.pause(activation, request, what.request_id)
            case ResumeRun() as request:
                pausing.resume(activation, request, what.request_id)
            case RetryRun() as request:
                self._retry(activation, request, what, turn)
            case StartRun() | ForkRun():
                raise InvalidInput(f"a {type(what.request).__name__} is no request to a run")
            case _:
                assert_never(what.request)
        rejection = self._carrier.carry_out(activation, turn)
        if rejection is None:
            self._see(what, turn)
        else:
            self._reject(what, rejection, turn)

    def _retry(
        self, activation: Activation, request: RetryRun, what: Identified, turn: Turn, parent: Parent | None = None
    ) -> None:
        state = activation.state
        if self._has_expired(state, turn):
            activation.do(Reject("run_expired", f"run {what.run_id!r} ended too long ago: its state is not kept"))
        elif not state.running and self._turns.was_followed(state, turn):
            reason = f"run {what.run_id!r} is a turn, and others have begun since or wait to: send another message"
            activation.do(Reject("turn_was_followed", reason))
        else:
            retrying.retry(activation, request, what.request_id, parent)
            if activation.events:
                self._turns.begin_again(state.info, turn)

    def _has_expired(self, state: RunState, turn: Turn) -> bool:
        """Whether the run has ended so long ago that its rows may have begun to go."""
        if state.running:
            return False
        expires_ms = (state.head.finished_at_ms or turn.now_ms) + self._settings.keep_finished_ms
        return not Ledger(turn).is_kept(state.info.run_id, expires_ms, turn.now_ms)

    def _again(self, what: Identified, seen: SeenRequest, turn: Turn) -> None:
        """A request that was decided already: its answer is given again, nothing else happens (P26, P28)."""
        if seen.code is not None:
            self._announce(what, Reject(seen.code, seen.reason or ""), turn)
        elif seen.kind != _KINDS[type(what.request)] or (what.request.run_id and what.run_id != seen.run_id):
            reason = f"request id {what.request_id!r} was used for a {seen.kind} of run {seen.run_id!r}"
            self._announce(what, Reject("request_id_taken", reason), turn)
        elif seen.kind == "start" and (state := load_run(turn, seen.run_id)) is not None:
            self._reannounce(state, turn)

    def _reannounce(self, state: RunState, turn: Turn) -> None:
        if not state.running:
            plan = self._definitions.of_run(state.info, Ledger(turn))
            self._carrier.reannounce(Activation(state, plan, turn.now_ms), turn)

    # Outcomes

    def _park(self, awaited: str, record: Record, what: Identified, turn: Turn) -> None:
        ledger, parked = Ledger(turn), self._parked(record, what, turn)
        ledger.park(awaited, parked, turn.now_ms)
        if ledger.next_parked_ms() == parked.expires_ms:
            self.wake_for_parked(turn)  # for one before it that is set

    def _parked(self, record: Record, what: Identified, turn: Turn) -> ParkedRequest:
        return ParkedRequest(
            topic=record.topic,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            key=record.key,
            value=record.value or b"",
            headers=record.headers,
            request_id=what.request_id,
            expires_ms=turn.now_ms + self._settings.park_ms,
        )

    def _see(self, what: Identified, turn: Turn, rejection: Reject | None = None) -> None:
        seen = SeenRequest(
            kind=_KINDS[type(what.request)],
            run_id=what.run_id,
            expires_ms=turn.now_ms + self._settings.dedupe_ms,
            code=rejection.code if rejection else None,
            reason=rejection.reason if rejection else None,
        )
        Ledger(turn).see(what.request_id, seen)

    def _reject(self, what: Identified, rejection: Reject, turn: Turn) -> None:
        self._see(what, turn, rejection)
        self._announce(what, rejection, turn)

    def _announce(self, what: Identified, rejection: Reject, turn: Turn) -> None:
        if isinstance(what.request, StartRun):
            error = ErrorInfo(code=rejection.code, kind="fatal", message=rejection.reason)
            self._carrier.refuse_child(turn, what.request, what.run_id, error)
        self._carrier.reject(
            turn,
            RequestRejected(
                request_id=what.request_id,
                run_id=what.run_id,
                code=rejection.code,
                reason=rejection.reason,
                rejected_at_ms=turn.now_ms,
                request_type=type(what.request).__name__,
                trace=getattr(what.request, "trace", None),
            ),
        )

    def _reroute(self, record: Record, what: Identified, home: int, turn: Turn) -> None:
        """One hop to the home partition, in the same transaction (P27)."""
        if what.rerouted:
            raise InvalidInput(f"the request was re-routed to partition {turn.partition}, but belongs to {home}")
        headers = (*record.headers, (REROUTED_HEADER, what.position.encode()))
        turn.emit(OutputRecord(record.topic, record.key, record.value, home, headers))


def _placed(plan: Plan, request: ResolveStep) -> PlacedStep | None:
    try:
        return plan.steps[request.path]
    except KeyError:
        return None


def _with_digest(request: StartRun) -> StartRun:
    return replace(request, input_digest=input_digest(request))
