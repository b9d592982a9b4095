"""Due timers and leases that ran out. Pure. A timer that does not fit the step any more is ignored (P23)."""

from logkeel.definitions import HumanBlock, SignalBlock, StepDefinition
from logkeel.records import ErrorInfo
from logkeel.runs.core.actions import RevokeStep
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.doubt import in_doubt, lost
from logkeel.runs.core.failing import end_unsure, fail_run
from logkeel.runs.core.flow import complete, dispatch, leave_waiting, not_started_in_time
from logkeel.runs.core.journals import wait_timed_out
from logkeel.runs.core.moving import fail, go_to, limit_over
from logkeel.runs.core.questions import no_answer
from logkeel.runs.core.state import StepState, WaitState


def step_due(turn: Activation, path: str, number: int) -> None:
    """A waiting step goes on: retry, check, or another offer."""
    step = _step(turn, path, number)
    if step is None or step.phase != "waiting":
        turn.ignore("the step does not wait")
        return
    dispatch(turn, path)


def journal_wait_due(turn: Activation, path: str, position: str) -> None:
    """A wait of a step's code has come to its end: a sleep is over, a signal or an answer has not come."""
    step = turn.state.steps.get(path)
    wait = turn.state.journal_waits.get((path, position))
    if not turn.state.running or step is None or not step.is_open or wait is None:
        turn.ignore("nothing of the step waits for it")
        return
    wait_timed_out(turn, path, position)


def lease_over(turn: Activation, path: str) -> None:
    """Nothing was heard of the holder for the heartbeat time-out."""
    step = turn.state.steps.get(path)
    if not turn.state.running or step is None or step.phase not in ("dispatched", "started"):
        turn.ignore("the step has no holder")
        return
    lost(turn, path, f"nothing was heard of {step.holder or 'its holder'} for its heartbeat time-out")


def start_deadline_over(turn: Activation, path: str, number: int) -> None:
    """The author's schedule-to-start limit: no worker has begun. Ending the run revokes the command (P36)."""
    step = _step(turn, path, number)
    if step is None or step.phase != "dispatched":
        turn.ignore("the step has started")
        return
    error = not_started_in_time(path)
    if not end_unsure(turn, path, error.message):
        fail_run(turn, path, error)


def command_aged(turn: Activation, path: str, *, forgotten: bool) -> None:
    """Nothing was heard of the command since long, and its topic will forget it (P25); `forgotten`: it has by now.

    That is no proof that it was not started: its worker may have died within the second before the first heartbeat. So
    only a step that may run twice is sent anew in time. Any other one is left to the log, where the claim of whoever
    reads it guards it (P31); once the log cannot deliver it any more, it is in doubt.
    """
    step = turn.state.steps.get(path)
    if not turn.state.running or step is None or step.phase != "dispatched":
        turn.ignore("no command waits")
        return
    repeatable = _may_run_twice(turn.plan.steps[path].definition)
    if not repeatable and not forgotten:
        turn.ignore("the log still has the command, and only its own claim may start it")
        return
    if end_unsure(turn, path, "it waits for too long"):
        return
    leave_waiting(turn, path, step)
    turn.record("step_released", path=path, step=step.step, dispatch=step.dispatch, reason="aged")
    turn.do(RevokeStep(path, step.dispatch, "waits for too long"))
    if repeatable:
        dispatch(turn, path)
    else:
        in_doubt(turn, path, "no worker has answered before the log forgot the command")


def _may_run_twice(definition: StepDefinition) -> bool:
    """Whether a second execution does no harm, however late it comes: not of code, whose calls may be of any kind."""
    if definition.journaled is True:
        return False
    if definition.effect == "KEYED":
        return definition.key_valid_for_ms is None
    return definition.effect in ("NONE", "IDEMPOTENT")


def wait_due(turn: Activation, path: str, number: int) -> None:
    """A sleep is over, a signal did not come, nobody has answered, or the time of a block is over."""
    wait = turn.state.waits.get(path)
    if not turn.state.running or wait is None or wait.number != number:
        turn.ignore("nothing waits there any more")
        return
    if wait.due_ms is None or wait.due_ms > turn.now_ms:
        turn.ignore("its deadline was moved")
    elif wait.kind == "within":
        limit_over(turn, path)
    else:
        _over(turn, path, wait)


def _over(turn: Activation, path: str, wait: WaitState) -> None:
    placed = turn.plan.waits[path]
    if isinstance(placed.block, HumanBlock):
        no_answer(turn, path, wait, placed.block)
        return
    is_signal = isinstance(placed.block, SignalBlock)
    turn.record("wait_ended", path=path, name=wait.name or "sleep", reason="timed out" if is_signal else "due")
    if isinstance(placed.block, SignalBlock) and placed.block.on_timeout == "fail":
        message = f"no signal {placed.block.name!r} has come to {path} in time"
        error = ErrorInfo(code="signal_timed_out", kind="timeout", message=message)
        fail(turn, path, error, f"no signal has come to {path}")
    else:
        go_to(turn, placed.after, path)


def run_deadline_over(turn: Activation) -> None:
    """The run has taken too long."""
    if not turn.state.running:
        turn.ignore("the run has ended")
        return
    error = ErrorInfo(code="run_timed_out", kind="timeout", message="the run did not end by its deadline")
    complete(turn, "timed_out", error, reason="the run's deadline has passed")


def _step(turn: Activation, path: str, number: int) -> StepState | None:
    step = turn.state.steps.get(path)
    return step if step is not None and step.dispatch == number and turn.state.running else None
