"""How long a step may take, in its several senses. Values only; names are those of Temporal and of our definitions."""

from dataclasses import dataclass

from logkeel.workflow.durations import Duration, to_milliseconds

DEFAULT_TIMEOUT = "60s"
DEFAULT_HEARTBEAT_TIMEOUT_MS = 10_000

SHORTEST_HEARTBEAT_TIMEOUT_MS = 5_000
"""Workers send a heartbeat every 2 s (P25), so two of them may be lost or late."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """Limits of a step. `timeout="30s"` is short for `timeout=Timeout("30s")`.

    `attempt` bounds one execution, counted from the worker's own start of it (P25); None must be written out: no limit.
    `schedule_to_start` bounds how long an attempt may wait for a worker, counted from its first dispatch; when it is
    over, no worker starts it any more and the run fails with `not_started_in_time`. `heartbeat`: a worker that is not
    heard of for so long counts as lost, and the effect says what follows (P32). Raises ValueError for values out of
    range.
    """

    attempt: Duration | None = DEFAULT_TIMEOUT
    schedule_to_start: Duration | None = None
    heartbeat: Duration | None = None

    def __post_init__(self) -> None:
        if self.attempt_ms == 0:
            raise ValueError("a time-out of 0 lets nothing run; write None for no limit")
        if self.schedule_to_start_ms == 0:
            raise ValueError("schedule_to_start of 0 lets nothing start; leave it out for no limit")
        if self.heartbeat_ms < SHORTEST_HEARTBEAT_TIMEOUT_MS:
            raise ValueError(f"heartbeat is at least 5s, since workers send one every 2 s, not {self.heartbeat!r}")

    @property
    def attempt_ms(self) -> int | None:
        """`attempt` in milliseconds."""
        return None if self.attempt is None else to_milliseconds(self.attempt)

    @property
    def schedule_to_start_ms(self) -> int | None:
        """`schedule_to_start` in milliseconds."""
        return None if self.schedule_to_start is None else to_milliseconds(self.schedule_to_start)

    @property
    def heartbeat_ms(self) -> int:
        """`heartbeat` in milliseconds; by default 10 s."""
        return DEFAULT_HEARTBEAT_TIMEOUT_MS if self.heartbeat is None else to_milliseconds(self.heartbeat)
