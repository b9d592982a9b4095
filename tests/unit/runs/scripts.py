"""Definitions and inputs for tests of the run core, and a pure world that answers commands."""

from collections.abc import Collection, Iterable

from msgspec import UNSET

from logkeel.definitions import (
    Block,
    FieldDefinition,
    RetryPolicy,
    SequenceBlock,
    StepBlock,
    StepDefinition,
    WorkflowDocument,
    WriteDefinition,
    inner_blocks,
)
from logkeel.records import (
    Effect,
    ErrorInfo,
    FieldWrite,
    Payload,
    StartRun,
    StepFailed,
    StepHeartbeat,
    StepIdentity,
    StepReclaimed,
    StepReleased,
    StepSucceeded,
)
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.starting import info_of, start
from logkeel.runs.core.state import RunState

T0 = 1_700_000_000_000


def step_block(name: str) -> StepBlock:
    """The step `name` as a block."""
    return StepBlock(id=name, step=name)


def flow_of(*blocks: Block, block_id: str = "flow") -> SequenceBlock:
    """A sequence."""
    return SequenceBlock(id=block_id, blocks=blocks)


def plan_of(
    flow: Block,
    *,
    effects: dict[str, Effect] | None = None,
    retry: RetryPolicy | None = None,
    limits: dict[str, int | None] | None = None,
    asking: Collection[str] = (),
    returns: tuple[str, ...] = (),
) -> Plan:
    """A plan in which every step `x` reads and writes the field `x`; `topic` is the input.

    The steps of `asking` look at what the run has behind it. The last field is returned unless `returns` says more.
    """
    names = sorted(set(_names(flow)))
    steps = tuple(
        StepDefinition(
            name=name,
            effect=(effects or {}).get(name, "IDEMPOTENT"),
            reads=("topic",),
            writes=(WriteDefinition(field=name),),
            retry=retry or RetryPolicy(),
            timeout_ms=60_000,
            run_summary=True if name in asking else UNSET,
            **(limits or {}),  # type: ignore[arg-type]  # tests pass numbers only
        )
        for name in names
    )
    fields = (FieldDefinition(name="topic", required=True), *(FieldDefinition(name=name) for name in names))
    document = WorkflowDocument(
        name="work",
        version="1",
        schema_version=1,
        fields=fields,
        steps=steps,
        flow=flow,
        returns=returns or (names[-1],),
    )
    return Plan(document, "digest")


def _names(block: Block) -> Iterable[str]:
    if isinstance(block, StepBlock):
        yield block.step
    for each in inner_blocks(block):
        yield from _names(each)


def text(field: str, value: str) -> FieldWrite:
    """A write of JSON text."""
    return FieldWrite(field=field, payload=Payload(encoding="json", data=f'"{value}"'.encode()))


def started(plan: Plan, *, request: StartRun | None = None) -> Activation:
    """A run that has just been accepted."""
    request = request or StartRun(workflow="work", run_id="r", inputs=(text("topic", "kafka"),))
    info = info_of(request, plan, run_id="r", request_id="q", incarnation="0-0-0", now_ms=T0)
    turn = Activation(RunState(info), plan, T0)
    start(turn, request, request.inputs)
    return turn


def identity(state: RunState, path: str, *, dispatch: int | None = None) -> StepIdentity:
    """The execution of the step as it stands."""
    step = state.steps[path]
    return StepIdentity(
        run_id="r",
        incarnation="0-0-0",
        path=path,
        step=step.step,
        attempt=step.attempt,
        dispatch=step.dispatch if dispatch is None else dispatch,
    )


def succeeded(state: RunState, path: str, *, dispatch: int | None = None) -> StepSucceeded:
    """It returned, and wrote its field."""
    name = state.steps[path].step
    return StepSucceeded(
        identity=identity(state, path, dispatch=dispatch),
        holder="w",
        started_at_ms=T0,
        finished_at_ms=T0,
        writes=(text(name, f"by {path}"),),
    )


def failed(
    state: RunState, path: str, kind: str = "retryable", *, in_doubt: bool = False, dispatch: int | None = None
) -> StepFailed:
    """It raised."""
    error = ErrorInfo(code="boom", message="it broke", kind=kind)  # type: ignore[arg-type]  # tests pass literals
    return StepFailed(
        identity=identity(state, path, dispatch=dispatch),
        holder="w",
        started_at_ms=T0,
        finished_at_ms=T0,
        error=error,
        in_doubt=in_doubt,
    )


def heartbeat(state: RunState, path: str, details: bytes | None = None) -> StepHeartbeat:
    """It is alive."""
    return StepHeartbeat(identity=identity(state, path), holder="w", started_at_ms=T0, details=details)


def reclaimed(state: RunState, path: str, *, holder_dead: bool = False) -> StepReclaimed:
    """Somebody asks about it."""
    return StepReclaimed(identity=identity(state, path), holder="v", holder_dead=holder_dead)


def released(state: RunState, path: str, *, was_started: bool) -> StepReleased:
    """It was given back."""
    return StepReleased(identity=identity(state, path), holder="w", was_started=was_started)
