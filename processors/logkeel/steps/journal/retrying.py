"""When a failed call is made again. Pure."""

from collections.abc import Callable

from logkeel.definitions import RetryPolicy
from logkeel.records import Effect, ErrorInfo
from logkeel.steps.journal.book import drawn
from logkeel.workflow.retry import Retry

FINAL_KINDS = frozenset({"fatal", "invalid_input", "cancelled"})


def policy_of(retry: Retry | None, effect: Effect) -> RetryPolicy:
    """As declared; by default that of steps, and for ONCE the same for what surely did not happen."""
    declared = retry or (Retry(on="not_done") if effect == "ONCE" else Retry())
    return declared.policy()


class Tries:
    """The tries of one call. `key` seeds the jitter, so that it is the call's own; `now_ms` tells the time.

    `failures`: how often it has failed in earlier executions.
    """

    def __init__(
        self, policy: RetryPolicy, effect: Effect, key: str, now_ms: Callable[[], int], *, failures: int = 0
    ) -> None:
        self._policy = policy
        self._effect = effect
        self._key = key
        self._now_ms = now_ms
        self._began_ms = now_ms()
        self.failures = failures

    def failed(self, error: ErrorInfo) -> int | None:
        """How long to wait before the next try, in milliseconds; None: it has failed for good.

        Full jitter: uniform in [0, min(maximum, initial * factor ** (failures - 1))]; `RetryAfter` is a lower bound.
        """
        self.failures += 1
        policy, surely_not_done = self._policy, error.kind == "not_done" or self._effect == "ONCE"
        if error.kind in FINAL_KINDS or self.failures >= policy.max_attempts:
            return None
        if policy.on == "not_done" and not surely_not_done:
            return None
        ceiling_ms = min(policy.maximum_ms, policy.initial_ms * policy.factor ** min(self.failures - 1, 64))
        part = int.from_bytes(drawn(self._key, str(self.failures))[:7]) / (1 << 56)
        delay_ms = max(int(part * ceiling_ms), error.retry_after_ms or 0)
        limit_ms = policy.give_up_after_ms
        taken_ms = self._now_ms() - self._began_ms
        return None if limit_ms is not None and taken_ms + delay_ms > limit_ms else delay_ms
