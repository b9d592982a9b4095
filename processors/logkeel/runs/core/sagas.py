"""Sagas: what there is to undo, in which order, and what an undo step gets to see. Pure.

The undo step of `pay/charge` stands at `pay/charge/undo`. What it reads is kept beside the state, in a scope of its
own, from the dispatch and the success of the step that it undoes: a later round of a loop does not change it.

A region is the path of a block ("": the run) whose sagas are undone before what was to follow follows (`Deferred`).
"""

from collections.abc import Iterator

from logkeel.records import FieldValue, FieldWrite
from logkeel.records.combining import COMBINING_OPERATIONS
from logkeel.runs.core.paths import below, is_under, static
from logkeel.runs.core.places import PlacedStep
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import field_value
from logkeel.runs.core.state import Deferred, FieldPointer, RunState, StepState
from logkeel.runs.core.undo_paths import kept_scope, undo_path

AT_WORK = ("dispatched", "started")


def region_key(region: str) -> str:
    """Where a region that is being undone stands among the waits; no block can have this path."""
    return f"{region}#undo"


def region_of(state: RunState, path: str) -> str | None:
    """The region that is being undone and has this path in it."""
    if not state.head.open_undos:
        return None
    for key, wait in state.waits.items():
        region = key.removesuffix("#undo")
        if wait.kind == "undo" and (not region or path == region or is_under(path, region)):
            return region
    return None


def is_ending(state: RunState, plan: Plan, path: str) -> bool:
    """Whether the step was under way when its saga failed: it may end, and is undone then."""
    return bool(state.head.open_undos) and not plan.steps[path].undoes and region_of(state, path) is not None


def concerned(state: RunState, plan: Plan, region: str, then: Deferred) -> tuple[str, ...]:
    """The open sagas that are to be undone before this may follow.

    Not those that a loop is left out of, and on cancel not those that say so.
    """
    found = []
    own = state.waits.get(region)
    for path, wait in [*below(state.waits, region), *([] if own is None else [(region, own)])]:
        if wait.kind != "saga" or (then.kind == "leave" and is_under(then.path, path)):
            continue
        stays = plan.sagas[path].block.on_cancel == "leave" and then.status == "cancelled"
        if not stays or region_of(state, path) is not None:
            found.append(path)
    return tuple(sorted(found))


def steps_of(state: RunState, plan: Plan, sagas: tuple[str, ...]) -> Iterator[tuple[str, StepState]]:
    """The steps of these sagas that have an undo step."""
    seen: set[str] = set()
    for saga in sagas:
        for path, step in below(state.steps, saga):
            if path not in seen and static(path) in plan.undoable:
                seen.add(path)
                yield path, step


def needs_undo(step: StepState, plan: Plan, path: str) -> bool:
    """Whether it has had its effect, or nobody knows. One that is at work ends first."""
    match step.phase:
        case "done" | "in_doubt" | "suspended" | "dispatched" | "started":
            return True
        case _:
            journaled = plan.steps[path].definition.journaled is True
            return step.effect_since_ms is not None or step.effect_unknown or journaled


def is_undone(state: RunState, path: str) -> bool:
    """Whether its undo step has ended."""
    undo = state.steps.get(undo_path(path))
    return undo is not None and not undo.is_open


def is_busy(state: RunState, path: str, step: StepState) -> bool:
    """Whether it is at work still, or its undo step is."""
    undo = undo_path(path)
    known = state.steps.get(undo)
    return step.phase in AT_WORK or (known is not None and known.is_open) or undo in state.held


def keep_inputs(state: RunState, plan: Plan, placed: PlacedStep) -> None:
    """Keep what the undo step reads of what the step reads, as it is now. What the step itself writes is not known."""
    written = {write.field for write in placed.definition.writes}
    for name in plan.steps[undo_path(placed.path)].definition.reads:
        value = field_value(state, plan, name, placed.reading) if name not in written else None
        if value is not None and not value.elements:
            state.fields[kept_scope(placed.path), name] = _pointer(value)


def keep_writes(state: RunState, plan: Plan, placed: PlacedStep, writes: tuple[FieldWrite, ...], revision: int) -> None:
    """Keep what the undo step reads of what the step has written."""
    reads = plan.steps[undo_path(placed.path)].definition.reads
    for write in writes:
        if write.field in reads and (write.operation == "replace" or write.operation in COMBINING_OPERATIONS):
            state.fields[kept_scope(placed.path), write.field] = FieldPointer(
                revision=revision, is_control=write.is_control, control=write.control, payload=write.payload
            )


def _pointer(value: FieldValue) -> FieldPointer:
    """The value itself: what it points at may go."""
    return FieldPointer(
        revision=value.revision, is_control=value.is_control, control=value.control, payload=value.payload
    )
