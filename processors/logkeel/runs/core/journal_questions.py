"""Questions that code inside a step asks: to people the same as those of a `human` block. Pure.

The question's path is the step's, a "?", and the position of the call: `agent?3.0.1`. What the code gave stands in the
intent: `allow`, `show`, `assignee` and `notify`. The answer becomes the outcome: `verb`, `message`, `by` and `result`.
"""

from logkeel.records import AnswerQuestion, ErrorInfo, FieldReference, FieldWrite, JournalEntry
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.asking import DELEGATE, NO_ANSWER, WITH_ANSWER, reassign, refusal
from logkeel.runs.core.journal_waits import end_wait, outcome_of
from logkeel.runs.core.paths import place_in_code, split_place
from logkeel.runs.core.state import JournalWait

_FACTS = ("allow", "assignee", "notify")


def ask(turn: Activation, path: str, entry: JournalEntry) -> None:
    """Behind the recorded intent: the question, as people see it."""
    facts = {write.field: str(write.control) for write in entry.writes if write.field in _FACTS}
    shown = tuple(write for write in entry.writes if write.field == "show")
    turn.record(
        "question_asked",
        path=place_in_code(path, entry.position),
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
    path, position = split_place(request.path)
    wait = turn.state.journal_waits.get((path, position))
    intent = turn.state.journal.get((path, position))
    refused = _refusal(turn, request, wait, intent)
    if refused is not None or wait is None or intent is None:
        turn.do(refused or Reject("question_not_open", f"nobody is asked at {request.path}"))
        return
    if request.verb == DELEGATE:
        reassign(turn, request, request_id, wait.due_ms, intent)
        return
    texts = {"verb": request.verb, "message": request.comment, "by": request.answered_by}
    writes = [FieldWrite(field=name, is_control=True, control=text) for name, text in texts.items() if text is not None]
    if request.verb in WITH_ANSWER and request.payload is not None:
        writes.append(FieldWrite(field="result", payload=request.payload))
    _end(turn, request.path, outcome_of(turn, intent, tuple(writes)), request, request_id)


def no_answer(turn: Activation, path: str, position: str) -> None:
    """The time of a question is over; its code sees a TimeoutError."""
    intent = turn.state.journal[path, position]
    message = f"nobody has answered {intent.name!r} in time"
    error = ErrorInfo(code="human_timed_out", kind="timeout", message=message)
    _end(turn, place_in_code(path, position), outcome_of(turn, intent, (), error), None, None)


def _end(
    turn: Activation, question: str, outcome: JournalEntry, request: AnswerQuestion | None, request_id: str | None
) -> None:
    end_wait(
        turn,
        split_place(question)[0],
        outcome,
        "question_answered",
        path=question,
        name=None if request is None else request.verb,
        actor=None if request is None else request.answered_by,
        reason=NO_ANSWER if request is None else request.comment,
        request_id=request_id,
    )


def _refusal(
    turn: Activation, request: AnswerQuestion, wait: JournalWait | None, intent: JournalEntry | None
) -> Reject | None:
    step = turn.state.steps.get(split_place(request.path)[0])
    if wait is None or intent is None or wait.kind != "question" or step is None or not step.is_open:
        return refusal(turn, request, None, (), "")
    takes = next((str(write.control) for write in intent.writes if write.field == "allow"), "")
    return refusal(turn, request, wait.revision, takes.split(","), takes)
