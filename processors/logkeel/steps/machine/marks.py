"""The metadata beside a worker's committed offset (P31). Pure.

    committed offset   L: every command below it has an acknowledged answer or first heartbeat on step-results
    metadata           started=<S>[ holder=<slot>/<incarnation> since=<D>[ left]]

`S` is the highest offset whose command may have been started, -1 for none; for one that may run twice the mark follows
its start, within the commit interval. `holder` wrote the mark; it started at most the commands in (D, S], those up to D
are inherited from holders before it. `left`: it gave the partition up in order, and had read what holders before it may
have started, so nothing above S was started. Without that word it may have gone before its mark could follow.
`topics apply` writes `started=-1`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_FORM = re.compile(r"started=(-?\d+)(?: holder=([^ /]+)/([^ ]+) since=(-?\d+)( left)?)?")


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker process: its slot (`group.instance.id`) and which life of the process it is."""

    slot: str
    incarnation: str

    def __str__(self) -> str:
        return f"{self.slot}/{self.incarnation}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A parsed start mark."""

    started: int
    holder: Holder | None = None
    since: int = -1
    left: bool = False

    def encode(self) -> str:
        """The metadata string."""
        if self.holder is None:
            return f"started={self.started}"
        return f"started={self.started} holder={self.holder} since={self.since}{' left' if self.left else ''}"

    @property
    def unannounced(self) -> bool:
        """Whether the holder may have started commands above the mark: it has not said that it left."""
        return self.holder is not None and not self.left


@lru_cache(maxsize=256)
def parse_mark(metadata: str) -> Mark | None:
    """The mark in `metadata`; None when there is none, which means doubt, never freshness."""
    found = _FORM.fullmatch(metadata)
    if found is None:
        return None
    started, slot, incarnation, since, left = found.groups()
    if slot is None:
        return Mark(int(started))
    return Mark(int(started), Holder(slot, incarnation), int(since), left is not None)
