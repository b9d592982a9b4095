"""Requests of services and people, made again from the turns they led to. Pure. Part of `inputs_again`.

Each function gives the input of a turn that begins with the event it is registered for there.
"""

from logkeel.definitions import HumanBlock
from logkeel.records import (
    AnswerQuestion,
    CancelRun,
    ForkRun,
    Origin,
    PauseRun,
    Payload,
    ResolveStep,
    ResumeRun,
    RetryRun,
    RunEvent,
    SignalRun,
    StartRun,
)
from logkeel.runs.core import forking, pausing, questions, requests, retrying
from logkeel.runs.core.asking import DELEGATE, WITH_ANSWER
from logkeel.runs.core.budgets import is_budget_question
from logkeel.runs.core.paths import is_in_code
from logkeel.runs.core.recorded_turn import Input, RecordedTurn
from logkeel.runs.core.starting import start

_UNKEPT = Payload(encoding="json", data=b"null")
"""Stands for an answer that the block kept nowhere: it must have been there."""


def start_again(past: RecordedTurn) -> Input:
    """The start of the run, and a cancel that came before it."""
    first = past.first
    request = StartRun(workflow=first.workflow, run_id=first.run_id, inputs=first.writes)
    cancelled = next((event for event in past.events if event.kind == "cancel_requested"), None)
    early = None if cancelled is None else (_cancel_of(cancelled), cancelled.request_id or "")
    return lambda turn: start(turn, request, first.writes, early_cancel=early)


def fork_again(past: RecordedTurn) -> Input:
    """The start of a run from another one's history, which has been applied."""
    first = past.first
    request = ForkRun(
        run_id=first.run_id,
        workflow=first.workflow,
        origin=first.origin or Origin(run_id="", incarnation="", revision=0),
        reason=first.reason,
        requested_by=first.actor,
    )
    return lambda turn: forking.fork(turn, (), request, first.writes)


def signal_again(past: RecordedTurn) -> Input:
    """A signal."""
    first = past.first
    request = SignalRun(
        run_id=first.run_id,
        name=first.name or "",
        correlation=first.attributes.get("correlation"),
        payload=first.payload,
        sent_by=first.actor,
        trace=first.trace,
    )
    return lambda turn: requests.signal(turn, request, past.request_id)


def cancel_again(past: RecordedTurn) -> Input:
    """A cancel."""
    return lambda turn: requests.cancel(turn, _cancel_of(past.first), past.request_id)


def _cancel_of(event: RunEvent) -> CancelRun:
    return CancelRun(run_id=event.run_id, reason=event.reason, requested_by=event.actor)


def pause_again(past: RecordedTurn) -> Input:
    """A pause."""
    first = past.first
    request = PauseRun(run_id=first.run_id, reason=first.reason, requested_by=first.actor)
    return lambda turn: pausing.pause(turn, request, past.request_id)


def resume_again(past: RecordedTurn) -> Input:
    """The end of a pause."""
    first = past.first
    request = ResumeRun(run_id=first.run_id, reason=first.reason, requested_by=first.actor)
    return lambda turn: pausing.resume(turn, request, past.request_id)


def retry_again(past: RecordedTurn) -> Input:
    """A retry of the run after its end."""
    first = past.first
    request = RetryRun(run_id=first.run_id, reason=first.reason, requested_by=first.actor)
    return lambda turn: retrying.retry(turn, request, past.request_id, first.parent)


def resolve_again(past: RecordedTurn) -> Input:
    """A human's word about a step, or a call of its code, in doubt."""
    first = past.first
    if first.journal is not None:
        writes = first.journal.writes if first.reason == "did" else ()
    else:
        done = (event for event in past.events if event.kind == "step_succeeded" and event.path == first.path)
        writes = next((event.writes for event in done), ())
    request = ResolveStep(
        run_id=first.run_id, path=past.path, decision=first.reason or "", decided_by=first.actor, writes=writes
    )
    return lambda turn: requests.resolve(turn, request, past.request_id, writes)


def answer_again(past: RecordedTurn) -> Input:
    """A human's answer to the question of a block, of code, or of a budget."""
    first, verb = past.first, past.first.name or ""
    payload = _answer_of(past)
    request = AnswerQuestion(
        run_id=first.run_id,
        path=past.path,
        verb=verb,
        payload=_UNKEPT if payload is None and verb in WITH_ANSWER else payload,
        answered_by=first.actor,
        comment=first.reason,
        grant=next(iter(first.amounts.values()), None),
    )
    return lambda turn: questions.answer(turn, request, past.request_id)


def _answer_of(past: RecordedTurn) -> Payload | None:
    if is_budget_question(past.path):
        return None
    if is_in_code(past.path):
        writes, field = () if past.first.journal is None else past.first.journal.writes, "result"
    else:
        block = past.plan.waits[past.path].block
        writes, field = past.first.writes, (block.answer or "") if isinstance(block, HumanBlock) else ""
    return next((write.payload for write in writes if write.field == field), None)


def delegate_again(past: RecordedTurn) -> Input:
    """A human's wish that somebody else is asked."""
    first = past.first
    request = AnswerQuestion(
        run_id=first.run_id,
        path=past.path,
        verb=DELEGATE,
        assignee=first.name,
        answered_by=first.actor,
        comment=first.reason,
    )
    return lambda turn: questions.answer(turn, request, past.request_id)
