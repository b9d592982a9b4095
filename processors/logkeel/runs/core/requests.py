"""Requests to a run that exists: signals, cancel, a human's decision about a step in doubt. Pure."""

from msgspec import UNSET

from logkeel.records import CancelRun, ErrorInfo, FieldWrite, ResolveStep, SignalRun
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.children import give_up_code
from logkeel.runs.core.flow import complete, dispatch, settle
from logkeel.runs.core.journals import RESULT_FIELD, offer_signals, resolve_call
from logkeel.runs.core.moving import go_to
from logkeel.runs.core.waits import fits, take_signal


def signal(turn: Activation, request: SignalRun, request_id: str) -> None:
    """Give a signal to the block that has waited for it longest, or store it until one does."""
    if not turn.state.running:
        turn.do(Reject("run_finished", f"run {request.run_id} has ended as {turn.state.head.status}"))
        return
    turn.record(
        "signal_received",
        name=request.name,
        payload=request.payload,
        actor=request.sent_by,
        request_id=request_id,
        attributes={} if request.correlation is None else {"correlation": request.correlation},
        trace=request.trace,
    )
    revision = turn.state.head.revision
    if turn.state.head.open_waits:
        _deliver(turn, revision)
    if revision in turn.state.signals:
        offer_signals(turn, request.name)


def _deliver(turn: Activation, revision: int) -> None:
    signal = turn.state.signals[revision]
    waiting = (
        (wait.number, path)
        for path, wait in turn.state.waits.items()
        if wait.kind == "signal" and fits(signal, wait.name, wait.correlation)
    )
    first = min(waiting, default=None)
    if first is not None:
        take_signal(turn, first[1], revision)
        go_to(turn, turn.plan.waits[first[1]].after, first[1])


def cancel(turn: Activation, request: CancelRun, request_id: str) -> None:
    """End the run now; what its steps were doing outside is recorded as unknown until they report (P36)."""
    if not turn.state.running:
        turn.do(Reject("run_finished", f"run {request.run_id} has ended as {turn.state.head.status}"))
        return
    reason = request.reason or "cancelled"
    turn.record("cancel_requested", reason=reason, actor=request.requested_by, request_id=request_id)
    error = ErrorInfo(code="cancelled", kind="cancelled", message=reason)
    complete(turn, "cancelled", error, reason=reason)


def resolve(turn: Activation, request: ResolveStep, request_id: str, writes: tuple[FieldWrite, ...]) -> None:
    """A human has decided: `did` (with the result as `writes`), `did_not` or `retry` (P35)."""
    step = turn.state.steps.get(request.path)
    refusal = _refusal(turn, request) or _unfit(turn, request.path, writes)
    if refusal is not None or step is None:
        turn.do(refusal or Reject("step_not_in_doubt", f"step {request.path} is unknown"))
        return
    if step.doubt is not None:
        resolve_call(turn, request, request_id, writes)
        return
    turn.record(
        "step_resolved",
        path=request.path,
        step=step.step,
        dispatch=step.dispatch,
        actor=request.decided_by,
        reason=request.decision,
        request_id=request_id,
    )
    if request.decision != "did":
        dispatch(turn, request.path)
        return
    settle(turn, request.path, step)
    give_up_code(turn, request.path, "the step has ended")
    turn.record(
        "step_succeeded",
        path=request.path,
        step=step.step,
        attempt=step.attempt,
        dispatch=step.dispatch,
        writes=writes,
        reason="decided by a human",
        actor=request.decided_by,
    )
    go_to(turn, turn.plan.steps[request.path].after, request.path)


def _unfit(turn: Activation, path: str, writes: tuple[FieldWrite, ...]) -> Reject | None:
    """What is kept element by element and did not come so: of another shape, or encrypted."""
    fields = turn.plan.fields_at(turn.plan.steps[path].root)
    for write in writes:
        field = fields.get(write.field)
        if field is None or field.elements is UNSET or write.operation != "replace" or write.payload is None:
            continue
        return Reject(
            "unknown_field", f"{write.field} is kept as a {field.elements} of elements: send it as plain JSON"
        )
    return None


def _refusal(turn: Activation, request: ResolveStep) -> Reject | None:
    step, head = turn.state.steps.get(request.path), turn.state.head
    if not turn.state.running:
        return Reject("run_finished", f"run {request.run_id} has ended as {head.status}")
    if request.incarnation is not None and request.incarnation != turn.state.info.incarnation:
        return Reject("another_incarnation", f"run {request.run_id} is another one now")
    if request.decision not in ("did", "did_not", "retry"):
        return Reject("unknown_decision", f"{request.decision!r} is none of did, did_not, retry")
    if step is None or step.phase != "in_doubt":
        return Reject("step_not_in_doubt", f"step {request.path} is {step.phase if step else 'unknown'}")
    if request.dispatch is not None and request.dispatch != step.dispatch:
        return Reject("step_not_in_doubt", f"step {request.path} is at dispatch {step.dispatch} now")
    writes = turn.plan.steps[request.path].definition.writes
    known = {write.field for write in writes} if step.doubt is None else {RESULT_FIELD}
    strange = sorted({write.field for write in request.writes} - known)
    if strange:
        return Reject("unknown_field", f"step {request.path} does not write {', '.join(strange)}")
    return None
