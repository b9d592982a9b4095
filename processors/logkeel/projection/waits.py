"""What a run waits for that is no step: sleeps, signals, humans, blocks with a time limit. Pure; part of the views."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from logkeel.projection.limits import LimitView, limit_in
from logkeel.records import FieldReference, FieldValue, RunEvent

WaitKind = Literal["sleep", "signal", "human", "within", "child", "limit"]

NO_ANSWER = "no answer in time"
"""The engine's word for what its author's policy answered, since nobody else did."""


class WaitView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is waited for at a path. `number`: the revision at which it began, a question's id.

    `due_ms`: when its time is over. `name`: the signal's, the run id of a child, or a limit's (`limit`; the run itself
    waits at the empty path). Of a question: `question`, for whom
    (`assignee`), the verbs that are allowed, the fields that verb and answer go to, the fields that are shown and which
    revisions of them, and where they are notified. `reassigned_by`: who handed it on; `escalated`: nobody did, its
    first time was over.
    """

    path: str
    kind: WaitKind
    number: int
    since_ms: int
    due_ms: int | None = None
    name: str = ""
    correlation: str | None = None
    question: str = ""
    assignee: str | None = None
    allow: tuple[str, ...] = ()
    writes: str | None = None
    answer: str | None = None
    shows: tuple[str, ...] = ()
    reads: tuple[FieldReference, ...] = ()
    notify: str | None = None
    reassigned_by: str | None = None
    escalated: bool = False
    reminders: int = 0
    limit: LimitView | None = None


class AnswerView(msgspec.Struct, frozen=True, kw_only=True):
    """How a question was answered, and by whom; `in_time` is False if its author's policy answered for all."""

    path: str
    verb: str
    at_ms: int
    by: str | None = None
    comment: str | None = None
    in_time: bool = True


def shown(question: WaitView, history: Sequence[RunEvent]) -> tuple[FieldValue, ...]:
    """The fields that a human is to see, as they stood when the question was asked, in the author's order.

    A field that was never written has revision 0 and no value; so has one that has its default, which the definition
    knows. Fields written before the beginning of the history that is kept are missing.
    """
    revisions = {each.field: each.revision for each in question.reads}
    found = (_field(name, revisions.get(name, 0), history) for name in question.shows)
    return tuple(value for value in found if value is not None)


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


def wait_started(waits: dict[str, WaitView], event: RunEvent) -> None:
    """A sleep, a wait for a signal, or the time of a block began."""
    kind: WaitKind = "sleep" if event.name == "sleep" else "within" if event.name == "within" else "signal"
    name = event.reason or "" if kind == "signal" else ""
    _begin(waits, event, kind, name=name, correlation=event.attributes.get("correlation"))


def block_entered(waits: dict[str, WaitView], event: RunEvent) -> None:
    """A block began; one with a due time has a limit."""
    if event.due_ms is not None:
        _begin(waits, event, "within")


def child_started(waits: dict[str, WaitView], event: RunEvent) -> None:
    """A child run was started; one that is detached is not waited for."""
    if "detached" not in event.attributes:
        _begin(waits, event, "child", name=event.name or "")


def limit_asked(waits: dict[str, WaitView], event: RunEvent) -> None:
    """A slot of a limit is asked for."""
    _begin(waits, event, "limit", name=event.name or "", limit=limit_in(event))


def limit_over(waits: dict[str, WaitView], path: str) -> None:
    """What stands at `path` waits for no limit any more."""
    if path in waits and waits[path].kind == "limit":
        del waits[path]


def question_asked(waits: dict[str, WaitView], event: RunEvent) -> None:
    """A human is asked."""
    facts = event.attributes
    _begin(
        waits,
        event,
        "human",
        question=event.reason or "",
        assignee=event.actor,
        allow=_listed(facts.get("allow")),
        writes=facts.get("writes"),
        answer=facts.get("answer"),
        shows=_listed(facts.get("shows")),
        reads=event.reads,
        notify=facts.get("notify"),
    )


def question_reassigned(waits: dict[str, WaitView], event: RunEvent) -> None:
    """Somebody else is asked."""
    path = event.path or ""
    if path in waits:
        waits[path] = replace(
            waits[path],
            assignee=event.name,
            due_ms=event.due_ms,
            reassigned_by=event.actor,
            escalated=waits[path].escalated or event.actor is None,
        )


def question_reminded(waits: dict[str, WaitView], event: RunEvent) -> None:
    """They were reminded."""
    path = event.path or ""
    if path in waits:
        waits[path] = replace(waits[path], reminders=waits[path].reminders + 1)


def over(waits: dict[str, WaitView], event: RunEvent) -> None:
    """What waited here, inside of here, or was called for by the code of a step here, does not any more."""
    path = event.path or ""
    for each in [each for each in waits if each == path or each.startswith((f"{path}/", f"{path}?"))]:
        del waits[each]


def _begin(waits: dict[str, WaitView], event: RunEvent, kind: WaitKind, **details: object) -> None:
    path = event.path or ""
    waits[path] = WaitView(
        path=path,
        kind=kind,
        number=event.revision,
        since_ms=event.at_ms,
        due_ms=event.due_ms,
        **details,  # type: ignore[arg-type]  # fields of WaitView, by keyword
    )


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


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
