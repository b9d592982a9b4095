"""Records between engines about child runs (P29): asked at the child's home, answered at the parent's. Pure.

Each hop is one more transaction, of the engine that reads it.
"""

from msgspec.structs import replace

from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.records import CancelRun, ChildCompleted, ErrorInfo, FieldValue, Parent, StartRun
from logkeel.records.topics import TopicNames
from logkeel.runs.core.actions import CancelChild, StartChild
from logkeel.runs.core.state import RunState
from logkeel.wire import encode

KNOWN = "-"
"""Stands for the incarnation of a child that had begun and is not known any more."""


def start_output(action: StartChild, names: TopicNames, *, partition: int, partitions: int) -> OutputRecord:
    """The child's start, to its home; `partition` is the parent's, which the answer goes to."""
    request, parent = action.request, action.request.parent
    if parent is not None:
        request = replace(request, parent=replace(parent, home_partition=partition))
    return _request(request.run_id or "", encode(request), names, partitions)


def cancel_output(action: CancelChild, names: TopicNames, *, parent_run_id: str, partitions: int) -> OutputRecord:
    """The child's cancel, to its home, behind its start."""
    request = CancelRun(
        run_id=action.run_id,
        request_id=f"{action.run_id}/cancel" + ("" if action.life is None else f"/{action.life}"),
        reason=f"its parent run {parent_run_id} waits for it no more: {action.reason}",
        requested_by=parent_run_id,
    )
    return _request(action.run_id, encode(request), names, partitions)


def ended_output(
    state: RunState, result: tuple[FieldValue, ...], names: TopicNames, parent: Parent | None = None
) -> OutputRecord | None:
    """The word for the parent of a run that has ended; None if nobody waits for it. `parent`: that asks anew."""
    info, head, parent = state.info, state.head, parent or state.parent
    if parent is None or parent.detached:
        return None
    message = ChildCompleted(
        run_id=parent.run_id,
        incarnation=parent.incarnation,
        path=parent.path,
        number=parent.number,
        child_run_id=info.run_id,
        child_incarnation=info.incarnation,
        status=head.status,
        result=result,
        error=head.error,
        descendants=head.descendants,
        used={each.unit: _spent(state, each.unit) for each in parent.budget},
    )
    return _answer(parent, message, names)


def refused_output(request: StartRun, run_id: str, error: ErrorInfo, names: TopicNames) -> OutputRecord | None:
    """The word for the parent of a run that was not accepted; None if nobody waits for it."""
    parent = request.parent
    if parent is None or parent.detached:
        return None
    message = ChildCompleted(
        run_id=parent.run_id,
        incarnation=parent.incarnation,
        path=parent.path,
        number=parent.number,
        child_run_id=run_id,
        # What had begun is never taken for what has not.
        child_incarnation=KNOWN if parent.again else None,
        status="failed",
        error=error,
        used={each.unit: 0 for each in parent.budget},
    )
    return _answer(parent, message, names)


def _spent(state: RunState, unit: str) -> int:
    account = state.head.accounts.get(unit)
    return 0 if account is None else account.spent + account.reserved


def _request(run_id: str, value: bytes, names: TopicNames, partitions: int) -> OutputRecord:
    key = run_id.encode()
    return OutputRecord(names.run_requests, key, value, partition_for(key, partitions))


def _answer(parent: Parent, message: ChildCompleted, names: TopicNames) -> OutputRecord:
    return OutputRecord(names.step_results, parent.run_id.encode(), encode(message), parent.home_partition)
