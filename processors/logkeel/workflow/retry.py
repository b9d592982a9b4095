"""How failed attempts of a step are repeated. Values only."""

from dataclasses import dataclass
from typing import Literal

from msgspec import UNSET

from logkeel.definitions import RetryPolicy
from logkeel.workflow.durations import Duration, to_milliseconds


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with full jitter: before attempt n + 1, wait up to min(maximum, initial * factor ** (n - 1)).

    `give_up_after` bounds all attempts together, counted from the first start. `on="not_done"` retries only what raised
    `NotDone`: any other failure ends the run. A `ONCE` step accepts nothing else (P35). A worker that died is no failed
    attempt and does not count here. Raises ValueError for values out of range.
    """

    max_attempts: int = 3
    initial: Duration = "500ms"
    factor: float = 2.0
    maximum: Duration = "60s"
    give_up_after: Duration | None = None
    on: Literal["any", "not_done"] = "any"

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts is at least 1, not {self.max_attempts}")
        if self.factor < 1:
            raise ValueError(f"factor is at least 1, not {self.factor}")
        if self.policy().maximum_ms < self.policy().initial_ms:
            raise ValueError(f"maximum ({self.maximum}) is below initial ({self.initial})")

    def policy(self) -> RetryPolicy:
        """The same as data of a definition."""
        return RetryPolicy(
            max_attempts=self.max_attempts,
            initial_ms=to_milliseconds(self.initial),
            factor=float(self.factor),
            maximum_ms=to_milliseconds(self.maximum),
            give_up_after_ms=None if self.give_up_after is None else to_milliseconds(self.give_up_after),
            on="not_done" if self.on == "not_done" else UNSET,
        )
