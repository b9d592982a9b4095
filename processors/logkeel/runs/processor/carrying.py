"""Carries out what the core decided: events become history, actions become records, rows and timers.

Does, never decides. The order is the core's.
"""

from typing import assert_never

from msgspec.structs import replace

from logkeel.exactly_once import Turn
from logkeel.log import OutputRecord
from logkeel.records import ErrorInfo, FieldValue, LimitAnswered, Parent, RequestRejected, StartRun, StepRevoked
from logkeel.records.topics import TopicNames
from logkeel.runs.core.actions import (
    AcquireSlot,
    Action,
    CancelChild,
    ClearTimer,
    CompleteRun,
    DispatchStep,
    EndLease,
    HoldLease,
    Ignored,
    KeepDetails,
    Reject,
    ReleaseSlot,
    ReopenRun,
    RevokeStep,
    SetTimer,
    StartChild,
)
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.reading import result_of
from logkeel.runs.processor.announcing import completion, completion_output, rejection_output
from logkeel.runs.processor.child_records import cancel_output, ended_output, refused_output, start_output
from logkeel.runs.processor.commands import command_key, command_of
from logkeel.runs.processor.limit_records import acquire_output, give_back_output, release_output
from logkeel.runs.processor.observing import RunObserver
from logkeel.runs.processor.settings import RunSettings
from logkeel.runs.processor.timer_ids import NEXT_TURN, SCHEDULE, TimerName, lease_id, timer_id
from logkeel.runs.processor.tracing import CALLS, context_of_dispatch
from logkeel.runs.rows.conversation_rows import Conversations, name
from logkeel.runs.rows.keys import run_keys
from logkeel.runs.rows.ledger import Ledger
from logkeel.runs.rows.run_rows import save_head
from logkeel.wire import encode


