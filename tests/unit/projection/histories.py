"""Histories of one run, written by hand: `Told` numbers the events and lets time pass."""

from typing import Any

from logkeel.projection import Projection, RunView
from logkeel.projection.projection import fold
from logkeel.records import EventKind, FieldReference, FieldWrite, Payload, RunEvent

T0 = 1_700_000_000_000
HOUR_MS = 3_600_000


def json_write(field: str, text: str) -> FieldWrite:
    """A payload field gets this JSON text."""
    return FieldWrite(field=field, payload=Payload(encoding="json", data=text.encode()))


class Told:
    """A history that is told event by event, one second apart; it begins with the start of the run."""

    def __init__(self, run_id: str = "r", **details: Any) -> None:
        self.run_id = run_id
        self.history: list[RunEvent] = []
        self.now_ms = T0
        self.tell("run_started", **details)

    def tell(self, kind: EventKind, path: str | None = None, **details: Any) -> RunEvent:
        """The next event."""
        event = RunEvent(
            run_id=self.run_id,
            incarnation="0-0-0",
            revision=len(self.history) + 1,
            kind=kind,
            at_ms=self.now_ms,
            workflow="work",
            version="1",
            definition_digest="digest",
            path=path,
            **details,
        )
        self.history.append(event)
        self.now_ms += 1_000
        return event

    def ask(self, path: str = "approve", **details: Any) -> RunEvent:
        """A human is asked to approve the report that stands at revision 2."""
        known: dict[str, Any] = {
            "reason": "Publish it?",
            "actor": "editors",
            "due_ms": self.now_ms + 48 * HOUR_MS,
            "attributes": {"allow": "approve,edit,reject", "writes": "decision", "answer": "report", "shows": "report"},
            "reads": (FieldReference(field="report", revision=2),),
        }
        return self.tell("question_asked", path, **{**known, **details})

    @property
    def view(self) -> RunView:
        """The run as it is now."""
        return fold(self.history)

    @property
    def projection(self) -> Projection:
        """A projection that knows this run only."""
        return projected(self)


def projected(*told: Told) -> Projection:
    """A projection of these runs."""
    projection = Projection()
    for each in told:
        for event in each.history:
            projection.apply(event)
    return projection
