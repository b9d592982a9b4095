"""A ForkRun: its history decoded and checked, and the run that begins from it. Reads and writes rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from logkeel.errors import LogkeelError
from logkeel.exactly_once import Turn
from logkeel.log import Record
from logkeel.records import ForkRun, RunEvent
from logkeel.runs.core import forking
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import info_from
from logkeel.runs.processor.identity import Identified, incarnation_of
from logkeel.runs.processor.starting import as_fields
from logkeel.runs.processor.turn_taking import TurnTaking
from logkeel.runs.rows.ledger import Ledger
from logkeel.runs.rows.run_rows import load_run, new_run
from logkeel.wire import decode_as


@dataclass(frozen=True, slots=True)
class Fork:
    """A request to begin from a history, which is empty if this version cannot read it."""

    request: ForkRun
    history: Sequence[RunEvent]

    @property
    def version(self) -> str | None:
        """The version that the new run gets: the one that was asked for, else that of the history."""
        return self.request.version or (self.history[0].version if self.history else None)


def read_fork(request: ForkRun) -> Fork:
    """The request, its history decoded."""
    try:
        return Fork(request, [decode_as(data, RunEvent) for data in request.history])
    except LogkeelError:
        return Fork(request, [])


def begin(
    record: Record, what: Identified, fork: Fork, plan: Plan, turn: Turn, turns: TurnTaking
) -> Activation | Reject:
    """The new run with its first events, or why there is none."""
    request, history = fork.request, fork.history
    if load_run(turn, what.run_id) is not None:
        return Reject("run_id_taken", f"run {what.run_id!r} exists; choose another run id")
    if not history:
        return Reject("history_unreadable", "the history is empty, or of a version that this engine does not read")
    if history[0].workflow != request.workflow:
        return Reject("history_does_not_fit", f"the history is of a run of {history[0].workflow!r}")
    identity = {"run_id": what.run_id, "request_id": what.request_id, "incarnation": incarnation_of(record)}
    events = forking.adopted(history, plan, request, **identity)
    edits = as_fields(plan, request.edits)
    problem = forking.fork_problem(events, plan, edits)
    if problem is not None:
        return problem
    taken = turns.problem(plan, request, turn)
    if taken is not None:
        return taken
    events = forking.moved(events, turn.now_ms)
    info = info_from(events[0], plan)
    turns.begin(info, plan, turn)
    Ledger(turn).open_run(info.run_id)
    activation = Activation(new_run(turn, info), plan, turn.now_ms)
    forking.fork(activation, events, request, edits)
    return activation
