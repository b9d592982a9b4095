"""Questions to humans: answers, delegation, reminders, and what follows if nobody answers. Pure.

The first valid answer counts; who gave it stands in the history.
"""

from logkeel.definitions import HumanBlock
from logkeel.records import AnswerQuestion, ErrorInfo, FieldWrite
from logkeel.runs.core import budgeting, journal_questions
from logkeel.runs.core.actions import Reject, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.apply_blocks import FAIL
from logkeel.runs.core.asking import DELEGATE, NO_ANSWER, WITH_ANSWER, reassign, refusal
from logkeel.runs.core.budgets import is_budget_question
from logkeel.runs.core.flow import clear_timers, set_reminder
from logkeel.runs.core.moving import fail, go_to
from logkeel.runs.core.paths import is_in_code
from logkeel.runs.core.state import WaitState


def answer(turn: Activation, request: AnswerQuestion, request_id: str) -> None:
    """A human has answered, or asks that somebody else is asked."""
    path = request.path
    if is_budget_question(path):
        budgeting.answer(turn, request, request_id)
        return
    if is_in_code(path):
        journal_questions.answer(turn, request, request_id)
        return
    wait, block = turn.state.waits.get(path), _block(turn, path)
    refused = _refusal(turn, request, wait, block)
    if refused is not None or wait is None or block is None:
        turn.do(refused or Reject("question_not_open", f"nobody is asked at {path}"))
        return
    if request.verb == DELEGATE:
        reassign(turn, request, request_id, wait.due_ms)
        return
    clear_timers(turn, path, wait)
    turn.record(
        "question_answered",
        path=path,
        name=request.verb,
        actor=request.answered_by,
        reason=request.comment,
        writes=_writes(block, request),
        request_id=request_id,
    )
    go_to(turn, turn.plan.waits[path].after, path)


def no_answer(turn: Activation, path: str, wait: WaitState, block: HumanBlock) -> None:
    """The deadline of a question is over: what its author said for this."""
    policy = block.on_timeout
    if policy == "escalate" and not wait.escalated:
        _escalate(turn, path, wait, block)
        return
    verb = block.then if policy == "escalate" else policy
    clear_timers(turn, path, wait)
    writes = () if verb == FAIL else (FieldWrite(field=block.writes, is_control=True, control=verb),)
    turn.record("question_answered", path=path, name=verb, reason=NO_ANSWER, writes=writes)
    if verb == FAIL:
        message = f"nobody has answered {path} in time: {block.question}"
        error = ErrorInfo(code="human_timed_out", kind="timeout", message=message)
        fail(turn, path, error, f"{path} was not answered")
    else:
        go_to(turn, turn.plan.waits[path].after, path)


def remind(turn: Activation, path: str, number: int) -> None:
    """It is time to ask again."""
    wait, block = turn.state.waits.get(path), _block(turn, path)
    if not turn.state.running or wait is None or wait.number != number or block is None or block.remind_ms is None:
        turn.ignore("nobody is asked any more")
        return
    turn.record("question_reminded", path=path, actor=wait.assignee, due_ms=turn.now_ms + block.remind_ms)
    set_reminder(turn, path, turn.state.waits[path])


def _escalate(turn: Activation, path: str, wait: WaitState, block: HumanBlock) -> None:
    due_ms = turn.now_ms + (block.timeout_ms or 0)
    turn.record("question_reassigned", path=path, name=block.escalate_to, reason="escalated", due_ms=due_ms)
    turn.do(SetTimer("block", due_ms, path, wait.number))


def _writes(block: HumanBlock, request: AnswerQuestion) -> tuple[FieldWrite, ...]:
    verb = FieldWrite(field=block.writes, is_control=True, control=request.verb)
    if request.verb not in WITH_ANSWER or block.answer is None or request.payload is None:
        return (verb,)
    return (verb, FieldWrite(field=block.answer, payload=request.payload))


def _block(turn: Activation, path: str) -> HumanBlock | None:
    if path not in turn.state.waits:
        return None
    try:
        block = turn.plan.waits[path].block
    except KeyError:
        return None
    return block if isinstance(block, HumanBlock) else None


def _refusal(
    turn: Activation, request: AnswerQuestion, wait: WaitState | None, block: HumanBlock | None
) -> Reject | None:
    if wait is None or block is None:
        return refusal(turn, request, None, (), "")
    return refusal(turn, request, wait.number, block.allow, ", ".join(block.allow))
