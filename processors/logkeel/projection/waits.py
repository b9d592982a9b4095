"""What a run waits for that is no step: sleeps, signals, humans, blocks with a time limit. Pure; part of the views."""

from dataclasses import dataclass, replace
from typing import Literal

from logkeel.records import RunEvent

WaitKind = Literal["sleep", "signal", "human", "within"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitView:
    """Something that is waited for at a path. `number`: the revision at which it began, a question's id.

    `due_ms`: when its time is over. `name`: the signal's. Of a question: `question`, for whom (`assignee`), the verbs
    that are allowed, the fields that verb and answer go to, the fields that are shown, and where they are notified.
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
    notify: str | None = None
    reminders: int = 0


def wait_started(waits: dict[str, WaitView], event: RunEvent) -> None:
    """A sleep or a wait for a signal began."""
    kind: WaitKind = "sleep" if event.name == "sleep" else "signal"
    name = "" if kind == "sleep" else event.reason or ""
    _begin(waits, event, kind, name=name, correlation=event.attributes.get("correlation"))


def block_entered(waits: dict[str, WaitView], event: RunEvent) -> None:
    """A block began; one with a due time has a limit."""
    if event.due_ms is not None:
        _begin(waits, event, "within")


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
        notify=facts.get("notify"),
    )


def question_reassigned(waits: dict[str, WaitView], event: RunEvent) -> None:
    """Somebody else is asked."""
    path = event.path or ""
    if path in waits:
        waits[path] = replace(waits[path], assignee=event.name, due_ms=event.due_ms)


def question_reminded(waits: dict[str, WaitView], event: RunEvent) -> None:
    """They were reminded."""
    path = event.path or ""
    if path in waits:
        waits[path] = replace(waits[path], reminders=waits[path].reminders + 1)


def over(waits: dict[str, WaitView], event: RunEvent) -> None:
    """What waited here, and inside of here, does not any more."""
    path = event.path or ""
    for each in [each for each in waits if each == path or each.startswith(f"{path}/")]:
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


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
