"""Words between a run and a limit that it keeps to (P29): asked at the limit's home, answered at the run's.

A limit is named by `kind`, `name` and `key`. Who asks is named by run, incarnation and `path` ("": the run itself), its
claim by `number`, the revision at which it asked: a later claim of the same path has a larger one.
"""

from typing import Literal

import msgspec

from logkeel.records.values import ErrorInfo

LimitKind = Literal["concurrency", "rate", "budget"]


class AcquireLimit(msgspec.Struct, frozen=True, kw_only=True):
    """On run-requests, at the home of the limit: a run asks for a slot, and waits for it.

    `limit`: how many there may be at once, or within `per_ms` if it is a rate. Of a budget `amount` is to be reserved;
    with `or_fail` it is refused once the rest is too small, instead of waiting until the window frees some.
    """

    kind: LimitKind
    name: str
    key: str
    limit: int
    run_id: str
    incarnation: str
    path: str
    number: int
    home_partition: int
    per_ms: int | None = None
    amount: int | None = None
    or_fail: bool = False


class ReleaseLimit(msgspec.Struct, frozen=True, kw_only=True):
    """On run-requests, at the home of the limit, behind its AcquireLimit: the claim has ended, granted or not.

    `used`: what counts as used of the amount that was reserved of a budget.
    """

    kind: LimitKind
    name: str
    key: str
    run_id: str
    incarnation: str
    path: str
    number: int
    used: int | None = None


class LimitAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """On step-results, at the home of the run: the claim has the slot until it is released; with `error`: never."""

    run_id: str
    incarnation: str
    path: str
    number: int
    kind: LimitKind
    name: str
    key: str
    error: ErrorInfo | None = None


LimitRequest = AcquireLimit | ReleaseLimit
