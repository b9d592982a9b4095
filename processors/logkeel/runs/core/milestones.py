"""What is kept of a step's failures, for runs that ask what is behind them. Part of `apply`. Pure."""

from logkeel.records import ErrorInfo, RunEvent
from logkeel.runs.core.state import Milestone, RunState

KEPT_FAILURES = 20
"""Of one step, for those who ask what failed; a step may be repeated without end."""

CODE_CHARACTERS = 100
MESSAGE_CHARACTERS = 200
"""Of a failure that is kept: so that some twenty of them, and as many bytes of paths, fit into a `RunSummary`."""


def keep_failure(state: RunState, path: str, event: RunEvent, error: ErrorInfo) -> None:
    """A step's last `KEPT_FAILURES` are kept, each in the place of the one that many before it."""
    step = state.steps[path]
    state.milestones[path, (step.failures - 1) % KEPT_FAILURES + 1] = Milestone(
        revision=event.revision,
        attempt=step.attempt,
        number=step.failures,
        code=error.code[:CODE_CHARACTERS],
        message=error.message[:MESSAGE_CHARACTERS],
    )
