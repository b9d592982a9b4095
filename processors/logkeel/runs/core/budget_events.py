"""What the amounts of an event do to the state. Part of `apply`. Pure."""

from msgspec.structs import replace

from logkeel.records import RunEvent
from logkeel.runs.core import call_claims
from logkeel.runs.core.budgets import FOR_CALLS, WALL_MS, unit_asked_for
from logkeel.runs.core.changing import begin_wait, end_wait, path_of
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import Account, RunState, WaitState


def account_for(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Reserve what a dispatch says; settle what any other event says."""
    if event.kind in FOR_CALLS:
        call_claims.reserve(state, event)
        return
    path = path_of(event)
    step = state.steps.get(path)
    if step is None:
        return
    reserved, counted = dict(step.reserved), dict(step.counted)
    keeps = event.kind == "step_failed" and plan.steps[path].definition.journaled is True
    for unit, amount in event.amounts.items():
        account = state.head.accounts.get(unit, Account())
        if event.kind == "step_dispatched":
            reserved[unit] = amount
            state.head.accounts[unit] = replace(account, reserved=account.reserved + amount)
            continue
        back = reserved.pop(unit, 0)
        spent, left = account.spent + amount, account.reserved - back
        state.head.accounts[unit] = replace(account, spent=spent, reserved=left)
        if keeps and unit != WALL_MS:
            counted[unit] = counted.get(unit, 0) + amount
    state.steps[path] = replace(step, reserved=reserved, counted=counted)


def forget_reserved(state: RunState) -> None:
    """What is under way is the other run's; what was used up to there has been used."""
    for path, step in list(state.steps.items()):
        if step.reserved:
            state.steps[path] = replace(step, reserved={})
    state.head.accounts = {unit: replace(account, reserved=0) for unit, account in state.head.accounts.items()}


def asked(state: RunState, event: RunEvent) -> None:
    """A human is asked for more."""
    wait = WaitState(kind="question", number=event.revision, since_ms=event.at_ms, assignee=event.actor)
    begin_wait(state, path_of(event), wait)


def reassigned(state: RunState, event: RunEvent) -> None:
    """Somebody else is asked."""
    state.waits[path_of(event)] = replace(state.waits[path_of(event)], assignee=event.name)


def answered(state: RunState, event: RunEvent) -> None:
    """A human has given more, or has said that there is none."""
    path = path_of(event)
    end_wait(state, path)
    unit = unit_asked_for(path)
    account = state.head.accounts.get(unit, Account())
    more = event.amounts.get(unit, 0)
    refused = account.refused or not more
    state.head.accounts[unit] = replace(account, granted=account.granted + more, refused=refused)
