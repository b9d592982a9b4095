"""One activation of a run: an input is decided, events are recorded and applied, actions pile up. Pure.

`record` is the only way to change the state. The time of a run never goes back (P24).
"""

from typing import TypedDict, Unpack

from logkeel.records import (
    ErrorInfo,
    EventKind,
    FieldReference,
    FieldWrite,
    JournalEntry,
    Origin,
    Parent,
    Payload,
    RunEvent,
    RunStatus,
    TraceContext,
)
from logkeel.runs.core.actions import Action, Ignored, ReleaseSlot
from logkeel.runs.core.apply import apply
from logkeel.runs.core.budgets import RESERVES, Told, amounts_of
from logkeel.runs.core.call_claims import amounts_of_calls
from logkeel.runs.core.child_budgets import KINDS, NUMBER, amounts_of_children
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunState


class Details(TypedDict, total=False):
    """Fields of a RunEvent beyond those every event has."""

    path: str
    step: str
    attempt: int
    dispatch: int
    holder: str | None
    started_at_ms: int | None
    due_ms: int | None
    writes: tuple[FieldWrite, ...]
    reads: tuple[FieldReference, ...]
    error: ErrorInfo | None
    status: RunStatus
    reason: str | None
    actor: str | None
    name: str | None
    payload: Payload | None
    request_id: str | None
    input_digest: str | None
    attributes: dict[str, str]
    origin: Origin | None
    trace: TraceContext | None
    conversation_id: str | None
    parent: Parent | None
    former_revisions: int | None
    journal: JournalEntry | None
    amounts: dict[str, int]


def _number_in(details: Details) -> int | None:
    number = details.get("attributes", {}).get(NUMBER)
    return None if number is None else int(number)


class Activation:
    """`events` are the new history, in order; `actions` what the shell is to do, in order.

    `settled`: an event has settled what was reserved of a budget.
    """

    __slots__ = ("_adopted", "actions", "events", "now_ms", "plan", "settled", "state")

    def __init__(self, state: RunState, plan: Plan, now_ms: int) -> None:
        self.state = state
        self.plan = plan
        self.now_ms = max(now_ms, state.head.last_ms)
        self.events: list[RunEvent] = []
        self.actions: list[Action] = []
        self._adopted = 0
        self.settled = False

    def record(self, kind: EventKind, **details: Unpack[Details]) -> None:
        """Append an event and apply it. `amounts` is what a step has reported; the event has what follows from it."""
        info = self.state.info
        if self.plan.units or details.get("amounts") or info.allowances:
            self._account(kind, details)
        event = RunEvent(
            run_id=info.run_id,
            incarnation=info.incarnation,
            revision=self.state.head.revision + 1,
            kind=kind,
            at_ms=self.now_ms,
            workflow=info.workflow,
            version=info.version,
            definition_digest=info.digest,
            schema_version=info.schema_version,
            logic=info.logic,
            routing_key=info.routing_key,
            opens_turn=len(self.events) == self._adopted,
            **details,
        )
        apply(self.state, event, self.plan)
        self.events.append(event)
        if self.state.freed:
            self._release()

    def _account(self, kind: EventKind, details: Details) -> None:
        told = Told(
            kind=kind,
            path=details.get("path") or "",
            reason=details.get("reason"),
            due_ms=details.get("due_ms"),
            started_at_ms=details.get("started_at_ms"),
            used=details.get("amounts", {}),
            journal=details.get("journal"),
            number=_number_in(details),
        )
        if kind in KINDS:
            details["amounts"] = amounts_of_children(self.state, told)
            self.settled = self.settled or (kind not in RESERVES and bool(details["amounts"]))
            return
        amounts = amounts_of(self.state, self.plan, told, self.now_ms)
        if self.state.head.claims and self.plan.has_journals:
            for unit, amount in amounts_of_calls(self.state, told).items():
                amounts[unit] = amounts.get(unit, 0) + amount
        details["amounts"] = amounts
        gives_back = kind not in RESERVES or not any(amounts.values())
        self.settled = self.settled or (gives_back and bool(amounts))

    def _release(self) -> None:
        """What the event has freed is given back, whoever recorded it."""
        for path, claim in self.state.freed:
            for use in claim.to_release:
                self.do(ReleaseSlot(path, claim.number, use, claim.used_of(use)))
        self.state.freed.clear()

    def adopt(self, event: RunEvent) -> None:
        """Append an event that another run had, and apply it. Before any that is recorded."""
        apply(self.state, event, self.plan)
        self.events.append(event)
        self.state.freed.clear()  # nothing was this run's
        self._adopted += 1

    def do(self, action: Action) -> None:
        """Append an action."""
        self.actions.append(action)

    def ignore(self, reason: str) -> None:
        """Nothing follows, and why."""
        self.actions.append(Ignored(reason))
