"""Pausing a run: it sends no commands until it is resumed. Pure.

What workers have is finished and recorded; timers, deadlines and answers count as ever, and what they lead to is held
back. So a pause costs a run nothing but time. Its children are runs of their own, and go on.
"""

from logkeel.records import PauseRun, ResumeRun
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.journal_children import begin_held
from logkeel.runs.core.moving import send_held


def pause(turn: Activation, request: PauseRun, request_id: str) -> None:
    """Hold back every step from now on. A run that is paused stays so."""
    if not _is_running(turn, request):
        return
    if turn.state.head.paused_at_ms is not None:
        turn.do(Reject("run_paused", f"run {request.run_id} is paused already"))
        return
    turn.record("run_paused", reason=request.reason, actor=request.requested_by, request_id=request_id)


def resume(turn: Activation, request: ResumeRun, request_id: str) -> None:
    """Go on: what was held back is sent, in the order in which it would have been."""
    if not _is_running(turn, request):
        return
    if turn.state.head.paused_at_ms is None:
        turn.do(Reject("run_not_paused", f"run {request.run_id} is not paused"))
        return
    turn.record("run_resumed", reason=request.reason, actor=request.requested_by, request_id=request_id)
    release(turn)


def release(turn: Activation) -> None:
    """Send what is held, in the order in which it would have been sent; nothing while that is still to be held back."""
    if turn.state.sends_nothing:
        return
    held = sorted((revision, path) for path, revision in turn.state.held.items()) if turn.state.head.held_steps else []
    for _, path in held:
        if turn.state.running and path in turn.state.held:
            send_held(turn, path)
    if turn.state.running:
        begin_held(turn)


def _is_running(turn: Activation, request: PauseRun | ResumeRun) -> bool:
    if not turn.state.running:
        turn.do(Reject("run_finished", f"run {request.run_id} has ended as {turn.state.head.status}"))
    return turn.state.running