class Carrier:
    """Puts activations on the log."""

    def __init__(
        self, names: TopicNames, settings: RunSettings, partitions: int, observer: RunObserver | None = None
    ) -> None:
        self._observer = observer
        self._names = names
        self._partitions = partitions
        self._settings = settings

    def carry_out(self, activation: Activation, turn: Turn) -> Reject | None:
        """Write everything; returns the rejection if the core refused the request, for the caller to announce."""
        if activation.settled:
            go_on(activation)
        state = activation.state
        if activation.events:
            save_head(turn, state)
        key = state.info.run_id.encode()
        for event in activation.events:
            turn.emit(OutputRecord(self._names.run_events, key, encode(event), turn.partition))
        rejection: Reject | None = None
        for action in activation.actions:
            if isinstance(action, Reject):
                rejection = action
            else:
                self._do(action, activation, turn)
        if self._observer is not None and activation.events:
            self._observer.decided(turn.partition, state, activation.events)
        return rejection

    def reject(self, turn: Turn, rejected: RequestRejected) -> None:
        """Announce a rejection."""
        turn.emit(rejection_output(self._names.run_completions, turn.partition, rejected))

    def refuse_child(self, turn: Turn, request: StartRun, run_id: str, error: ErrorInfo) -> None:
        """Tell a parent that its child was not accepted."""
        output = refused_output(request, run_id, error, self._names)
        if output is not None:
            turn.emit(output)

    def reannounce(self, activation: Activation, turn: Turn) -> None:
        """Announce a completion again (P28)."""
        state = activation.state
        result = result_of(state, activation.plan) if state.head.status == "succeeded" else ()
        message = completion(state, result, reannounced=True)
        turn.emit(completion_output(self._names.run_completions, turn.partition, message))
        self._tell_parent(activation, result, turn)

    def tell_again(self, activation: Activation, parent: Parent, turn: Turn) -> None:
        """Tell a parent that asks anew how its child has ended: well."""
        result = result_of(activation.state, activation.plan)
        output = ended_output(activation.state, result, self._names, parent)
        if output is not None:
            turn.emit(output)

    def _tell_parent(self, activation: Activation, result: tuple[FieldValue, ...], turn: Turn) -> None:
        output = ended_output(activation.state, result, self._names)
        if output is not None:
            turn.emit(output)

    def _do(self, action: Action, activation: Activation, turn: Turn) -> None:
        run_id = activation.state.info.run_id
        match action:
            case DispatchStep():
                self._dispatch(action, activation, turn)
            case RevokeStep():
                self._revoke(action, activation, turn)
            case SetTimer(kind=kind, due_ms=due_ms, path=path, dispatch=dispatch):
                turn.set_timer(due_ms, timer_id(TimerName(kind, run_id, path, dispatch)))
            case ClearTimer(kind=kind, due_ms=due_ms, path=path, dispatch=dispatch):
                turn.clear_timer(due_ms, timer_id(TimerName(kind, run_id, path, dispatch)))
            case HoldLease(path=path, due_ms=due_ms):
                Ledger(turn).hold_lease(run_id, path)
                turn.set_wakeup(due_ms, lease_id(run_id, path))
            case EndLease(path=path):
                Ledger(turn).end_lease(run_id, path)
                turn.clear_wakeup(lease_id(run_id, path))
            case KeepDetails(path=path, details=details):
                self._keep_details(run_id, path, details, turn)
            case StartChild() | CancelChild() | CompleteRun():
                self._to_other_runs(action, activation, turn)
            case AcquireSlot() | ReleaseSlot():
                self._to_limit(action, activation, turn)
            case ReopenRun(ended_ms=ended_ms):
                Ledger(turn).open_run(run_id)
                Ledger(turn).keep_run(run_id, ended_ms + self._settings.keep_finished_ms)
            case Reject() | Ignored():
                pass
            case _:
                assert_never(action)

    def _to_other_runs(
        self, action: StartChild | CancelChild | CompleteRun, activation: Activation, turn: Turn
    ) -> None:
        run_id, names, count = activation.state.info.run_id, self._names, self._partitions
        match action:
            case StartChild():
                action = self._traced(action, activation)
                turn.emit(start_output(action, names, partition=turn.partition, partitions=count))
            case CancelChild():
                turn.emit(cancel_output(action, names, parent_run_id=run_id, partitions=count))
            case CompleteRun(result=result):
                self._complete(result, activation, turn)

    def _traced(self, action: StartChild, activation: Activation) -> StartChild:
        """A child is in the trace of its parent."""
        info = activation.state.info
        trace = context_of_dispatch(info, activation.events, CALLS) if self._settings.traces_causes else info.trace
        return action if trace is None else StartChild(replace(action.request, trace=trace))

    def _to_limit(self, action: AcquireSlot | ReleaseSlot, activation: Activation, turn: Turn) -> None:
        info, names, count = activation.state.info, self._names, self._partitions
        if isinstance(action, AcquireSlot):
            turn.emit(acquire_output(action, info, names, partition=turn.partition, partitions=count))
        else:
            turn.emit(release_output(action, info, names, partitions=count))

    def give_back(self, answer: LimitAnswered, turn: Turn) -> None:
        """Nobody waits for this slot."""
        output = give_back_output(answer, self._names, partitions=self._partitions)
        if output is not None:
            turn.emit(output)

    def _dispatch(self, action: DispatchStep, activation: Activation, turn: Turn) -> None:
        state, plan, path = activation.state, activation.plan, action.path
        step, placed = state.steps[path], plan.steps[path]
        # Only a later attempt can have been left something by a heartbeat.
        details = turn.get(run_keys(state.info.run_id).details(path)) if step.dispatch > 1 else None
        command = command_of(state, plan, action, partition=turn.partition, details=details)
        if self._settings.traces_causes:
            command = replace(command, trace=context_of_dispatch(state.info, activation.events))
        topic = self._names.step_commands(placed.definition.queue)
        key = command_key(state.info, placed, refusals=step.refusals, partitions=self._partitions)
        turn.emit(OutputRecord(topic, key, encode(command)))

    def _revoke(self, action: RevokeStep, activation: Activation, turn: Turn) -> None:
        info = activation.state.info
        revoked = StepRevoked(
            run_id=info.run_id,
            incarnation=info.incarnation,
            path=action.path,
            dispatch=action.dispatch,
            reason=action.reason,
        )
        turn.emit(OutputRecord(self._names.step_control, info.run_id.encode(), encode(revoked)))

    @staticmethod
    def _keep_details(run_id: str, path: str, details: bytes | None, turn: Turn) -> None:
        key = run_keys(run_id).details(path)
        if details is not None:
            turn.put(key, details)
        elif turn.get(key) is not None:
            turn.delete(key)

    def _complete(self, result: tuple[FieldValue, ...], activation: Activation, turn: Turn) -> None:
        run_id = activation.state.info.run_id
        message = completion(activation.state, result)
        turn.emit(completion_output(self._names.run_completions, turn.partition, message))
        self._tell_parent(activation, result, turn)
        ledger = Ledger(turn)
        ledger.close_run(run_id)
        ledger.expire_run(run_id, activation.now_ms + self._settings.keep_finished_ms)
        self._end_turn(activation, turn)

    def _end_turn(self, activation: Activation, turn: Turn) -> None:
        """The next turn of the conversation may begin, if this run was one; its schedule hears of it, if it has one."""
        info = activation.state.info
        if info.run_id.startswith(f"{info.routing_key}/"):
            turn.set_wakeup(turn.now_ms, SCHEDULE + info.routing_key.encode())
        if info.former_revisions is not None and info.conversation_id is not None:
            expires_ms = activation.now_ms + self._settings.keep_conversations_ms
            if Conversations(turn).end(info, activation.state.head.revision, expires_ms):
                turn.set_wakeup(turn.now_ms, NEXT_TURN + name(info.workflow, info.conversation_id))
