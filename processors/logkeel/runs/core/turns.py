"""Turns of a conversation: runs one after the other that share their kept fields. Pure.

A kept field belongs to the conversation. To each turn it looks like a field that was written before the turn began:
what former turns have written has revisions and generations of 0 and below, counted back from the turn's own first one.
So nothing is copied or renumbered when a turn begins, and no two turns' numbers meet.
"""

from collections.abc import Iterable

from msgspec import UnsetType
from msgspec.structs import replace

from logkeel.records import FieldWrite
from logkeel.runs.core.elements import let_go
from logkeel.runs.core.places import ROOT_SCOPE
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import copied, field_value
from logkeel.runs.core.state import FieldPointer, RunInfo, RunState


def as_turn(info: RunInfo, plan: Plan, former_revisions: int) -> RunInfo:
    """The run as a turn of its conversation, whose former turns had so many revisions."""
    conversation = plan.document.conversation
    kept = () if isinstance(conversation, UnsetType) else conversation.keep
    return replace(info, former_revisions=former_revisions, kept=kept)


def is_kept(kept: Iterable[str], scope: str, name: str) -> bool:
    """Whether a pointer belongs to the conversation: that of the state itself, not of a branch or an inner workflow."""
    return scope == ROOT_SCOPE and name in kept


def shifted(pointer: FieldPointer, by: int) -> FieldPointer:
    """A pointer whose numbers are counted from another beginning."""
    generation = None if pointer.generation is None else pointer.generation + by
    return replace(pointer, revision=pointer.revision + by, generation=generation)


def kept_writes(state: RunState, plan: Plan) -> tuple[FieldWrite, ...]:
    """What a turn has left of kept fields, as writes that a conversation may begin with."""
    found: list[FieldWrite] = []
    for name in sorted(state.info.kept):
        if (ROOT_SCOPE, name) in state.fields:
            found += copied(field_value(state, plan, name), plan.fields[name], whole=True)
    return tuple(found)


def leave_kept(state: RunState) -> bool:
    """The turn has ended: what open branches wrote to fields of kept names goes, since nobody will join it.

    Whether there was any: the turn cannot go on without it.
    """
    kept = state.info.kept
    unjoined = [key for key in state.fields if key[0] != ROOT_SCOPE and key[1] in kept] if kept else []
    for scope, name in unjoined:
        let_go(state, name, state.fields.pop((scope, name)))
    return bool(unjoined)


def begun(info: RunInfo, before: RunState | None) -> RunState:
    """The state of a turn before its first event, given how the former one ended.

    For replays and tests: the engine shares the rows.
    """
    if before is None:
        return RunState(info)
    kept, back = info.kept, (before.info.former_revisions or 0) - (info.former_revisions or 0)
    return RunState(
        info,
        fields={key: shifted(pointer, back) for key, pointer in before.fields.items() if is_kept(kept, *key)},
        values={(name, number + back): value for (name, number), value in before.values.items() if name in kept},
        elements={
            (name, number + back, position): row
            for (name, number, position), row in before.elements.items()
            if name in kept
        },
        positions={
            (name, number + back, key): position
            for (name, number, key), position in before.positions.items()
            if name in kept
        },
    )
