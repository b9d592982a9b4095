"""What a reader sees of one run, and how each event changes it. Pure, total over the events that exist.

Needs no definition: unlike the engine's fold it decides nothing, so an event that does not fit changes what it names
and nothing else. Payloads stay as they are, undecoded.
"""

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec.structs import replace

from logkeel.projection import waits
from logkeel.projection.budgets import AccountView, account_for, forget_reserved
from logkeel.projection.closed import ClosedView, closed, waits_again
from logkeel.projection.code_limits import calls_over
from logkeel.projection.limits import CONCURRENCY, SlotView, limit_in
from logkeel.projection.waits import AnswerView, WaitView, answer_in
from logkeel.records import Control, ErrorInfo, EventKind, FieldWrite, Origin, Payload, RunEvent, RunStatus
from logkeel.records.combining import COMBINING_OPERATIONS, combined

Phase = Literal["dispatched", "started", "waiting", "in_doubt", "suspended", "done", "failed", "revoked"]
OPEN_PHASES: frozenset[Phase] = frozenset({"dispatched", "started", "waiting", "in_doubt", "suspended"})


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step occurrence. `since_ms`: when it came into its phase. `due_ms`: when a waiting step goes on."""

    path: str
    step: str
    phase: Phase
    since_ms: int
    attempt: int = 1
    dispatch: int = 1
    first_dispatched_ms: int = 0
    holder: str | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    due_ms: int | None = None
    reason: str | None = None
    error: ErrorInfo | None = None

    @property
    def is_open(self) -> bool:
        """Whether the run still waits for it."""
        return self.phase in OPEN_PHASES


class StepFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt, as the error log keeps it."""

    path: str
    attempt: int
    at_ms: int
    error: ErrorInfo


class FieldView(msgspec.Struct, frozen=True, kw_only=True):
    """A state field: the revision that wrote it last, by which step (None: the input), and its value.

    `elements` of a field that is kept element by element: by key, or by number in a list; later views of it share them.
    """

    revision: int
    path: str | None = None
    payload: Payload | None = None
    is_control: bool = False
    control: Control = None
    elements: dict[str | int, Payload] | None = None


class RunView(msgspec.Struct, kw_only=True):
    """One run, one incarnation. `completed_steps` are step paths in order of completion.

    `waits` is what it waits for beside its steps, by path, the oldest first; `answers` what humans have said so far.
    `inner`: paths of inner workflows that are open; their fields stand as `<path>/<field>`, as do those of `elements`
    that are worked on. `children`: run ids of child runs by the path that started them; `parent_run_id`: whose child
    this is. `slots`: what its steps (by path) and the run itself ("") hold of limits. `accounts`: what it has used up,
    by unit. `retries`: how often it was retried after its end; `cut`: limits of time that its end has cut off.
    `failed_elements`: as they were.
    `complete` is False if the
    beginning of its history was not seen: fields and steps of it are then missing.
    """

    run_id: str
    incarnation: str
    workflow: str
    version: str
    definition_digest: str = ""
    schema_version: int = 1
    routing_key: str | None = None
    conversation_id: str | None = None
    status: RunStatus = "running"
    revision: int = 0
    started_at_ms: int = 0
    updated_at_ms: int = 0
    finished_at_ms: int | None = None
    deadline_ms: int | None = None
    error: ErrorInfo | None = None
    reason: str | None = None
    attributes: dict[str, str] = {}
    steps: dict[str, StepView] = {}
    completed_steps: list[str] = []
    errors: list[StepFailure] = []
    fields: dict[str, FieldView] = {}
    signals: list[str] = []
    waits: dict[str, WaitView] = {}
    answers: list[AnswerView] = []
    paused_at_ms: int | None = None
    inner: list[str] = []
    elements: dict[str, int] = {}
    children: dict[str, str] = {}
    parent_run_id: str | None = None
    origin: Origin | None = None
    slots: dict[str, list[SlotView]] = {}
    accounts: dict[str, AccountView] = {}
    retries: int = 0
    cut: dict[str, WaitView] = {}
    failed_elements: dict[str, ClosedView[FieldView]] = {}
    complete: bool = True

    @property
    def current_steps(self) -> list[StepView]:
        """Steps the run waits for now."""
        return [step for step in self.steps.values() if step.phase in OPEN_PHASES]

    @property
    def questions(self) -> list[WaitView]:
        """Open questions to humans, the oldest first."""
        found = (wait for wait in self.waits.values() if wait.kind == "human")
        return sorted(found, key=lambda wait: wait.number)


