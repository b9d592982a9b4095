"""Who may speak in a conversation: a start that comes while a turn is running waits, is refused, interrupts or joins.

Does what the definition says (`logkeel.definitions.Conversation`). All of a conversation is on one partition, so one
transaction ends a turn and says that the next one is to begin.
"""

from msgspec import UnsetType

from logkeel.definitions import Conversation
from logkeel.exactly_once import Turn
from logkeel.records import CancelRun, ForkRun, SignalRun, StartRun
from logkeel.runs.core import requests as core
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunInfo, RunState
from logkeel.runs.core.turns import as_turn
from logkeel.runs.processor.carrying import Carrier
from logkeel.runs.processor.definitions import Definitions
from logkeel.runs.processor.identity import Identified
from logkeel.runs.rows.conversation_rows import Conversations, WaitingTurn
from logkeel.runs.rows.ledger import Ledger, ParkedRequest
from logkeel.runs.rows.run_rows import load_run


def conversation_of(plan: Plan) -> Conversation | None:
    """What the definition says of conversations; None for a workflow whose runs are no turns."""
    found = plan.document.conversation
    return None if isinstance(found, UnsetType) else found


class TurnTaking:
    """Decides about starts of one application."""

    def __init__(self, carrier: Carrier, definitions: Definitions) -> None:
        self._carrier = carrier
        self._definitions = definitions

    def admit(
        self,
        what: Identified,
        request: StartRun,
        conversation: Conversation,
        parked: ParkedRequest,
        turn: Turn,
        *,
        is_next: bool,
    ) -> Reject | bool:
        """Whether the turn may begin now; False: it has been put in line, or given to the running one.

        `request` names its conversation. `is_next`: it has waited, and nobody is before it.
        """
        rows, workflow, identity = Conversations(turn), request.workflow, request.conversation_id or ""
        row = rows.find(workflow, identity)
        running = row.running
        if not row.is_busy or (is_next and running is None):
            return True
        if conversation.on_busy == "reject":
            return Reject("conversation_busy", f"conversation {identity!r} is busy with run {running}: try again later")
        if conversation.on_busy == "interrupt" and running is not None:
            self._cancel(running, what, turn)
            return True
        if conversation.on_busy == "join" and running is not None and conversation.joins is not None:
            self._join(running, conversation.joins, what, parked, turn)
        else:
            rows.wait(workflow, identity, WaitingTurn(request=parked))
        return False

    def begin(self, info: RunInfo, plan: Plan, turn: Turn) -> RunInfo:
        """The run as a turn, which begins now; the run itself if it is none."""
        if conversation_of(plan) is None or info.conversation_id is None:
            return info
        rows = Conversations(turn)
        rows.begin(info.workflow, info.conversation_id, info.run_id)
        return as_turn(info, plan, rows.find(info.workflow, info.conversation_id).revisions)

    def problem(self, plan: Plan, request: ForkRun, turn: Turn) -> Reject | None:
        """Why no conversation can begin with this fork; None if one can, or if the run is no turn."""
        identity = request.routing_key
        if conversation_of(plan) is None or identity is None:
            return None
        row = Conversations(turn).find(request.workflow, identity)
        if not row.is_busy and not row.revisions:
            return None
        return Reject("conversation_taken", f"conversation {identity!r} has begun already; choose another id")

    def was_followed(self, state: RunState, turn: Turn) -> bool:
        """Whether this turn, which has ended, cannot go on: others have begun since, or wait to begin."""
        if state.info.former_revisions is None:
            return False
        return not Conversations(turn).is_last(state.info, state.head.ended_revision)

    def begin_again(self, info: RunInfo, turn: Turn) -> None:
        """The last turn goes on behind its end, if this is one."""
        if info.former_revisions is not None:
            Conversations(turn).begin_again(info)

    def was_heard(self, waiting: WaitingTurn, turn: Turn) -> bool:
        """Whether the turn that it was given to has taken it; else it is a turn of its own."""
        if waiting.joined is None:
            return False
        state = load_run(turn, waiting.joined)
        return state is None or waiting.signal not in state.signals

    def _cancel(self, running: str, what: Identified, turn: Turn) -> None:
        activation = self._activation(running, turn)
        if activation is not None:
            reason = f"interrupted by the next turn, run {what.run_id}"
            request = CancelRun(run_id=running, reason=reason, requested_by=what.run_id)
            core.cancel(activation, request, what.request_id)
            self._carrier.carry_out(activation, turn)

    def _join(self, running: str, name: str, what: Identified, parked: ParkedRequest, turn: Turn) -> None:
        """The message becomes a signal, and waits all the same: the turn may end without having looked at it."""
        activation, request = self._activation(running, turn), what.request
        if activation is None or not isinstance(request, StartRun):
            return
        payload = next((each.payload for each in request.inputs if each.field == name), None)
        signal = SignalRun(run_id=running, name=name, payload=payload, sent_by=what.run_id, trace=request.trace)
        core.signal(activation, signal, what.request_id)
        revision = next(event.revision for event in activation.events if event.kind == "signal_received")
        waiting = WaitingTurn(request=parked, joined=running, signal=revision)
        info = activation.state.info
        # Before the turn is carried out, which may be its end.
        Conversations(turn).wait(info.workflow, info.conversation_id or "", waiting)
        self._carrier.carry_out(activation, turn)

    def _activation(self, run_id: str, turn: Turn) -> Activation | None:
        state = load_run(turn, run_id)
        if state is None or not state.running:
            return None
        return Activation(state, self._definitions.of_run(state.info, Ledger(turn)), turn.now_ms)
