"""What the end of a child run leads to (P29). Pure. An end that nobody waits for changes nothing."""

from typing import Literal

from logkeel.records import ChildCompleted, ErrorInfo, FieldWrite
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.moving import fail, go_to
from logkeel.runs.core.places import PlacedChild
from logkeel.runs.core.reading import copied

MESSAGE_CHARACTERS = 2_000
"""Of a child's error: it is told again in every generation, each time with the names of the one below."""


def ended(turn: Activation, message: ChildCompleted) -> None:
    """A child has ended: the block goes on with its result, or fails as `child_failed`."""
    path, wait = message.path, turn.state.waits.get(message.path)
    if message.incarnation != turn.state.info.incarnation:
        turn.ignore("another incarnation")
        return
    if not turn.state.running or wait is None or wait.kind != "child" or wait.number != message.number:
        turn.ignore("nobody waits for this child any more")
        return
    placed = turn.plan.children[path]
    error = None if message.status == "succeeded" else _error(message, placed)
    turn.record(
        "child_ended",
        path=path,
        name=message.child_run_id,
        status=message.status,
        writes=_writes(turn, message, placed),
        error=error,
        attributes={"descendants": str(message.descendants)},
    )
    if error is None:
        go_to(turn, placed.after, path)
    else:
        fail(turn, path, error, f"the child run of {path} did not succeed")


def _writes(turn: Activation, message: ChildCompleted, placed: PlacedChild) -> tuple[FieldWrite, ...]:
    block = placed.block
    if message.status != "succeeded" or block.writes is None:
        return ()
    value = next((each for each in message.result if each.field == block.returns), None)
    return copied(value, turn.plan.fields_at(placed.root)[block.writes], whole=False)


def _error(message: ChildCompleted, placed: PlacedChild) -> ErrorInfo:
    known = message.error
    why = message.status if known is None else f"{message.status}: {known.code}: {known.message}"
    text = f"run {message.child_run_id} of workflow {placed.block.workflow!r} has ended as {why}"
    kind: Literal["timeout", "fatal"] = "timeout" if message.status == "timed_out" else "fatal"
    return ErrorInfo(code="child_failed", kind=kind, message=text[:MESSAGE_CHARACTERS])
