"""A run of one step with a journal, and what its worker sends, for tests of the run core."""

from typing import Any

from msgspec.structs import replace
from tests.unit.runs.scripts import T0, flow_of, identity, plan_of, started, step_block, text

from logkeel.records import (
    AnswerQuestion,
    Effect,
    FieldWrite,
    JournalEntry,
    RunEvent,
    StepJournaled,
    StepSuspended,
    WaitKind,
)
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState


def journaled_plan(*names: str) -> Plan:
    """One step after the other, all with a journal."""
    plain = plan_of(flow_of(*(step_block(name) for name in names or ("a",))))
    steps = tuple(replace(step, journaled=True) for step in plain.document.steps)
    return Plan(replace(plain.document, steps=steps), "digest")


def call(
    position: str = "0", state: str = "done", *, name: str = "model", effect: Effect | None = None
) -> JournalEntry:
    """An entry of a call."""
    writes = (text("result", f"of {position}"),) if state == "done" else ()
    return JournalEntry(
        name=name,
        ordinal=0,
        state=state,  # type: ignore[arg-type]  # tests pass literals
        position=position,
        writes=writes,
        at_ms=T0,
        effect=effect,
    )


def wait(kind: WaitKind, position: str = "0", *, name: str = "go", due_ms: int | None = None) -> JournalEntry:
    """The beginning of a wait."""
    return JournalEntry(
        name=name, ordinal=0, state="intent", position=position, at_ms=T0, due_ms=due_ms, waits_for=kind
    )


def question(position: str = "0", *, due_ms: int | None = None) -> JournalEntry:
    """The beginning of a question."""
    allow = FieldWrite(field="allow", is_control=True, control="approve,edit")
    return replace(wait("question", position, name="May I?", due_ms=due_ms), writes=(allow, text("show", "this")))


def approval(path: str = "a?0", verb: str = "approve", **more: Any) -> AnswerQuestion:
    """A human's answer."""
    assignee = "bob" if verb == "delegate" else None
    return AnswerQuestion(run_id="r", path=path, verb=verb, answered_by="ada", assignee=assignee, **more)


def entry_sent(state: RunState, entry: JournalEntry, path: str = "a", *, dispatch: int | None = None) -> StepJournaled:
    """The worker's record of it."""
    return StepJournaled(identity=identity(state, path, dispatch=dispatch), holder="w", entry=entry)


def suspended(state: RunState, *positions: str, path: str = "a", dispatch: int | None = None) -> StepSuspended:
    """All code waits."""
    return StepSuspended(identity=identity(state, path, dispatch=dispatch), holder="w", waits=positions)


class Life:
    """One run, its turns and its history; after each turn the history is the state."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or journaled_plan()
        self.now_ms = T0
        self.turn = started(self.plan)
        self.history: list[RunEvent] = list(self.turn.events)

    @property
    def state(self) -> RunState:
        """As it is."""
        return self.turn.state

    def next(self, *, after_ms: int = 1_000) -> Activation:
        """A turn."""
        self.now_ms += after_ms
        self.turn = Activation(self.state, self.plan, self.now_ms)
        return self.turn

    def kept(self) -> list[str]:
        """The turn is over; the kinds of its events."""
        self.history += self.turn.events
        assert replay(self.history, self.plan) == self.state
        return [event.kind for event in self.turn.events]
