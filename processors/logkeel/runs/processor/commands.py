"""From a dispatched step to its command: key and limits. Pure. The inputs were read when the core dispatched it."""

from hashlib import blake2b
from math import gcd

from logkeel.log.partitioner import partition_for
from logkeel.records import StepCommand, StepIdentity
from logkeel.runs.core.actions import DispatchStep
from logkeel.runs.core.places import PlacedStep
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunInfo, RunState
from logkeel.runs.core.timing import not_after_ms

CANDIDATES_PER_PARTITION = 32
"""Keys tried until one hashes to the wanted partition: all of them miss it once in 10^13."""


def command_of(
    state: RunState, plan: Plan, action: DispatchStep, *, partition: int, details: bytes | None
) -> StepCommand:
    """The command of the step as it stands: dispatched."""
    path = action.path
    info, step, placed = state.info, state.steps[path], plan.steps[path]
    definition = placed.definition
    return StepCommand(
        identity=StepIdentity(
            run_id=info.run_id,
            incarnation=info.incarnation,
            path=path,
            step=definition.name,
            attempt=step.attempt,
            dispatch=step.dispatch,
        ),
        workflow=info.workflow,
        version=info.version,
        definition_digest=info.digest,
        routing_key=info.routing_key,
        home_partition=partition,
        effect=definition.effect,
        idempotency_key=idempotency_key(info, path, restarts=step.restarts),
        revision=state.head.revision,
        dispatched_at_ms=step.dispatched_ms,
        timeout_ms=definition.timeout_ms,
        max_attempts=definition.retry.max_attempts,
        not_after_ms=not_after_ms(definition, step),
        inputs=action.inputs,
        check_first=step.check_first,
        check_not_before_ms=step.check_not_before_ms,
        heartbeat_details=details,
        trace=info.trace,
        run_summary=action.summary,
        journal=action.journal,
        journal_since_ms=step.first_dispatched_ms if definition.journaled is True else None,
        key_valid_for_ms=definition.key_valid_for_ms,
    )


def idempotency_key(info: RunInfo, path: str, *, restarts: int = 0) -> str:
    """From run, incarnation and step path; the same over attempts, another one for another occurrence (P30).

    Code that begins anew makes other calls at the positions of those before, so its keys are others.
    """
    path = f"{path}\x00{restarts}" if restarts else path
    identity = f"{info.run_id}\x00{info.incarnation}\x00{path}".encode()
    return f"lk-{blake2b(identity, digest_size=16).hexdigest()}"


def command_key(info: RunInfo, placed: PlacedStep, *, refusals: int, partitions: int) -> bytes:
    """The record key: the routing key, and inside a fork the path, so that branches spread over the workers.

    A worker that lacks the version gets the same partition again and again, so each refusal moves the command to
    another one of `partitions`, and to each of them in turn (P38): somewhere a member of the queue may have it. If the
    command topic has another count, the way is a random one.
    """
    key = f"{info.routing_key}/{placed.path}".encode() if placed.scopes else info.routing_key.encode()
    if not refusals or partitions == 1:
        return key
    wanted = (partition_for(key, partitions) + refusals * _stride(partitions)) % partitions
    candidates = (b"%s/%d" % (key, number) for number in range(CANDIDATES_PER_PARTITION * partitions))
    return next((candidate for candidate in candidates if partition_for(candidate, partitions) == wanted), key)


def _stride(partitions: int) -> int:
    """How far apart partitions are that come up one after the other: neighbours belong to one member, mostly.

    The golden section spreads any number of them evenly; without a common divisor none is left out.
    """
    return next(step for step in range(max(1, round(0.618 * partitions)), 0, -1) if gcd(step, partitions) == 1)