def view_from(event: RunEvent) -> RunView:
    """The view before its first event."""
    return RunView(
        run_id=event.run_id,
        incarnation=event.incarnation,
        workflow=event.workflow,
        version=event.version,
        definition_digest=event.definition_digest,
        schema_version=event.schema_version,
        routing_key=event.routing_key,
        started_at_ms=event.at_ms,
        complete=event.revision == 1,
    )


def apply(view: RunView, event: RunEvent) -> None:
    """Apply one event of the same incarnation, in place. One that was applied already changes nothing."""
    if event.revision <= view.revision:
        return
    view.complete = view.complete and event.revision == view.revision + 1
    view.revision = event.revision
    view.updated_at_ms = event.at_ms
    if event.kind != "other":
        _HANDLERS[event.kind](view, event)
    if view.slots or view.waits:
        calls_over(view, event)
    if event.amounts:
        account_for(view, event)


def _run_started(view: RunView, event: RunEvent) -> None:
    view.started_at_ms = event.at_ms
    view.deadline_ms = event.due_ms
    view.attributes = dict(event.attributes)
    view.conversation_id = event.conversation_id
    view.parent_run_id = None if event.parent is None else event.parent.run_id
    _write(view, event.writes, event)


def _step_dispatched(view: RunView, event: RunEvent) -> None:
    waits.limit_over(view.waits, event.path or "")
    former = view.steps.get(event.path or "")
    view.steps[event.path or ""] = StepView(
        path=event.path or "",
        step=event.step or "",
        phase="dispatched",
        since_ms=event.at_ms,
        attempt=event.attempt or 1,
        dispatch=event.dispatch or 1,
        first_dispatched_ms=former.first_dispatched_ms if former else event.at_ms,
        error=former.error if former else None,
    )


def _step_started(view: RunView, event: RunEvent) -> None:
    step = _step(view, event, "started")
    view.steps[step.path] = replace(step, started_at_ms=event.started_at_ms)


def _step_succeeded(view: RunView, event: RunEvent) -> None:
    step = _step(view, event, "done")
    view.steps[step.path] = replace(_ended(step, event), error=None)
    view.completed_steps.append(step.path)
    waits.over(view.waits, event)
    _write(view, event.writes, event)


def _step_failed(view: RunView, event: RunEvent) -> None:
    step = _step(view, event, "failed")
    view.steps[step.path] = replace(_ended(step, event), error=event.error)
    if event.error is not None:
        failure = StepFailure(path=step.path, attempt=step.attempt, at_ms=event.at_ms, error=event.error)
        view.errors.append(failure)


def _step_waits(view: RunView, event: RunEvent) -> None:
    """The event names the attempt to come; the one that is over is shown until then."""
    former = view.steps.get(event.path or "")
    step = _step(view, event, "waiting")
    view.steps[step.path] = replace(step, due_ms=event.due_ms, attempt=former.attempt if former else step.attempt)


def _step_in_doubt(view: RunView, event: RunEvent) -> None:
    """With a due time a check will tell, without one a human decides (P35)."""
    step = _step(view, event, "in_doubt" if event.due_ms is None else "waiting")
    view.steps[step.path] = replace(step, due_ms=event.due_ms, error=event.error or step.error, finished_at_ms=None)


def _step_suspended(view: RunView, event: RunEvent) -> None:
    """No worker holds it; `reason` says what its code waits for."""
    step = _step(view, event, "suspended")
    view.steps[step.path] = replace(step, holder=None)


def _step_revoked(view: RunView, event: RunEvent) -> None:
    step = _step(view, event, "revoked")
    view.steps[step.path] = _ended(step, event)
    waits.over(view.waits, event)


def _step_journaled(view: RunView, event: RunEvent) -> None:
    """An entry that updates the state has its writes."""
    _write(view, event.writes, event)


def _step_restarted(view: RunView, event: RunEvent) -> None:
    """Its code begins anew: nothing is behind it but what it wrote."""
    _step_suspended(view, event)
    waits.over(view.waits, event)
    _write(view, event.writes, event)


def _signal_received(view: RunView, event: RunEvent) -> None:
    view.signals.append(event.name or "")


def _cancel_requested(view: RunView, event: RunEvent) -> None:
    view.reason = event.reason


def _run_completed(view: RunView, event: RunEvent) -> None:
    view.status = event.status or view.status
    view.error = event.error
    view.reason = event.reason or view.reason
    view.finished_at_ms = event.at_ms
    view.cut = {path: wait for path, wait in view.waits.items() if wait.kind == "within"}
    view.waits.clear()
    view.slots.clear()


