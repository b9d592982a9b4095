"""What the events of sagas and their undoing do to the state. Part of `apply`. Pure."""

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import RunEvent
from logkeel.runs.core.changing import arrive, begin_wait, end_saga, end_wait, free, path_of, unhold
from logkeel.runs.core.paths import below
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.sagas import concerned, region_key
from logkeel.runs.core.state import BlockEnd, Deferred, RunState, WaitState
from logkeel.runs.core.undo_paths import UNDO


def entered(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A saga is open from now on."""
    path = path_of(event)
    begin_wait(state, path, WaitState(kind="saga", number=event.revision, since_ms=event.at_ms))
    arrive(state, plan.sagas[path].first, path)


def left(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Its body has succeeded."""
    path = path_of(event)
    end_saga(state, path)
    arrive(state, plan.sagas[path].after, path)


def undo_started(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Nothing else goes on in this region; what was being undone in it belongs to it from now on."""
    region = path_of(event)
    then = deferred(event)
    sagas = concerned(state, plan, region, then)
    for path, wait in below(state.waits, region):
        if wait.kind != "saga":
            end_wait(state, path)
    own = state.waits.get(region)
    if own is not None and own.kind == "within":
        state.waits[region] = replace(own, due_ms=None)
    for path, _ in below(state.held, region) if state.head.held_steps else ():
        if not path.endswith(f"/{UNDO}"):
            unhold(state, path)
    for path, _ in below(state.claims, region) if state.head.claims else ():
        step = state.steps.get(path)
        if not path.endswith(f"/{UNDO}") and (step is None or not step.is_open):
            free(state, path)
    wait = WaitState(kind="undo", number=event.revision, since_ms=event.at_ms, sagas=sagas, then=then)
    begin_wait(state, region_key(region), wait)


def undo_ended(state: RunState, event: RunEvent, plan: Plan) -> None:
    """All that was to be undone is; the sagas are closed."""
    key = region_key(path_of(event))
    wait = state.waits.get(key)
    if wait is None:
        raise InvariantViolation(f"{key} is not being undone", run_id=state.info.run_id)
    end_wait(state, key)
    for saga in wait.sagas:
        end_saga(state, saga)
    state.head.block_end = BlockEnd("undo", path_of(event), event.revision)


def deferred(event: RunEvent) -> Deferred:
    """What follows when all is undone."""
    return Deferred(
        kind=event.name or "end",  # type: ignore[arg-type]  # written by `undoing.begin`
        path=event.attributes.get("at", ""),
        error=event.error,
        reason=event.reason,
        status=event.status,
    )
