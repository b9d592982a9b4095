"""What the end of a child run leads to (P29). Pure. An end that nobody waits for changes nothing."""

from logkeel.records import ChildCompleted, FieldWrite
from logkeel.runs.core import journal_children
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.child_errors import child_error
from logkeel.runs.core.moving import fail, go_to
from logkeel.runs.core.paths import is_in_code
from logkeel.runs.core.places import PlacedChild
from logkeel.runs.core.reading import copied


def ended(turn: Activation, message: ChildCompleted) -> None:
    """A child has ended: the block goes on with its result, or fails as `child_failed`."""
    path, wait = message.path, turn.state.waits.get(message.path)
    if message.incarnation != turn.state.info.incarnation:
        turn.ignore("another incarnation")
        return
    if is_in_code(path):
        journal_children.ended(turn, message)
        return
    if not turn.state.running or wait is None or wait.kind != "child" or wait.number != message.number:
        journal_children.settle_late(turn, message)
        return
    placed = turn.plan.children[path]
    error = None if message.status == "succeeded" else child_error(message, placed.block.workflow)
    turn.record(
        "child_ended",
        path=path,
        name=message.child_run_id,
        status=message.status,
        writes=_writes(turn, message, placed),
        error=error,
        attributes=journal_children.end_facts(turn, message),
        amounts=message.used,
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
