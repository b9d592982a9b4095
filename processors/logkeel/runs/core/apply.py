"""What each event does to the state: the one place where a run changes. Pure, total over the events that exist.

The engine applies an event when it decides it, a replay when it reads it; so the fold of a history *is* the state
(ARCHITECTURE section 5). An event that does not fit the state is an `InvariantViolation`: the turn stops without
committing. Illegal means that the step is in no phase of `_LEGAL` for that event.
"""

from collections.abc import Callable
from types import MappingProxyType

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import ErrorInfo, RunEvent
from logkeel.runs.core import apply_blocks as blocks
from logkeel.runs.core import (
    apply_retry,
    apply_sagas,
    budget_events,
    call_claims,
    child_budgets,
    journal_events,
    limit_events,
    sagas,
)
from logkeel.runs.core.apply_fork import forked
from logkeel.runs.core.budgets import is_budget_question
from logkeel.runs.core.changing import arrive, free, hold, path_of, unhold, write
from logkeel.runs.core.elements import sweep
from logkeel.runs.core.keeping import note_kept
from logkeel.runs.core.milestones import keep_failure
from logkeel.runs.core.paths import static
from logkeel.runs.core.places import ROOT_SCOPE, PlacedStep
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import OPEN_PHASES, RETRYABLE, Milestone, Phase, RunState, StepState, StoredSignal
from logkeel.runs.core.turns import leave_kept

_OUT: frozenset[Phase] = frozenset({"dispatched", "started"})

_LEGAL = MappingProxyType(
    {
        "step_started": _OUT,
        "step_succeeded": frozenset({*_OUT, "in_doubt"}),
        "step_failed": frozenset({*_OUT, "in_doubt"}),
        "step_resolved": frozenset({"in_doubt"}),
        "step_reclaimed": _OUT,
        "step_released": _OUT,
        "step_refused": _OUT,
        "step_revoked": OPEN_PHASES,
        "step_journaled": _OUT,
        "step_suspended": _OUT,
        "step_restarted": _OUT,
        "step_resumed": OPEN_PHASES,
    }
)


