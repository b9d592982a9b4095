"""When a schedule is due: a cron expression in a time zone, or every so often. The only room that imports cronsim.

The same for the same arguments and time zone data; no clock is asked. Times are whole seconds, milliseconds since the
epoch, and strictly increasing. Daylight saving is treated as Debian's cron does, for expressions of five fields whose
minute and hour do not begin with a star: what falls into the hour that is left out is due right behind it, what falls
into the hour that comes twice is due once, the first time. All others follow the clock on the wall: nothing in the hour
that is left out, and twice in the one that comes twice. `every_ms` knows no time zones: multiples of it since the
epoch.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

SECOND_MS = 1_000

OVERLAP_MS = 3 * 3_600_000
"""No time zone has put its clocks back by more: so far before a time that was found backwards, none is missed."""

LAST_YEAR = 2200
"""No due time is looked for beyond it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """`cron` has five fields, or six with seconds in front; else there is `every_ms`."""

    cron: str | None = None
    every_ms: int | None = None
    timezone: str = "UTC"


def problem_of(rhythm: Rhythm) -> str | None:
    """What is wrong with it, in a sentence; None if it will be due."""
    if (rhythm.cron is None) == (rhythm.every_ms is None):
        return "a schedule has either a cron expression or an interval"
    if rhythm.every_ms is not None:
        whole = rhythm.every_ms >= SECOND_MS and rhythm.every_ms % SECOND_MS == 0
        return None if whole else f"an interval is a whole number of seconds, not {rhythm.every_ms} ms"
    try:
        _zone(rhythm.timezone)
    except (KeyError, ValueError, OSError):
        return f"{rhythm.timezone!r} is no time zone of this system"
    try:
        found = next_due(rhythm, 0)
    except CronSimError as error:
        return f"{rhythm.cron!r} is no cron expression: {error}"
    return None if found is not None else f"{rhythm.cron!r} is never due"


def due_text(at_ms: int) -> str:
    """A due time as runs are named by it: UTC, to the second."""
    return f"{_EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%dT%H:%M:%SZ}"


def next_due(rhythm: Rhythm, after_ms: int) -> int | None:
    """The first due time after that one; None if there is none any more."""
    return next(due_times(rhythm, after_ms), None)


def due_times(rhythm: Rhythm, after_ms: int) -> Iterator[int]:
    """Due times after that one, in order."""
    if rhythm.every_ms is not None:
        at_ms = after_ms - after_ms % rhythm.every_ms
        while True:
            at_ms += rhythm.every_ms
            yield at_ms
    last_ms = after_ms
    for found in _cron(rhythm, after_ms):
        at_ms = _milliseconds(found)
        if found.year > LAST_YEAR:
            return
        if at_ms > last_ms:
            last_ms = at_ms
            yield at_ms


def newest_due(rhythm: Rhythm, after_ms: int, until_ms: int, count: int) -> list[int]:
    """The newest `count` due times in (after_ms, until_ms], the oldest of them first."""
    if count <= 0 or until_ms <= after_ms:
        return []
    if rhythm.every_ms is not None:
        last_ms = until_ms - until_ms % rhythm.every_ms
        first_ms = max(last_ms - (count - 1) * rhythm.every_ms, after_ms + rhythm.every_ms - after_ms % rhythm.every_ms)
        return list(range(first_ms, last_ms + 1, rhythm.every_ms))
    # Backwards only to know where to begin: what is due is always found forwards, so that it is the same.
    backwards = islice(_cron(rhythm, until_ms + SECOND_MS, reverse=True), count + 1)
    begin_ms = min((_milliseconds(found) for found in backwards), default=after_ms)
    newest: deque[int] = deque(maxlen=count)
    for at_ms in due_times(rhythm, max(after_ms, begin_ms - OVERLAP_MS)):
        if at_ms > until_ms:
            break
        newest.append(at_ms)
    return list(newest)


def _cron(rhythm: Rhythm, from_ms: int, *, reverse: bool = False) -> Iterator[datetime]:
    try:
        zone = _zone(rhythm.timezone)
        yield from CronSim(rhythm.cron or "", (_EPOCH + timedelta(milliseconds=from_ms)).astimezone(zone), reverse)
    except OverflowError:
        return


def _milliseconds(found: datetime) -> int:
    return int((found - _EPOCH) / timedelta(milliseconds=1))


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
