"""What follows when a step finds too little left of a budget of its run (decision 0031). Pure."""

from logkeel.records import AnswerQuestion
from logkeel.records.limits import MAX_AMOUNT
from logkeel.runs.core import journal_limits
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.asking import DELEGATE, reassign, refusal
from logkeel.runs.core.budget_asking import ALLOWED, wait
from logkeel.runs.core.budgets import Lack, exhausted, lack_of, run_budgets, unit_asked_for
from logkeel.runs.core.flow import leave_waiting
from logkeel.runs.core.journal_children import begin_held
from logkeel.runs.core.moving import fail, send_held
from logkeel.runs.core.paths import is_in_code


def may_spend(turn: Activation, path: str) -> bool:
    """Whether the step may be sent. If not, it waits for what others settle or a human gives, or has failed."""
    lack = lack_of(turn.state, turn.plan, path)
    if lack is None:
        return True
    if lack.waits:
        _wait(turn, path, lack)
    else:
        fail(turn, path, exhausted(path, lack), f"step {path} finds too little left")
    return False


def _wait(turn: Activation, path: str, lack: Lack) -> None:
    step = turn.state.steps.get(path)
    if step is not None and path not in turn.state.held:
        leave_waiting(turn, path, step)
    wait(turn, path, turn.plan.steps[path].definition.name, lack)


def answer(turn: Activation, request: AnswerQuestion, request_id: str) -> None:
    """A human gives more of a unit, or says that there is none: who waits for it fails then. Or hands it on."""
    path = request.path
    unit, wait = unit_asked_for(path), turn.state.waits.get(path)
    refused = refusal(turn, request, None if wait is None else wait.number, ALLOWED, ", ".join(ALLOWED))
    grant = next((each.limit for each in run_budgets(turn.state.info, turn.plan) if each.unit == unit), 0)
    grant = grant if request.grant is None else request.grant
    if refused is None and not 1 <= grant <= MAX_AMOUNT:
        refused = Reject("answer_invalid", f"to give more of {unit}, say how much, from 1 to {MAX_AMOUNT}")
    if refused is not None:
        turn.do(refused)
    elif request.verb == DELEGATE:
        reassign(turn, request, request_id, None)
    else:
        turn.record(
            "question_answered",
            path=path,
            name=request.verb,
            actor=request.answered_by,
            reason=request.comment,
            request_id=request_id,
            amounts={unit: grant} if request.verb == "approve" else {},
        )
        turn.settled = True


def go_on(turn: Activation) -> None:
    """At the end of a turn: what was settled in it may be what others wait for, in the order in which they came."""
    head = turn.state.head
    while turn.settled and turn.state.running and (head.held_steps or head.claims or turn.plan.has_journals):
        turn.settled = False
        held = [(revision, path) for path, revision in turn.state.held.items()] if head.held_steps else []
        for _, path in sorted([*held, *journal_limits.waiting(turn.state)]):
            if is_in_code(path):
                journal_limits.go_on(turn, path)
            elif _may_send(turn) and path in turn.state.held:
                send_held(turn, path)
        if _may_send(turn):
            begin_held(turn)


def _may_send(turn: Activation) -> bool:
    return turn.state.running and turn.state.head.paused_at_ms is None
