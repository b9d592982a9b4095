"""The input that led to a recorded turn, made again from its events. Pure. Part of `redeciding`.

Of most turns the first event tells the input. Some begin with what the input led to, such as a step that is revoked
since a deadline has passed: for these, each timer that was due and each word that could have come is one input that may
have been it.
"""

from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType

from logkeel.records import ErrorInfo, RunEvent
from logkeel.runs.core import journal_limits, questions, waking
from logkeel.runs.core.answers import answer
from logkeel.runs.core.answers_again import (
    child_end_again,
    entry_again,
    failure_again,
    failure_of,
    heartbeat_again,
    late_end_again,
    late_word_again,
    reclaim_again,
    refusal_again,
    refused_slots,
    release_again,
    restart_again,
    slot_again,
    success_again,
    suspension_again,
)
from logkeel.runs.core.flow import DEAD_LETTER, complete
from logkeel.runs.core.paths import is_in_code, place_in_code, split_place
from logkeel.runs.core.recorded_turn import Input, RecordedTurn
from logkeel.runs.core.requests_again import (
    answer_again,
    cancel_again,
    delegate_again,
    fork_again,
    pause_again,
    resolve_again,
    resume_again,
    retry_again,
    signal_again,
    start_again,
)
from logkeel.runs.core.sagas import is_ending
from logkeel.runs.core.timing import start_deadline_ms


def inputs_of(past: RecordedTurn) -> Sequence[Input]:
    """The inputs of which one led to this turn; none if it cannot be made again.

    Raises `LookupError` where the events name something that the state or the definition does not have.
    """
    made = _TOLD_BY.get(past.first.kind)
    if made is not None:
        one = made(past)
        return () if one is None else (one,)
    return tuple(_possible(past))


# Timers, as their turns begin


def _step_due(past: RecordedTurn) -> Input:
    number = past.step.dispatch
    return lambda turn: waking.step_due(turn, past.path, number)


def _wait_due(past: RecordedTurn) -> Input:
    number = past.state.waits[past.path].number
    return lambda turn: waking.wait_due(turn, past.path, number)


def _code_wait_due(past: RecordedTurn) -> Input:
    entry = past.first.journal
    position = split_place(past.path)[1] if entry is None else entry.position
    path = split_place(past.path)[0] if is_in_code(past.path) else past.path
    return lambda turn: waking.journal_wait_due(turn, path, position)


def _code_resumed(past: RecordedTurn) -> Input:
    """A wait of code is over: its time has come, or the limit it waits for has refused it."""
    entry = past.first.journal
    if entry is None or entry.waits_for != "limit":
        return _code_wait_due(past)
    error = entry.error or ErrorInfo(code="refused", kind="fatal", message="")
    return lambda turn: journal_limits.refused(turn, place_in_code(past.path, entry.position), error)


def _reminder_due(past: RecordedTurn) -> Input:
    number = past.state.waits[past.path].number
    return lambda turn: questions.remind(turn, past.path, number)


def _question_over(past: RecordedTurn) -> Input:
    """Answered by a human, or by nobody in time."""
    if past.first.request_id is not None:
        return answer_again(past)
    return _code_wait_due(past) if is_in_code(past.path) else _wait_due(past)


def _question_handed_on(past: RecordedTurn) -> Input:
    return _wait_due(past) if past.first.request_id is None else delegate_again(past)


# Turns that begin with what followed


def _possible(past: RecordedTurn) -> Iterator[Input]:
    """Whatever may have led there: what ends a step, a block or the run before it tells of itself."""
    first = past.first
    if first.kind == "step_in_doubt":
        yield _step_due(past) if first.error is None else _left_open(past, first.error)
    if first.kind == "step_revoked" and is_ending(past.state, past.plan, past.path):
        # Its saga has failed, so all that leaves open what it did leads to the same.
        yield _left_open(past, ErrorInfo(code="in_doubt", kind="in_doubt", message=first.reason or ""))
    yield from _due_waits(past)
    yield from _due_steps(past)
    yield from _told_ends(past)


def _left_open(past: RecordedTurn, error: ErrorInfo) -> Input:
    message = failure_of(past, error, in_doubt=True)
    return lambda turn: answer(turn, message)


def _due_waits(past: RecordedTurn) -> Iterator[Input]:
    for path, wait in past.state.waits.items():
        if wait.due_ms is not None and wait.due_ms <= past.first.at_ms:
            yield _at(waking.wait_due, path, wait.number)


def _due_steps(past: RecordedTurn) -> Iterator[Input]:
    now_ms = past.first.at_ms
    for path, step in past.state.steps.items():
        if step.phase == "waiting" and step.due_ms is not None and step.due_ms <= now_ms:
            yield _at(waking.step_due, path, step.dispatch)
        elif step.phase == "dispatched":
            deadline_ms = start_deadline_ms(past.plan.steps[path].definition, step)
            if deadline_ms is not None and deadline_ms <= now_ms:
                yield _at(waking.start_deadline_over, path, step.dispatch)


def _at(wake: Callable[..., None], path: str, number: int) -> Input:
    return lambda turn: wake(turn, path, number)


def _told_ends(past: RecordedTurn) -> Iterator[Input]:
    """What the failure that is in these events says of its cause."""
    failure = next((event for event in past.events if event.error is not None), None)
    if failure is None or failure.error is None:
        return
    if failure.error.code == "run_timed_out":
        yield waking.run_deadline_over
    if failure.reason == DEAD_LETTER:
        yield _poisoned(failure)
    yield from refused_slots(past, failure.error)


def _poisoned(event: RunEvent) -> Input:
    return lambda turn: complete(turn, event.status or "failed", event.error, reason=DEAD_LETTER)


_TOLD_BY: MappingProxyType[str, Callable[[RecordedTurn], Input | None]] = MappingProxyType(
    {
        "run_started": start_again,
        "run_forked": fork_again,
        "run_paused": pause_again,
        "run_resumed": resume_again,
        "run_retried": retry_again,
        "signal_received": signal_again,
        "cancel_requested": cancel_again,
        "step_resolved": resolve_again,
        "question_answered": _question_over,
        "question_reassigned": _question_handed_on,
        "question_reminded": _reminder_due,
        "step_started": heartbeat_again,
        "step_succeeded": success_again,
        "step_failed": failure_again,
        "step_reclaimed": reclaim_again,
        "step_released": release_again,
        "step_refused": refusal_again,
        "step_journaled": entry_again,
        "step_suspended": suspension_again,
        "step_restarted": restart_again,
        "step_resumed": _code_resumed,
        "answer_ignored": late_word_again,
        "step_dispatched": _step_due,
        "step_held": _step_due,
        "limit_asked": _step_due,
        "limit_granted": slot_again,
        "wait_ended": _wait_due,
        "child_ended": child_end_again,
        "child_settled": late_end_again,
    }
)