def apply(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Apply `event` to `state`, in place. Raises `InvariantViolation`."""
    head = state.head
    if event.revision != head.revision + 1:
        raise InvariantViolation(
            f"revision {event.revision} follows {head.revision}", run_id=state.info.run_id, revision=event.revision
        )
    head.revision = event.revision
    head.last_ms = event.at_ms
    if head.claims and plan.has_journals:
        call_claims.end(state, event)
    if event.kind in child_budgets.KINDS:
        child_budgets.account_for(state, event)
    if event.kind == "other":
        raise InvariantViolation("an event of a kind that is unknown here", run_id=state.info.run_id)
    _HANDLERS[event.kind](state, event, plan)
    if event.amounts and event.kind != "question_answered":
        budget_events.account_for(state, event, plan)
    if head.claims:
        limit_events.end_claim(state, event)
    if head.stale:
        sweep(state)


def _run_started(state: RunState, event: RunEvent, plan: Plan) -> None:
    write(state, ROOT_SCOPE, event.writes, event.revision)


def _step_dispatched(state: RunState, event: RunEvent, plan: Plan) -> None:
    path, head = path_of(event), state.head
    former = state.steps.get(path)
    dispatch, attempt = event.dispatch or 0, event.attempt or 0
    if former is not None and (not former.is_open or dispatch <= former.dispatch):
        raise _illegal(state, event, former)
    unhold(state, path)
    head.attempts += former is None or attempt > former.attempt
    if former is None:
        head.open_steps += 1
        state.steps[path] = StepState(
            step=event.step or "",
            phase="dispatched",
            attempt=attempt,
            dispatch=dispatch,
            first_dispatched_ms=event.at_ms,
            dispatched_ms=event.at_ms,
            scheduled_ms=event.at_ms,
        )
        if static(path) in plan.undoable:
            sagas.keep_inputs(state, plan, plan.steps[path])
        return
    resumes = former.phase == "suspended"
    state.steps[path] = replace(
        former,
        phase="dispatched",
        attempt=attempt,
        dispatch=dispatch,
        next_attempt=attempt,
        dispatched_ms=event.at_ms,
        scheduled_ms=event.at_ms if attempt > former.attempt or resumes else former.scheduled_ms,
        due_ms=None,
        reclaimed=False,
        holder=None,
        started_at_ms=None,
        heard_ms=None,
        doubt=None,
        suspended_since_ms=None,
        suspended_ms=former.suspended_ms + (event.at_ms - (former.suspended_since_ms or event.at_ms) if resumes else 0),
    )


def _step_started(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The first heartbeat of a holder; with a `name`, also one that shows progress: losses so far were unrelated."""
    step = _legal(state, event)
    heard_ms = event.at_ms if step.heard_ms is None else step.heard_ms
    started_at_ms = event.started_at_ms
    step = replace(step, phase="started", holder=event.holder, started_at_ms=started_at_ms, heard_ms=heard_ms)
    if event.name is not None:
        step = replace(step, reclaims=0, given_back=0, progress=event.name)
    state.steps[path_of(event)] = step


def _step_succeeded(state: RunState, event: RunEvent, plan: Plan) -> None:
    path, step = path_of(event), _legal(state, event)
    placed = plan.steps[path]
    state.head.steps_completed += 1
    _close(state, path, replace(step, phase="done", holder=event.holder or step.holder, finished_at_ms=event.at_ms))
    if plan.keeps_milestones:
        state.milestones[path, 0] = Milestone(revision=event.revision, attempt=step.attempt)
    if placed.definition.journaled is True:
        journal_events.forget(state, path)
    note_kept(state, placed.definition.queue, event.reads)
    _write_result(state, event, plan, placed)
    if not sagas.is_ending(state, plan, path):
        arrive(state, placed.after, path)


def _write_result(state: RunState, event: RunEvent, plan: Plan, placed: PlacedStep) -> None:
    """What the step writes, and what its undo step will read of that."""
    write(state, placed.scope, event.writes, event.revision)
    if static(placed.path) in plan.undoable:
        sagas.keep_writes(state, plan, placed, event.writes, event.revision)


def _step_failed(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The attempt failed. Whether the step goes on is said by the event behind this one, if there is one."""
    path, step = path_of(event), _legal(state, event)
    _close(
        state,
        path,
        replace(
            step,
            phase="failed",
            failures=step.failures + 1,
            reclaims=0,
            given_back=0,
            error=event.error,
            holder=event.holder or step.holder,
            started_at_ms=event.started_at_ms or step.started_at_ms,
            finished_at_ms=event.at_ms,
            next_attempt=step.attempt + 1,
            failed_dispatch=step.dispatch,
            effect_since_ms=_effect_since(step, event) if _may_have_happened(event.error) else step.effect_since_ms,
        ),
    )
    if plan.keeps_milestones and event.error is not None:
        keep_failure(state, path, event, event.error)


def _step_retry_scheduled(state: RunState, event: RunEvent, plan: Plan) -> None:
    path = path_of(event)
    step = state.steps.get(path)
    if step is None or step.phase != "failed" or not state.running:
        raise _illegal(state, event, step)
    state.head.open_steps += 1
    state.steps[path] = _waiting(step, event, plan, checks=_may_have_happened(step.error))


def _step_in_doubt(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Nobody knows. With `due_ms` a check will tell (CHECKED), without it a human decides (P35)."""
    path, step = path_of(event), state.steps.get(path_of(event))
    if step is None or step.phase not in ("dispatched", "started", "waiting", "failed"):
        raise _illegal(state, event, step)
    if step.phase == "failed":
        state.head.open_steps += 1
    if event.due_ms is not None:
        unhold(state, path)
        state.steps[path] = _waiting(replace(step, next_attempt=step.attempt + 1), event, plan, checks=True)
    else:
        error = event.error or step.error
        doubt = None if event.journal is None else event.journal.position
        unhold(state, path)
        state.steps[path] = replace(step, phase="in_doubt", error=error, reclaimed=False, due_ms=None, doubt=doubt)


def _step_resolved(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A human who has it run again answers for what former executions did: a key is new from then on."""
    step = _legal(state, event)
    if event.journal is not None:
        journal_events.call_resolved(state, event)
    if event.reason != "did":
        again = step.attempt + 1
        state.steps[path_of(event)] = replace(step, next_attempt=again, effect_since_ms=None, reclaims=0, given_back=0)


def _step_reclaimed(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Somebody asked, and the holder's lease runs (`reason` "asked"), or the holder is lost (`reason` "lost")."""
    step = _legal(state, event)
    if event.reason == "asked":
        state.steps[path_of(event)] = replace(step, reclaimed=True)
    else:
        since_ms = _effect_since(step, event)
        state.steps[path_of(event)] = replace(
            step, reclaims=step.reclaims + 1, next_attempt=step.attempt + 1, effect_since_ms=since_ms
        )


def _step_released(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Given back (`reason` "started", "not started", or "state needed", which was not started either), or waiting so
    long that nobody knows (`reason` "aged").

    With `due_ms` it is sent anew later, else at once.
    """
    step = _legal(state, event)
    started = event.reason == "started"
    surely_not = event.reason in ("not started", "state needed")
    since_ms = step.effect_since_ms if surely_not else _effect_since(step, event)
    step = replace(step, next_attempt=step.attempt + started, effect_since_ms=since_ms)
    if surely_not and event.due_ms is None:
        step = replace(step, given_back=step.given_back + 1)
    if event.due_ms is not None:
        step = replace(step, phase="waiting", due_ms=event.due_ms, reclaimed=False, holder=None)
    state.steps[path_of(event)] = step


def _step_refused(state: RunState, event: RunEvent, plan: Plan) -> None:
    step = _legal(state, event)
    waiting = replace(step, phase="waiting", refusals=step.refusals + 1, due_ms=event.due_ms, next_attempt=step.attempt)
    state.steps[path_of(event)] = replace(waiting, holder=None)


def _step_revoked(state: RunState, event: RunEvent, plan: Plan) -> None:
    path, step = path_of(event), _legal(state, event)
    unhold(state, path)
    unknown = step.phase not in ("waiting", "suspended") and plan.steps[path].definition.effect != "NONE"
    _close(state, path, replace(step, phase="revoked", due_ms=None, effect_unknown=unknown, finished_at_ms=event.at_ms))


def _step_journaled(state: RunState, event: RunEvent, plan: Plan) -> None:
    step = _legal(state, event)
    journal_events.journaled(state, event)
    if event.journal is not None and event.journal.waits_for == "limit":
        call_claims.begin(state, event, plan)
    if event.writes:
        _write_result(state, event, plan, plan.steps[path_of(event)])
    outcome = event.journal is not None and event.journal.state != "intent"
    if outcome and (step.reclaims or step.given_back):
        # It has got further than the worker before it, which was lost (P32).
        state.steps[path_of(event)] = replace(step, reclaims=0, given_back=0)


def _step_suspended(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Nobody holds it. It goes on with the next dispatch of the same attempt."""
    step = _legal(state, event)
    state.steps[path_of(event)] = replace(
        step, phase="suspended", suspended_since_ms=event.at_ms, reclaimed=False, holder=None
    )


def _step_restarted(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Its code begins anew with what it wrote: what was before is history. The next event dispatches it."""
    path, step = path_of(event), _legal(state, event)
    placed = plan.steps[path]
    journal_events.forget(state, path)
    write(state, placed.scope, event.writes, event.revision)
    if static(path) in plan.undoable:
        sagas.keep_inputs(state, plan, placed)
    state.steps[path] = StepState(
        step=step.step,
        phase="suspended",
        attempt=step.attempt,
        dispatch=step.dispatch,
        first_dispatched_ms=event.at_ms,
        dispatched_ms=event.at_ms,
        next_attempt=step.attempt,
        suspended_since_ms=event.at_ms,
        restarts=step.restarts + 1,
        reserved=step.reserved,
    )


def _step_resumed(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A wait of its code is over: the outcome is in the journal. A suspended step is dispatched by the next event."""
    step = _legal(state, event)
    journal_events.wait_over(state, event)
    if step.phase == "suspended":
        state.steps[path_of(event)] = replace(step, reclaims=0, given_back=0)


def _signal_received(state: RunState, event: RunEvent, plan: Plan) -> None:
    state.signals[event.revision] = StoredSignal(
        name=event.name or "",
        received_ms=event.at_ms,
        payload=event.payload,
        sent_by=event.actor,
        correlation=event.attributes.get("correlation"),
    )


def _noted(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The history has it; the state does not change."""


def _cancel_requested(state: RunState, event: RunEvent, plan: Plan) -> None:
    state.head.cancelled_by = event.actor


def _answer_ignored(state: RunState, event: RunEvent, plan: Plan) -> None:
    """An orphan; if it tells what became of a revoked step, its effect is not unknown any more (P36)."""
    path = path_of(event)
    step = state.steps.get(path)
    if step is not None and step.effect_unknown and event.dispatch == step.dispatch:
        since_ms = step.effect_since_ms
        if _may_have_happened(event.error):
            # If the run, or an element of it, is retried, what was told too late is not to be done again blindly.
            since_ms = _effect_since(step, event)
        state.steps[path] = replace(step, effect_unknown=False, effect_since_ms=since_ms)


def _run_completed(state: RunState, event: RunEvent, plan: Plan) -> None:
    if not state.running or event.status is None:
        raise InvariantViolation("a run ends once", run_id=state.info.run_id)
    state.head.status = event.status
    state.head.error = event.error
    state.head.finished_at_ms = event.at_ms
    state.head.ended_revision = event.revision
    if event.status in RETRYABLE or apply_retry.by_its_parent(state):
        apply_retry.keep_cut(state)
    blocks.end_all_waits(state)
    state.head.unjoined = leave_kept(state)
    for path in list(state.held) if state.head.held_steps else ():
        unhold(state, path)
    for path in list(state.claims) if state.head.claims else ():
        free(state, path)


def _run_paused(state: RunState, event: RunEvent, plan: Plan) -> None:
    state.head.paused_at_ms = event.at_ms


def _run_resumed(state: RunState, event: RunEvent, plan: Plan) -> None:
    state.head.paused_at_ms = None


def _step_held(state: RunState, event: RunEvent, plan: Plan) -> None:
    """It would be sent now. Whoever held it is gone; it waits without a timer."""
    path = path_of(event)
    hold(state, path, event.revision)
    step = state.steps.get(path)
    if step is not None:
        state.steps[path] = replace(step, phase="waiting", due_ms=None, reclaimed=False, holder=None)


def _of_block_or_code(
    of_block: Callable[[RunState, RunEvent, Plan], None],
    of_code: Callable[[RunState, RunEvent], None],
    of_budget: Callable[[RunState, RunEvent], None] = journal_events.noted,
) -> Callable[[RunState, RunEvent, Plan], None]:
    """A question or a child of code has its journal entry in the event; that of a budget has a path of its own."""

    def handle(state: RunState, event: RunEvent, plan: Plan) -> None:
        if is_budget_question(path_of(event)):
            of_budget(state, event)
        elif event.journal is None:
            of_block(state, event, plan)
        else:
            of_code(state, event)

    return handle


_HANDLERS: dict[str, Callable[[RunState, RunEvent, Plan], None]] = {
    "run_started": _run_started,
    "step_dispatched": _step_dispatched,
    "step_started": _step_started,
    "step_succeeded": _step_succeeded,
    "step_failed": _step_failed,
    "step_retry_scheduled": _step_retry_scheduled,
    "step_in_doubt": _step_in_doubt,
    "step_resolved": _step_resolved,
    "step_reclaimed": _step_reclaimed,
    "step_released": _step_released,
    "step_refused": _step_refused,
    "step_revoked": _step_revoked,
    "step_journaled": _step_journaled,
    "step_suspended": _step_suspended,
    "step_resumed": _step_resumed,
    "step_restarted": _step_restarted,
    "block_entered": blocks.entered,
    "block_left": blocks.left,
    "block_rescued": blocks.rescued,
    "block_timed_out": blocks.timed_out,
    "undo_started": apply_sagas.undo_started,
    "undo_ended": apply_sagas.undo_ended,
    "wait_started": blocks.wait_started,
    "wait_ended": blocks.wait_ended,
    "question_asked": _of_block_or_code(blocks.question_asked, journal_events.question_asked, budget_events.asked),
    "question_answered": _of_block_or_code(blocks.wait_ended, journal_events.outside_word, budget_events.answered),
    "question_reassigned": _of_block_or_code(
        blocks.question_reassigned, journal_events.noted, budget_events.reassigned
    ),
    "question_reminded": blocks.question_reminded,
    "signal_received": _signal_received,
    "cancel_requested": _cancel_requested,
    "run_paused": _run_paused,
    "run_resumed": _run_resumed,
    "run_retried": apply_retry.retried,
    "step_held": _step_held,
    "run_forked": forked,
    "child_started": _of_block_or_code(blocks.child_started, journal_events.child_started),
    "child_ended": _of_block_or_code(blocks.child_ended, journal_events.child_ended),
    "child_settled": _noted,
    "limit_asked": limit_events.asked,
    "limit_granted": limit_events.granted,
    "answer_ignored": _answer_ignored,
    "run_completed": _run_completed,
}


def _close(state: RunState, path: str, step: StepState) -> None:
    state.head.open_steps -= 1
    state.steps[path] = replace(step, ended_revision=state.head.revision)


def _waiting(step: StepState, event: RunEvent, plan: Plan, *, checks: bool) -> StepState:
    """`checks`: the former attempt may have had its effect, so a CHECKED step is asked about first."""
    definition = plan.steps[path_of(event)].definition
    check_first = step.check_first or (checks and definition.effect == "CHECKED")
    return replace(
        step,
        phase="waiting",
        due_ms=event.due_ms,
        check_first=check_first,
        check_not_before_ms=event.due_ms if check_first else None,
        reclaimed=False,
        holder=None,
    )


def _may_have_happened(error: ErrorInfo | None) -> bool:
    return error is None or error.kind != "not_done"


def _effect_since(step: StepState, event: RunEvent) -> int:
    """The earliest moment at which an execution up to this one may have reached the outside (P35).

    The start is told by a worker's clock, so it counts only within what the engine knows.
    """
    if step.effect_since_ms is not None:
        return step.effect_since_ms
    started_ms = event.started_at_ms or step.started_at_ms or step.dispatched_ms
    return max(step.dispatched_ms, min(started_ms, event.at_ms))


def _legal(state: RunState, event: RunEvent) -> StepState:
    step = state.steps.get(path_of(event))
    if step is None or step.phase not in _LEGAL[event.kind]:
        raise _illegal(state, event, step)
    return step


def _illegal(state: RunState, event: RunEvent, step: StepState | None) -> InvariantViolation:
    phase = step.phase if step is not None else "unknown"
    return InvariantViolation(
        f"{event.kind} does not fit a step that is {phase}", run_id=state.info.run_id, path=event.path
    )