def _block_entered(view: RunView, event: RunEvent) -> None:
    """Also an inner workflow or an element, whose fields have its path before their names while it runs."""
    waits.block_entered(view.waits, event)
    if "element" in event.attributes:
        view.elements[event.path or ""] = event.revision
    if "again" in event.attributes:
        _element_again(view, event)
    if "inline" in event.attributes:
        view.inner.append(event.path or "")
        _write(view, event.writes, event, inside=event.path or "")


def _element_again(view: RunView, event: RunEvent) -> None:
    """One that had failed goes on, with what it had."""
    kept = view.failed_elements.pop(event.path or "", None)
    if kept is not None:
        view.fields.update(kept.fields)
        view.inner += kept.inner
        view.waits.update(waits_again(kept, event.at_ms))
    _write(view, event.writes, event)


def _block_left(view: RunView, event: RunEvent) -> None:
    path = event.path or ""
    if event.error is not None and path in view.elements:
        kept = closed(event.at_ms, path, fields=view.fields, inner=view.inner, waits=view.waits)
        view.failed_elements[path] = kept
    if path in view.inner or path in view.elements:
        view.elements.pop(path, None)
        view.inner = [inner for inner in view.inner if inner != path]
        for name in [name for name in view.fields if name.startswith(f"{path}/")]:
            del view.fields[name]
    _over(view, event)


def _over(view: RunView, event: RunEvent) -> None:
    """A block, a wait or a question has ended; what it wrote is written."""
    waits.over(view.waits, event)
    _leave_inside(view, event.path or "")
    _write(view, event.writes, event)


def _wait_started(view: RunView, event: RunEvent) -> None:
    waits.wait_started(view.waits, event)


def _question_asked(view: RunView, event: RunEvent) -> None:
    waits.question_asked(view.waits, event)


def _question_answered(view: RunView, event: RunEvent) -> None:
    view.answers.append(answer_in(event))
    _over(view, event)


def _question_reassigned(view: RunView, event: RunEvent) -> None:
    waits.question_reassigned(view.waits, event)


def _question_reminded(view: RunView, event: RunEvent) -> None:
    waits.question_reminded(view.waits, event)


def _block_rescued(view: RunView, event: RunEvent) -> None:
    """A failure was caught: what else ran in the block is over."""
    waits.over(view.waits, event)
    _leave_inside(view, event.path or "")


def _run_paused(view: RunView, event: RunEvent) -> None:
    view.paused_at_ms = event.at_ms


def _run_resumed(view: RunView, event: RunEvent) -> None:
    view.paused_at_ms = None


def _run_retried(view: RunView, event: RunEvent) -> None:
    """It goes on where it ended: what gets another try is told by the events that follow, limits of time go on."""
    gone_ms = event.at_ms - (view.finished_at_ms or event.at_ms)
    view.status, view.error, view.finished_at_ms, view.paused_at_ms = "running", None, None, None
    view.reason, view.deadline_ms = event.reason, event.due_ms
    view.retries += 1
    for path, wait in view.cut.items():
        view.waits[path] = replace(wait, due_ms=None if wait.due_ms is None else wait.due_ms + gone_ms)
    view.cut = {}


def _child_started(view: RunView, event: RunEvent) -> None:
    view.children[event.path or ""] = event.name or ""
    waits.child_started(view.waits, event)


def _run_forked(view: RunView, event: RunEvent) -> None:
    """What came before is the history of `origin`; what was open is about to be sent anew."""
    view.paused_at_ms = None
    view.retries = 0
    view.origin = event.origin
    view.reason = event.reason
    for path, step in view.steps.items():
        if step.is_open:
            view.steps[path] = replace(step, phase="waiting", since_ms=event.at_ms, due_ms=None, holder=None)
    forget_reserved(view)
    _write(view, event.writes, event)


def _limit_asked(view: RunView, event: RunEvent) -> None:
    waits.limit_asked(view.waits, event)


def _limit_granted(view: RunView, event: RunEvent) -> None:
    path, limit = event.path or "", limit_in(event)
    waits.limit_over(view.waits, path)
    if limit is not None and limit.kind == CONCURRENCY:
        view.slots.setdefault(path, []).append(SlotView(limit=limit, since_ms=event.at_ms))


