"""Starts that wait for their turn in a conversation: begun when it comes, or cancelled before it.

See docs/conversations.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from logkeel.exactly_once import Turn
from logkeel.log import Record
from logkeel.records import StartRun
from logkeel.runs.core.actions import Reject
from logkeel.runs.processor.definitions import Definitions
from logkeel.runs.processor.identity import Identified
from logkeel.runs.processor.timer_ids import NEXT_TURN
from logkeel.runs.processor.turn_taking import TurnTaking
from logkeel.runs.rows.conversation_rows import Conversations, name, read_name


class Begin(Protocol):
    """Handles a start whose turn has come."""

    def __call__(self, record: Record, what: Identified, request: StartRun, turn: Turn, *, is_next: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Handling:
    """What is done about requests: by whoever handles all of them."""

    identify: Callable[[Record], Identified]
    begin: Begin
    reject: Callable[[Identified, Reject, Turn], None]
    refuse: Callable[[Record, str, str, Turn], None]


class WaitingTurns:
    """The lines of all conversations of a partition; each start is handled in a turn of its own (P21)."""

    def __init__(self, turns: TurnTaking, definitions: Definitions, handling: Handling) -> None:
        self._turns = turns
        self._definitions = definitions
        self._handling = handling

    def next_turn(self, tail: bytes, turn: Turn) -> None:
        """Have the start that waits longest in a conversation handled."""
        rows, (workflow, conversation) = Conversations(turn), read_name(tail)
        waiting = rows.first(workflow, conversation)
        if waiting is None:
            rows.started(workflow, conversation)
            return
        record = waiting.request.record(turn.partition)
        what = self._handling.identify(record)
        request = what.request
        if isinstance(request, StartRun) and self._definitions.find(request.workflow, request.version) is None:
            # An engine that has just begun: it is called again when what is published has been read.
            return
        rows.take(workflow, conversation)
        turn.set_wakeup(turn.now_ms + 1, NEXT_TURN + tail)
        if self._turns.was_heard(waiting, turn):
            reason = f"the running turn, run {waiting.joined}, has taken this message"
            self._handling.reject(what, Reject("conversation_joined", reason), turn)
        elif isinstance(request, StartRun):
            self._handling.begin(record, what, request, turn, is_next=True)

    def refuse_next(self, tail: bytes, code: str, message: str, turn: Turn) -> None:
        """A start that waited and raised: it is taken all the same, and its sender hears of it."""
        rows, (workflow, conversation) = Conversations(turn), read_name(tail)
        waiting = rows.first(workflow, conversation)
        if waiting is not None:
            rows.take(workflow, conversation)
            self._handling.refuse(waiting.request.record(turn.partition), code, message, turn)
        turn.set_wakeup(turn.now_ms + 1, NEXT_TURN + tail)

    def wake(self, turn: Turn) -> None:
        """Set the wake-ups of conversations whose next turn is to start."""
        for workflow, conversation in Conversations(turn).to_start():
            turn.set_wakeup(turn.now_ms, NEXT_TURN + name(workflow, conversation))

    def cancel(self, run_id: str, conversation: str, turn: Turn) -> bool:
        """Take a start out of its line, and tell its sender; whether there was one."""
        found = Conversations(turn).cancel_waiting(
            conversation, lambda parked: self._handling.identify(parked.record(turn.partition)).run_id == run_id
        )
        if found is None:
            return False
        what = self._handling.identify(found.record(turn.partition))
        self._handling.reject(what, Reject("cancelled", "cancelled before its turn began"), turn)
        return True
