"""How often one caller may call: a bucket of calls that fills steadily. Pure: times in.

At most `MAX_CALLERS` buckets are kept; the one that was used longest ago is dropped, which is a full one by then.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from logkeel.errors import TooManyRequests

MAX_CALLERS: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at_s: float


class RateLimit:
    """`per_s` calls a second of each caller, and up to `burst` at once; 0: no limit."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = max(1, burst)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str, now_s: float) -> None:
        """Count one call. Raises `TooManyRequests` with the seconds to wait."""
        if self._per_s <= 0:
            return
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = _Bucket(self._burst, now_s)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        bucket.left = min(self._burst, bucket.left + max(0.0, now_s - bucket.at_s) * self._per_s)
        bucket.at_s = now_s
        if bucket.left < 1.0:
            wait_s = (1.0 - bucket.left) / self._per_s
            said = f"more than {self._per_s:g} calls a second come from {caller}: wait for {wait_s:.2f} s"
            raise TooManyRequests(said, retry_after_s=wait_s)
        bucket.left -= 1.0
