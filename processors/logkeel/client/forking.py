"""What a fork means as a request record. Pure: ids come in.

The request carries the history of the other run, up to the end of a turn: the engine keeps rows of a run for a week
only, and on the partition of that run. So what one record holds is the limit of a fork.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from logkeel.errors import InvalidInput, RecordTooLarge
from logkeel.records import FieldWrite, ForkRun, Origin, RunEvent
from logkeel.records.limits import MAX_RECORD_BYTES
from logkeel.records.turns import turn_end
from logkeel.wire import encode


@dataclass(frozen=True, slots=True)
class NewConversation:
    """The conversation that the fork of a turn begins. `kept`: what the turns before it had left of kept fields."""

    conversation_id: str
    kept: tuple[FieldWrite, ...] = ()


def cut(history: Sequence[RunEvent], at: int | None = None) -> tuple[RunEvent, ...]:
    """The history up to the end of the turn in which revision `at` is; None: all of it.

    Raises `InvalidInput` for a history that is empty or does not begin with the first event, and for a revision that it
    does not have.
    """
    if not history or history[0].revision != 1:
        said = "is empty" if not history else f"lacks what came before revision {history[0].revision}"
        raise InvalidInput(f"the history {said}; it may not be kept any more, and no run can begin from the rest")
    last = history[-1].revision
    end = turn_end(history, last if at is None else at)
    if end is None:
        run_id = history[0].run_id
        raise InvalidInput(f"run {run_id} has revisions 1 to {last}, and no {at}: see logkeel run history {run_id}")
    return tuple(history[:end])


def fork_request(
    history: Sequence[RunEvent],
    *,
    run_id: str,
    request_id: str,
    edits: tuple[FieldWrite, ...] = (),
    version: str | None = None,
    reason: str | None = None,
) -> ForkRun:
    """The request for a run that begins from `history`, which `cut` gave."""
    first, last = history[0], history[-1]
    return ForkRun(
        run_id=run_id,
        workflow=first.workflow,
        origin=Origin(run_id=first.run_id, incarnation=first.incarnation, revision=last.revision),
        request_id=request_id,
        version=version,
        history=tuple(encode(event) for event in history),
        edits=edits,
        reason=reason,
    )


def in_conversation(request: ForkRun, talk: NewConversation) -> ForkRun:
    """The same for a turn: the new run is the first one of this conversation."""
    return replace(request, routing_key=talk.conversation_id, kept=talk.kept)


def carried(request: ForkRun) -> ForkRun:
    """The request, if one record can carry it. Raises `RecordTooLarge`."""
    size_bytes, origin = len(encode(request)), request.origin.run_id
    if size_bytes > MAX_RECORD_BYTES:
        raise RecordTooLarge(
            f"{len(request.history)} events of run {origin} have {size_bytes} bytes; a fork carries at most"
            f" {MAX_RECORD_BYTES}. Fork at an earlier revision, or start a new run from what logkeel run state says",
            size=size_bytes,
        )
    return request
