"""Rebuilds a run from its history, at any revision. Pure: fold(history) == state is checked with it."""

from collections.abc import Iterable

from logkeel.errors import InvariantViolation
from logkeel.records import RunEvent
from logkeel.runs.core.apply import apply
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunInfo, RunState
from logkeel.runs.core.turns import as_turn, begun


def replay(
    events: Iterable[RunEvent], plan: Plan, *, revision: int | None = None, before: RunState | None = None
) -> RunState:
    """The state behind event number `revision` (default: the last one). Events come in order, from the first on.

    `before`: of a turn of a conversation, how the former turn ended, whose kept fields it begins with.
    Raises `InvariantViolation` for a gap, a foreign event, or no event at all.
    """
    state: RunState | None = None
    for event in events:
        if revision is not None and event.revision > revision:
            break
        if state is None:
            state = begun(info_from(event, plan), before)
        elif (event.run_id, event.incarnation) != (state.info.run_id, state.info.incarnation):
            raise InvariantViolation("the history holds two runs", run_id=event.run_id)
        apply(state, event, plan)
    if state is None:
        raise InvariantViolation("the history is empty")
    return state


def info_from(first: RunEvent, plan: Plan) -> RunInfo:
    """What the first event of a history says is fixed. Raises `InvariantViolation` for any other event."""
    if first.kind != "run_started":
        raise InvariantViolation("the history does not begin with run_started", run_id=first.run_id)
    info = RunInfo(
        run_id=first.run_id,
        incarnation=first.incarnation,
        workflow=first.workflow,
        version=first.version,
        digest=first.definition_digest,
        schema_version=first.schema_version,
        logic=first.logic,
        routing_key=first.routing_key or first.run_id,
        started_at_ms=first.at_ms,
        request_id=first.request_id,
        input_digest=first.input_digest,
        conversation_id=first.conversation_id,
        deadline_ms=first.due_ms,
        attributes=first.attributes,
        origin=first.origin,
        trace=first.trace,
        parent=first.parent,
    )
    return info if first.former_revisions is None else as_turn(info, plan, first.former_revisions)
