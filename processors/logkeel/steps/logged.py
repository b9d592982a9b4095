"""What a worker tells the log of each execution: when it begins, and what came of it (docs/observability.md)."""

import structlog

from logkeel.records import StepFailed, StepRefused, StepReleased, StepSucceeded, StepSuspended
from logkeel.records.tracing import trace_id_of_command
from logkeel.steps.attempt import Attempt
from logkeel.steps.execution import Outcome
from logkeel.steps.observing import Unwatched

log = structlog.get_logger("logkeel.worker", role="worker")

PUT_BACK = "put_back"
"""Of an execution whose claim was too old: nothing was called, and it begins again."""


def outcome_of(outcome: Outcome | None) -> str:
    """What became of an execution, in one word out of eight."""
    match outcome:
        case None:
            return PUT_BACK
        case StepSucceeded():
            return "succeeded"
        case StepFailed(in_doubt=True):
            return "in_doubt"
        case StepFailed():
            return "failed"
        case StepSuspended():
            return "suspended"
        case StepReleased():
            return "released"
        case StepRefused():
            return "refused"
        case _:
            return "needs_state"


class LoggedSteps(Unwatched):
    """One line at the start and one at the end of every execution."""

    def began(self, attempt: Attempt) -> None:
        """It begins."""
        log.info("step_started", **_place(attempt))

    def ended(self, attempt: Attempt, outcome: Outcome | None, now_ms: int) -> None:
        """It ended; `error` is the code of its failure, else null."""
        log.info(
            "step_ended",
            **_place(attempt),
            outcome=outcome_of(outcome),
            ms=now_ms - attempt.started_at_ms,
            error=outcome.error.code if isinstance(outcome, StepFailed) else None,
        )


def _place(attempt: Attempt) -> dict[str, str | int]:
    command, source = attempt.command, attempt.start.source
    identity = command.identity
    return {
        "run_id": identity.run_id,
        "workflow": command.workflow,
        "step": identity.step,
        "path": identity.path,
        "attempt": identity.attempt,
        "dispatch": identity.dispatch,
        "topic": source.topic,
        "partition": source.partition,
        "offset": attempt.start.offset,
        "trace_id": trace_id_of_command(command),
    }
