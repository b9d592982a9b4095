"""Tallies of a time window of one workflow, or of one of its steps. Pure.

An event may come again, since Faust processes at least once. Each tally therefore has the offset of the last event of
its partition that it counted (`through`) in the same row, and passes over any other up to that one: the row as a whole
is the set of the events up to an offset, written once. Nothing is counted that does not stand in such a row.
"""

import msgspec

from logkeel.records import RunEvent

_RESERVES = frozenset({"step_dispatched", "step_resumed"})
"""Kinds whose `amounts` are reserved; of other kinds of steps they count as used, as in `logkeel_used_total`."""


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of a step (`step`), or of the runs of the workflow (`step` empty), from `start_ms` on for one window.

    `ended` counts ends by outcome: succeeded, failed (attempts of a step), or the statuses of runs. Durations are those
    of ends whose beginning is known: `timed` many, `total_ms` together, at most `max_ms`. `used` by unit.
    """

    workflow: str
    step: str
    start_ms: int
    through: int = -1
    started: int = 0
    ended: dict[str, int] = {}
    timed: int = 0
    total_ms: int = 0
    max_ms: int = 0
    used: dict[str, int] = {}


def window_start(at_ms: int, window_ms: int) -> int:
    """The beginning of the window that a time lies in."""
    return at_ms - at_ms % window_ms


def is_counted(event: RunEvent) -> bool:
    """Whether a tally changes by it."""
    kinds = ("run_started", "run_completed", "step_dispatched", "step_succeeded", "step_failed")
    return event.kind in kinds or _settles(event)


def counted(tally: Tally, event: RunEvent, offset: int, *, run_started_ms: int | None) -> Tally:
    """The tally with this event, which stands at `offset`; as it was, if it has counted that already."""
    if offset <= tally.through:
        return tally
    tally = msgspec.structs.replace(tally, through=offset)
    match event.kind:
        case "run_started" | "step_dispatched":
            return msgspec.structs.replace(tally, started=tally.started + 1)
        case "run_completed":
            tally = _ended(tally, event.status or "other", event.at_ms, run_started_ms)
        case "step_succeeded" | "step_failed":
            tally = _ended(tally, event.kind.removeprefix("step_"), event.at_ms, event.started_at_ms)
        case _:
            pass
    if not _settles(event):
        return tally
    used = dict(tally.used)
    for unit, amount in event.amounts.items():
        used[unit] = used.get(unit, 0) + amount
    return msgspec.structs.replace(tally, used=used)


def _settles(event: RunEvent) -> bool:
    return bool(event.amounts) and event.kind.startswith("step_") and event.kind not in _RESERVES


def _ended(tally: Tally, outcome: str, at_ms: int, since_ms: int | None) -> Tally:
    ended = {**tally.ended, outcome: tally.ended.get(outcome, 0) + 1}
    if since_ms is None:
        return msgspec.structs.replace(tally, ended=ended)
    took_ms = max(0, at_ms - since_ms)
    return msgspec.structs.replace(
        tally,
        ended=ended,
        timed=tally.timed + 1,
        total_ms=tally.total_ms + took_ms,
        max_ms=max(tally.max_ms, took_ms),
    )
