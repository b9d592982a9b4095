"""Commands for the tests of workers."""

from logkeel.log import TopicPartition
from logkeel.records import Effect, StepCommand, StepIdentity

SOURCE = TopicPartition("commands", 0)


def command(
    number: int, *, effect: Effect = "IDEMPOTENT", dispatch: int = 1, not_after_ms: int | None = None
) -> StepCommand:
    """Step `number` of its own run."""
    identity = StepIdentity(
        run_id=f"run-{number}", incarnation="i", path="flow/charge", step="charge", attempt=1, dispatch=dispatch
    )
    return StepCommand(
        identity=identity,
        workflow="payments",
        version="1",
        definition_digest="d",
        routing_key=identity.run_id,
        home_partition=0,
        effect=effect,
        idempotency_key=f"key-{number}",
        revision=1,
        dispatched_at_ms=0,
        not_after_ms=not_after_ms,
    )
