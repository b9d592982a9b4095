"""Beginning a run from the history of another one. Pure.

The other run's events, up to the end of a turn, become the first events of the new one, under its own identity: so
its history rebuilds its state like any other, whatever blocks there are. Behind them `run_forked` writes the edits and
takes up what was open; idempotency keys are new, since run and incarnation are (P30).

Times are moved, so that the last of these events has happened just now: a sleep that had three days to go has them yet.
"""

from collections.abc import Iterator, Sequence

from msgspec import UnsetType
from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import FieldWrite, ForkRun, JournalEntry, RunEvent
from logkeel.runs.core.actions import Reject, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budgets import is_budget_question
from logkeel.runs.core.flow import set_timers
from logkeel.runs.core.journal_timers import set_wait_timers
from logkeel.runs.core.limit_asking import may_go
from logkeel.runs.core.limit_uses import RUN
from logkeel.runs.core.paths import place_in_code, static
from logkeel.runs.core.pausing import release
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.starting import write_problems
from logkeel.runs.core.state import RunState

_DOES_NOT_FIT = "history_does_not_fit"


def adopted(
    history: Sequence[RunEvent], plan: Plan, request: ForkRun, *, run_id: str, request_id: str, incarnation: str
) -> tuple[RunEvent, ...]:
    """The events as those of the new run, at their own times still. Nobody is the parent of a fork."""
    first = history[0].revision if history else 0
    is_turn = not isinstance(plan.document.conversation, UnsetType)
    return tuple(
        replace(
            event,
            run_id=run_id,
            incarnation=incarnation,
            workflow=plan.document.name,
            version=plan.document.version,
            definition_digest=plan.digest,
            schema_version=plan.document.schema_version,
            routing_key=request.routing_key or run_id,
            input_digest=None,
            request_id=request_id if event.revision == first else None,
            origin=request.origin if event.revision == first else None,
            trace=None,
            parent=None,
            conversation_id=request.routing_key if is_turn and event.revision == first else None,
            former_revisions=0 if is_turn and event.revision == first else None,
            writes=(*_left(request, event), *event.writes) if event.revision == first else event.writes,
        )
        for event in history
    )


def _left(request: ForkRun, first: RunEvent) -> Iterator[FieldWrite]:
    """What the turns before had left, but for what the turn itself was given instead."""
    given = {write.field for write in first.writes if write.operation == "replace"}
    return (write for write in request.kept if write.field not in given)


def moved(events: Sequence[RunEvent], now_ms: int) -> tuple[RunEvent, ...]:
    """The events, the last one at `now_ms` and the others as long before it as they were."""
    by_ms = now_ms - events[-1].at_ms
    return tuple(
        replace(
            event,
            at_ms=event.at_ms + by_ms,
            due_ms=_later(event.due_ms, by_ms),
            started_at_ms=_later(event.started_at_ms, by_ms),
            journal=_entry_later(event.journal, by_ms),
        )
        for event in events
    )


def _later(time_ms: int | None, by_ms: int) -> int | None:
    return None if time_ms is None else time_ms + by_ms


def _entry_later(entry: JournalEntry | None, by_ms: int) -> JournalEntry | None:
    """What its code has seen as the time of an outcome stays: it sees the same whenever it is replayed."""
    return None if entry is None else replace(entry, due_ms=_later(entry.due_ms, by_ms))


def fork_problem(events: Sequence[RunEvent], plan: Plan, edits: Sequence[FieldWrite]) -> Reject | None:
    """Why no run can begin so; None if one can. The history is replayed for it."""
    label = f"{plan.document.name}@{plan.document.version}"
    if not isinstance(plan.document.conversation, UnsetType) and events and events[0].conversation_id is None:
        reason = (
            f"{label} is a conversation, and its fork is another one: say which, logkeel run fork --conversation ID"
        )
        return Reject("fork_of_a_turn", reason)
    problems = write_problems(plan, edits)
    if problems:
        return Reject("invalid_edit", "; ".join(problems))
    try:
        state = replay(events, plan)
    except (InvariantViolation, KeyError, ValueError) as error:
        return Reject(_DOES_NOT_FIT, f"the history does not fit {label}: {error}")
    return _state_problem(state, plan, label)


def _state_problem(state: RunState, plan: Plan, label: str) -> Reject | None:
    status, revision = state.head.status, state.head.revision
    if status != "running":
        return Reject("nothing_to_do", f"the run had ended as {status} at revision {revision}; choose an earlier one")
    children = _of_code(state)
    if children:
        reason = f"code waited for child run {children[0]} at revision {revision}, and only one run can wait for it"
        return Reject("child_under_way", f"{reason}; choose a revision before it began or behind its end")
    under_way = [path for path, step in state.steps.items() if step.is_open]
    if not (under_way or state.waits or state.held or state.claims):
        return Reject("nothing_to_do", f"nothing was under way at revision {revision}; choose another one")
    lost = sorted(_lost(state, plan))
    if lost:
        return Reject(_DOES_NOT_FIT, f"{', '.join(lost)} is under way, but {label} has no such place")
    return None


def _of_code(state: RunState) -> list[str]:
    """Children that code waits for, by their places."""
    waits = ((path, position) for (path, position), wait in state.journal_waits.items() if wait.reserved)
    return sorted(place_in_code(path, position) for path, position in waits if state.steps[path].is_open)


def _lost(state: RunState, plan: Plan) -> Iterator[str]:
    """Places where the run is, and which the definition lacks."""
    steps, others = {*plan.steps}, {*plan.waits, *plan.limits, *plan.sagas, *plan.children}
    yield from (path for path, step in state.steps.items() if step.is_open and static(path) not in steps)
    waits = (path for path, wait in state.waits.items() if wait.kind != "undo" and not is_budget_question(path))
    yield from (path for path in waits if static(path) not in others)
    yield from (path for path in state.held if static(path) not in {*steps, *plan.children})
    for open_places, places in ((state.forks, plan.forks), (state.eaches, plan.eaches)):
        yield from (path for path in open_places if static(path) not in {*places})


def fork(turn: Activation, events: Sequence[RunEvent], request: ForkRun, edits: tuple[FieldWrite, ...]) -> None:
    """Begin the run; `turn` is of a new one with the `RunInfo` of the first event, and `fork_problem` said None."""
    for event in events:
        turn.adopt(event)
    turn.record(
        "run_forked",
        origin=request.origin,
        reason=request.reason,
        actor=request.requested_by,
        request_id=turn.state.info.request_id,
        writes=edits,
    )
    if turn.state.deadline_ms is not None:
        turn.do(SetTimer("run_deadline", turn.state.deadline_ms))
    for path, wait in sorted(turn.state.waits.items()):
        set_timers(turn, path, wait)
    for path, step in sorted(turn.state.steps.items()):
        if step.is_open:
            set_wait_timers(turn, turn.plan.steps[path])
    may_go(turn, RUN)
    release(turn)
