"""What a conversation had left before one of its turns, rebuilt from the histories of the turns before it."""

from collections.abc import Callable, Iterable, Sequence

from logkeel.cli.recordings import Recording
from logkeel.client import NewConversation
from logkeel.errors import InvalidInput
from logkeel.records import FieldWrite, RunEvent
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState
from logkeel.runs.core.turns import kept_writes


def new_talk(
    conversation: str | None,
    turn: Sequence[RunEvent],
    histories: Iterable[Sequence[RunEvent]],
    document_of: Callable[[RunEvent], bytes],
) -> NewConversation | None:
    """The conversation that a fork of this turn begins; None for a run that is no turn.

    `histories`: of all runs, from which those of the turns before are taken. Raises `InvalidInput` if an id is missing
    or not wanted, and if a turn before is not kept.
    """
    first = turn[0]
    if first.former_revisions is None:
        if conversation is not None:
            raise InvalidInput(f"run {first.run_id} is no turn of a conversation: leave --conversation out")
        return None
    if conversation is None:
        raise InvalidInput(
            f"run {first.run_id} is a turn: its fork is another conversation, --conversation ID says which"
        )
    return NewConversation(conversation, _left_before(first, histories, document_of))


def _left_before(
    first: RunEvent, histories: Iterable[Sequence[RunEvent]], document_of: Callable[[RunEvent], bytes]
) -> tuple[FieldWrite, ...]:
    before: RunState | None = None
    plan: Plan | None = None
    revisions = 0
    for events in sorted(_turns_before(first, histories), key=lambda each: each[0].former_revisions or 0):
        if events[0].revision != 1 or events[0].former_revisions != revisions:
            break
        plan = Recording(document_of(events[0]), tuple(events)).plan()
        before = replay(events, plan, before=before)
        revisions += before.head.ended_revision
    if revisions != first.former_revisions:
        raise InvalidInput(
            f"the turns before {first.run_id} are not on the log any more, so what they had left is not known;"
            f" begin a new conversation with what logkeel run state {first.run_id} says"
        )
    return () if before is None or plan is None else kept_writes(before, plan)


def _turns_before(first: RunEvent, histories: Iterable[Sequence[RunEvent]]) -> Iterable[Sequence[RunEvent]]:
    for events in histories:
        one = events[0]
        is_turn = (one.workflow, one.conversation_id) == (first.workflow, first.conversation_id)
        if is_turn and one.former_revisions is not None and one.former_revisions < (first.former_revisions or 0):
            yield events
