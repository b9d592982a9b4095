"""Delays: backoff with full jitter, drawn from the run's own identity so that a replay draws the same. Pure."""

from hashlib import blake2b

from logkeel.definitions import RetryPolicy, StepDefinition
from logkeel.records import ErrorInfo
from logkeel.runs.core.state import RunInfo, StepState

REFUSED_FIRST_MS = 1_000
REFUSED_LAST_MS = 30_000
"""How long a refused command waits before it is offered again: a worker with the version may be starting."""


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
    """How long to wait behind failure number `step.failures`; `RetryAfter` is a lower bound."""
    delay_ms = backoff_ms(policy, max(step.failures, 1), jitter(info, path, step.dispatch))
    return max(delay_ms, error.retry_after_ms or 0)


def refused_delay_ms(refusals: int) -> int:
    """Doubles from 1 s to 30 s."""
    return int(min(REFUSED_LAST_MS, REFUSED_FIRST_MS * 2 ** min(refusals, 10)))


def check_at_ms(definition: StepDefinition, step: StepState, now_ms: int) -> int:
    """When a check may tell of an attempt that nobody ended: its deadline plus the settle time (P35).

    An attempt whose start is unknown may have started just now.
    """
    started_ms = now_ms if step.started_at_ms is None else step.started_at_ms
    return max(now_ms, started_ms + (definition.timeout_ms or 0) + definition.settle_ms)


def key_expired(definition: StepDefinition, step: StepState, now_ms: int) -> bool:
    """Whether the outside system may have forgotten the key: KEYED then counts as ONCE (P35)."""
    valid_ms = definition.key_valid_for_ms
    return valid_ms is not None and now_ms - step.first_dispatched_ms >= valid_ms