def _step_held(view: RunView, event: RunEvent) -> None:
    """The run is paused: the step waits for nothing else. Or it waits for a budget of its run."""
    _leave_limits(view, event.path or "")
    if limit_in(event) is not None:
        waits.limit_asked(view.waits, event)


def _leave_inside(view: RunView, path: str) -> None:
    for each in [each for each in view.slots if each.startswith((f"{path}/", f"{path}["))]:
        del view.slots[each]


def _leave_limits(view: RunView, path: str) -> None:
    waits.limit_over(view.waits, path)
    view.slots.pop(path, None)


def _noted(view: RunView, event: RunEvent) -> None:
    """In the history, but not in what is shown."""


_HANDLERS: dict[EventKind, Callable[[RunView, RunEvent], None]] = {
    "run_started": _run_started,
    "step_dispatched": _step_dispatched,
    "step_started": _step_started,
    "step_succeeded": _step_succeeded,
    "step_failed": _step_failed,
    "step_retry_scheduled": _step_waits,
    "step_in_doubt": _step_in_doubt,
    "step_resolved": _noted,
    "step_reclaimed": _noted,
    "step_released": _noted,
    "step_refused": _step_waits,
    "step_revoked": _step_revoked,
    "step_journaled": _step_journaled,
    "step_suspended": _step_suspended,
    "step_resumed": _noted,
    "step_restarted": _step_restarted,
    "block_entered": _block_entered,
    "block_left": _block_left,
    "block_rescued": _block_rescued,
    "block_timed_out": _over,
    "wait_started": _wait_started,
    "wait_ended": _over,
    "question_asked": _question_asked,
    "question_answered": _question_answered,
    "question_reassigned": _question_reassigned,
    "question_reminded": _question_reminded,
    "undo_started": _noted,
    "undo_ended": _noted,
    "signal_received": _signal_received,
    "cancel_requested": _cancel_requested,
    "run_forked": _run_forked,
    "run_paused": _run_paused,
    "run_resumed": _run_resumed,
    "run_retried": _run_retried,
    "step_held": _step_held,
    "child_started": _child_started,
    "child_ended": _over,
    "child_settled": _noted,
    "limit_asked": _limit_asked,
    "limit_granted": _limit_granted,
    "answer_ignored": _noted,
    "run_completed": _run_completed,
}


def _step(view: RunView, event: RunEvent, phase: Phase) -> StepView:
    """The step of the event, moved into `phase`; one whose beginning was not seen begins here."""
    path = event.path or ""
    if phase != "started":
        _leave_limits(view, path)
    step = view.steps.get(path) or StepView(path=path, step=event.step or path, phase=phase, since_ms=event.at_ms)
    moved = replace(
        step,
        phase=phase,
        since_ms=event.at_ms,
        attempt=event.attempt or step.attempt,
        dispatch=event.dispatch or step.dispatch,
        holder=event.holder or step.holder,
        due_ms=None,
        reason=event.reason,
    )
    view.steps[path] = moved
    return moved


def _ended(step: StepView, event: RunEvent) -> StepView:
    return replace(step, started_at_ms=event.started_at_ms or step.started_at_ms, finished_at_ms=event.at_ms)


def _write(view: RunView, writes: tuple[FieldWrite, ...], event: RunEvent, *, inside: str | None = None) -> None:
    for write in writes:
        if write.field.startswith("#"):  # values of a level of a block that reduces
            continue
        # Numbers with a reducer get out of an element, other values stay with it.
        scopes = view.inner if write.operation in COMBINING_OPERATIONS else [*view.inner, *view.elements]
        around = [path for path in scopes if (event.path or "").startswith(f"{path}/")]
        scope = max(around, key=len, default="") if inside is None else inside
        name = f"{scope}/{write.field}" if scope else write.field
        view.fields[name] = _written(view.fields.get(name), write, event)


def _written(former: FieldView | None, write: FieldWrite, event: RunEvent) -> FieldView:
    field = FieldView(revision=event.revision, path=event.path, payload=write.payload)
    if write.operation in ("append", "put", "remove"):
        elements = {} if former is None or former.elements is None else former.elements
        key = write.element_key if write.operation != "append" and write.element_key else len(elements)
        if write.operation == "remove":
            elements.pop(key, None)
        elif write.payload is not None:
            elements[key] = write.payload
        return replace(field, payload=None, elements=elements)
    control = write.control
    if write.operation in COMBINING_OPERATIONS and former is not None:
        control = combined(write.operation, former.control, control)
    return replace(field, is_control=write.is_control, control=control)
