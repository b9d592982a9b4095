"""What a run waits for beside its steps: sleeps, signals, humans, and blocks whose time is limited. Pure.

Each event changes the waits it names and those of a block that it ends. Like the rest of the view it decides nothing:
an end of what was never seen to begin changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from logkeel.records import EventKind, FieldReference, FieldValue, RunEvent

WaitKind = Literal["sleep", "signal", "within"]

NO_ANSWER = "no answer in time"
"""The engine's word for what its author's policy answered, since nobody else did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitView:
    """A sleep, a wait for a signal, or a block that has to end in time (`within`). `due_ms` None: for ever.

    `signal` and `correlation` are what a wait for a signal takes; without a correlation, any of that name.
    """

    path: str
    kind: WaitKind
    since_ms: int
    due_ms: int | None = None
    signal: str | None = None
    correlation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionView:
    """A human is asked. `number`: the revision at which it was asked, which an answer may name (`question`).

    `writes` is the field that gets the verb, `answer` the one that gets the answer of `edit` and `respond`. `shows`
    names the fields that the human is to see, `reads` says which revision of each; see `shown`. `due_ms`: until when,
    None: for ever. `reassigned_by`: who handed it on to the present assignee; `escalated`: nobody did, its time was
    over. `reminded_ms`: when it was asked again.
    """

    path: str
    number: int
    text: str
    since_ms: int
    due_ms: int | None = None
    allow: tuple[str, ...] = ()
    writes: str | None = None
    answer: str | None = None
    assignee: str | None = None
    notify: str | None = None
    shows: tuple[str, ...] = ()
    reads: tuple[FieldReference, ...] = ()
    reassigned_by: str | None = None
    escalated: bool = False
    reminded_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """How a question was answered, and by whom; `in_time` is False if its author's policy answered for all."""

    path: str
    verb: str
    at_ms: int
    by: str | None = None
    comment: str | None = None
    in_time: bool = True


Wait: TypeAlias = WaitView | QuestionView
Waits: TypeAlias = dict[str, Wait]
"""By path: at one path a run waits for one thing."""


def shown(question: QuestionView, history: Sequence[RunEvent]) -> tuple[FieldValue, ...]:
    """The fields that a human is to see, as they stood when the question was asked, in the author's order.

    A field that was never written has revision 0 and no value; so has one that has its default, which the definition
    knows. Fields written before the beginning of the history that is kept are missing.
    """
    revisions = {each.field: each.revision for each in question.reads}
    found = (_field(name, revisions.get(name, 0), history) for name in question.shows)
    return tuple(value for value in found if value is not None)


def _field(name: str, revision: int, history: Sequence[RunEvent]) -> FieldValue | None:
    if revision == 0:
        return FieldValue(field=name, revision=0)
    for event in history:
        if event.revision != revision:
            continue
        for write in reversed(event.writes):
            if write.field == name:
                return FieldValue(
                    field=name,
                    revision=revision,
                    payload=write.payload,
                    is_control=write.is_control,
                    control=write.control,
                )
    return None


# What each event does


def _wait_started(waits: Waits, event: RunEvent) -> None:
    path, kind = event.path or "", _kind(event)
    waits[path] = WaitView(
        path=path,
        kind=kind,
        since_ms=event.at_ms,
        due_ms=event.due_ms,
        signal=event.reason if kind == "signal" else None,
        correlation=event.attributes.get("correlation"),
    )


def _kind(event: RunEvent) -> WaitKind:
    match event.name:
        case "sleep":
            return "sleep"
        case "within":
            return "within"
        case _:
            return "signal"


def _question_asked(waits: Waits, event: RunEvent) -> None:
    path, facts = event.path or "", event.attributes
    waits[path] = QuestionView(
        path=path,
        number=event.revision,
        text=event.reason or "",
        since_ms=event.at_ms,
        due_ms=event.due_ms,
        allow=_names(facts, "allow"),
        writes=facts.get("writes"),
        answer=facts.get("answer"),
        assignee=event.actor,
        notify=facts.get("notify"),
        shows=_names(facts, "shows"),
        reads=event.reads,
    )


def _question_reassigned(waits: Waits, event: RunEvent) -> None:
    question = waits.get(event.path or "")
    if isinstance(question, QuestionView):
        waits[question.path] = replace(
            question,
            assignee=event.name,
            due_ms=event.due_ms,
            reassigned_by=event.actor,
            escalated=question.escalated or event.actor is None,
        )


def _question_reminded(waits: Waits, event: RunEvent) -> None:
    question = waits.get(event.path or "")
    if isinstance(question, QuestionView):
        waits[question.path] = replace(question, reminded_ms=event.at_ms)


def _block_entered(waits: Waits, event: RunEvent) -> None:
    """Only a block whose time is limited has a due time."""
    if event.due_ms is not None:
        path = event.path or ""
        waits[path] = WaitView(path=path, kind="within", since_ms=event.at_ms, due_ms=event.due_ms)


def _ended(waits: Waits, event: RunEvent) -> None:
    waits.pop(event.path or "", None)


def _block_ended(waits: Waits, event: RunEvent) -> None:
    """What was open at its path and below is gone."""
    path = event.path or ""
    for each in [each for each in waits if each == path or each.startswith(f"{path}/")]:
        del waits[each]


def _run_completed(waits: Waits, event: RunEvent) -> None:
    waits.clear()


CHANGES: Mapping[EventKind, Callable[[Waits, RunEvent], None]] = {
    "wait_started": _wait_started,
    "wait_ended": _ended,
    "question_asked": _question_asked,
    "question_answered": _ended,
    "question_reassigned": _question_reassigned,
    "question_reminded": _question_reminded,
    "block_entered": _block_entered,
    "block_left": _block_ended,
    "block_rescued": _block_ended,
    "block_timed_out": _block_ended,
    "block_cancelled": _block_ended,
    "run_completed": _run_completed,
}
"""What changes the waits of a run; no other event does."""


def answer_in(event: RunEvent) -> AnswerView:
    """What a `question_answered` tells. Only an answer of the policy comes without a request."""
    in_time = event.request_id is not None or event.actor is not None or event.reason != NO_ANSWER
    return AnswerView(
        path=event.path or "",
        verb=event.name or "",
        at_ms=event.at_ms,
        by=event.actor,
        comment=event.reason if in_time else None,
        in_time=in_time,
    )


def _names(facts: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(each for each in facts.get(name, "").split(",") if each)
