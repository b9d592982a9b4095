"""When a delivery that failed is tried again, and how long an ending notifier waits. Pure: chance comes from a key."""

import zlib
from typing import Final

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS

DELAYS_MS: Final = (
    5 * SECOND_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
)
"""Behind the first attempt, which is made at once: the schedule that Standard Webhooks 1.0 gives; 75 h in all."""

DRAIN_S: Final = 25.0
"""What an ending notifier gives messages under way: longer than a channel waits for its answer."""

PAGES_S: Final = 10.0
"""What it gives requests to its pages."""

JITTER_PERCENT = 20
"""A delay is longer by up to so much, so that what failed together does not come back together."""


def next_attempt_ms(key: str, attempt: int, now_ms: int, *, not_before_ms: int | None = None) -> int | None:
    """When to try again behind this attempt (the first is 1); None: it was the last one.

    `not_before_ms`: a delay that the receiver asks for; it is kept to where it is the longer one, up to a day.
    """
    if attempt > len(DELAYS_MS):
        return None
    delay_ms = DELAYS_MS[attempt - 1]
    delay_ms += delay_ms * (zlib.crc32(f"{key}/{attempt}".encode()) % (JITTER_PERCENT + 1)) // 100
    return now_ms + max(delay_ms, min(not_before_ms or 0, 24 * HOUR_MS))
