"""Delays: backoff with full jitter, drawn from the run's own identity so that a replay draws the same. Pure."""

from hashlib import blake2b

from logkeel.definitions import RetryPolicy, StepDefinition
from logkeel.records import ErrorInfo
from logkeel.runs.core.state import RunInfo, StepState

REFUSED_FIRST_MS = 1_000
REFUSED_LAST_MS = 30_000
"""How long a refused command waits before it is offered again: a worker with the version may be starting."""

NOT_STARTED_AGAIN_MS = 1_000
"""A command that came back too late is offered again no sooner: a worker's fast clock would give it back at once."""

START_HEARD_MS = 3_000
"""A start within its limit is heard of so much later: the claim before it may take 2 s, and the first heartbeat comes

after 1 s (P25). Sooner, a step that runs would be taken for unstarted.
"""


def jitter(info: RunInfo, path: str, number: int) -> float:
    """A number in [0, 1), fixed for (run, incarnation, path, number)."""
    seed = f"{info.run_id}\x00{info.incarnation}\x00{path}\x00{number}".encode()
    return int.from_bytes(blake2b(seed, digest_size=8).digest()[:7]) / (1 << 56)


def backoff_ms(policy: RetryPolicy, failures: int, drawn: float) -> int:
    """Full jitter: uniform in [0, min(maximum, initial * factor ** (failures - 1))], `drawn` being the uniform part."""
    # The exponent is bounded, so that a policy without a limit of attempts cannot overflow a float.
    ceiling_ms = min(policy.maximum_ms, policy.initial_ms * policy.factor ** min(failures - 1, 64))
    return int(drawn * ceiling_ms)


def retry_delay_ms(info: RunInfo, path: str, step: StepState, policy: RetryPolicy, error: ErrorInfo) -> int:
    """How long to wait behind failure number `step.failures` (less those forgiven); `RetryAfter` is a lower bound."""
    delay_ms = backoff_ms(policy, max(step.failures - step.forgiven, 1), jitter(info, path, step.dispatch))
    return max(delay_ms, error.retry_after_ms or 0)


def refused_delay_ms(refusals: int) -> int:
    """Doubles from 1 s to 30 s."""
    return int(min(REFUSED_LAST_MS, REFUSED_FIRST_MS * 2 ** min(refusals, 10)))


def check_at_ms(definition: StepDefinition, step: StepState, now_ms: int) -> int:
    """When a check may tell of an attempt that nobody ended: its deadline plus the settle time (P35).

    It had started when the engine first heard of it, or now if it never did: the worker's word for its start is that of
    another clock. One that was itself to check begins its time at `check_not_before_ms`, not earlier.
    """
    heard_ms = now_ms if step.heard_ms is None else step.heard_ms
    started_ms = max(heard_ms, step.check_not_before_ms or 0)
    return max(now_ms, started_ms + (definition.timeout_ms or 0) + definition.settle_ms)


def key_expires_ms(definition: StepDefinition, step: StepState) -> int | None:
    """From when on the outside system may have forgotten a key that may have reached it; KEYED then counts as ONCE.

    None: never, or no execution can have used the key yet (P35).
    """
    if definition.effect != "KEYED" or definition.key_valid_for_ms is None or step.effect_since_ms is None:
        return None
    return step.effect_since_ms + definition.key_valid_for_ms


def key_expired(definition: StepDefinition, step: StepState, now_ms: int) -> bool:
    """Whether the key may be forgotten by now."""
    expires_ms = key_expires_ms(definition, step)
    return expires_ms is not None and now_ms >= expires_ms


def start_limit_ms(definition: StepDefinition, step: StepState) -> int | None:
    """The author's schedule-to-start limit, counted from the attempt's first dispatch; None: no limit."""
    limit_ms = definition.schedule_to_start_ms
    return None if limit_ms is None else step.scheduled_ms + limit_ms


def not_after_ms(definition: StepDefinition, step: StepState) -> int | None:
    """After which time no worker may start the command any more: it would be too late, or the key forgotten."""
    limits = (start_limit_ms(definition, step), key_expires_ms(definition, step))
    return min((limit for limit in limits if limit is not None), default=None)


def start_deadline_ms(definition: StepDefinition, step: StepState) -> int | None:
    """When a step that has not been heard of has not been started, given its limit; None: no limit."""
    limit_ms = start_limit_ms(definition, step)
    return None if limit_ms is None else limit_ms + START_HEARD_MS
