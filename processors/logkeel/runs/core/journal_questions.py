"""Questions that code inside a step asks: to people the same as those of a `human` block. Pure.

The question's path is the step's, a "?", and the position of the call: `agent?3.0.1`. What the code gave stands in the
intent: `allow`, `show`, `assignee` and `notify`. The answer becomes the outcome: `verb`, `message`, `by` and `result`.
"""

from logkeel.records import AnswerQuestion, ErrorInfo, FieldReference, FieldWrite, JournalEntry
from logkeel.runs.core.actions import ClearTimer, Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.flow import dispatch
from logkeel.runs.core.journal_timers import timer_path
from logkeel.runs.core.state import JournalWait

NO_ANSWER = "no answer in time"
_MARK = "?"
_DELEGATE = "delegate"
_WITH_ANSWER = ("edit", "respond")
_FACTS = ("allow", "assignee", "notify")


def is_of_code(path: str) -> bool:
    """Whether a question at this path was asked by code."""
    return _MARK in path


def ask(turn: Activation, path: str, entry: JournalEntry) -> None:
    """Behind the recorded intent: the question, as people see it."""
    facts = {write.field: str(write.control) for write in entry.writes if write.field in _FACTS}
    shown = tuple(write for write in entry.writes if write.field == "show")
    turn.record(
        "question_asked",
        path=f"{path}{_MARK}{entry.position}",
        step=turn.state.steps[path].step,
        reason=entry.name,
        actor=facts.get("assignee"),
        due_ms=entry.due_ms,
        attributes={
            **{name: text for name, text in facts.items() if name in ("allow", "notify")},
            **({"shows": "show"} if shown else {}),
        },
        writes=shown,
        reads=tuple(FieldReference(field="show", revision=turn.state.head.revision + 1) for _ in shown),
        journal=entry,
    )


def answer(turn: Activation, request: AnswerQuestion, request_id: str) -> None:
    """A human has answered, or asks that somebody else is asked."""
    path, _, position = request.path.rpartition(_MARK)
    wait = turn.state.journal_waits.get((path, position))
    intent = turn.state.journal.get((path, position))
    refusal = _refusal(turn, request, wait, intent)
    if refusal is not None or wait is None or intent is None:
        turn.do(refusal or Reject("question_not_open", f"nobody is asked at {request.path}"))
        return
    if request.verb == _DELEGATE:
        turn.record(
            "question_reassigned",
            path=request.path,
            name=request.assignee,
            actor=request.answered_by or "somebody",
            reason=request.comment,
            due_ms=wait.due_ms,
            request_id=request_id,
            journal=intent,
        )
        return
    texts = {"verb": request.verb, "message": request.comment, "by": request.answered_by}
    writes = [FieldWrite(field=name, is_control=True, control=text) for name, text in texts.items() if text is not None]
    if request.verb in _WITH_ANSWER and request.payload is not None:
        writes.append(FieldWrite(field="result", payload=request.payload))
    _end(turn, request.path, _outcome(turn, intent, tuple(writes)), request, request_id)


def no_answer(turn: Activation, path: str, position: str) -> None:
    """The time of a question is over; its code sees a TimeoutError."""
    intent = turn.state.journal[path, position]
    message = f"nobody has answered {intent.name!r} in time"
    error = ErrorInfo(code="human_timed_out", kind="timeout", message=message)
    _end(turn, f"{path}{_MARK}{position}", _outcome(turn, intent, (), error), None, None)


def _outcome(
    turn: Activation, intent: JournalEntry, writes: tuple[FieldWrite, ...], error: ErrorInfo | None = None
) -> JournalEntry:
    return JournalEntry(
        name=intent.name,
        ordinal=intent.ordinal,
        state="done" if error is None else "failed",
        writes=writes,
        error=error,
        position=intent.position,
        at_ms=turn.now_ms,
        waits_for="question",
    )


def _end(
    turn: Activation, question: str, outcome: JournalEntry, request: AnswerQuestion | None, request_id: str | None
) -> None:
    path = question.rpartition(_MARK)[0]
    step, wait = turn.state.steps[path], turn.state.journal_waits[path, outcome.position]
    if wait.due_ms is not None:
        turn.do(ClearTimer("journal", wait.due_ms, timer_path(path, outcome.position)))
    turn.record(
        "question_answered",
        path=question,
        step=step.step,
        name=None if request is None else request.verb,
        actor=None if request is None else request.answered_by,
        reason=NO_ANSWER if request is None else request.comment,
        request_id=request_id,
        journal=outcome,
    )
    if step.phase == "suspended":
        dispatch(turn, path)


def _refusal(
    turn: Activation, request: AnswerQuestion, wait: JournalWait | None, intent: JournalEntry | None
) -> Reject | None:
    path = request.path
    step = turn.state.steps.get(path.rpartition(_MARK)[0])
    if not turn.state.running:
        return Reject("run_finished", f"run {request.run_id} has ended as {turn.state.head.status}")
    if request.incarnation is not None and request.incarnation != turn.state.info.incarnation:
        return Reject("another_incarnation", f"run {request.run_id} is another one now")
    if wait is None or intent is None or wait.kind != "question" or step is None or not step.is_open:
        return Reject("question_not_open", f"nobody is asked at {path}: it may be answered, or its time may be over")
    if request.question is not None and request.question != wait.revision:
        return Reject("question_not_open", f"question {request.question} of {path} is over; {wait.revision} is open")
    if request.verb == _DELEGATE:
        return None if request.assignee else Reject("assignee_missing", "to delegate, say to whom")
    allowed = next((str(write.control) for write in intent.writes if write.field == "allow"), "")
    if request.verb not in allowed.split(","):
        return Reject("verb_not_allowed", f"{path} takes {allowed}, not {request.verb!r}")
    if request.verb in _WITH_ANSWER and request.payload is None:
        return Reject("answer_missing", f"{request.verb} of {path} needs an answer")
    return None
