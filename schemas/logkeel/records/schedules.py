"""Words for and from schedules: on `run-requests` at the schedule's home, and on `run-events` what became of them.

A schedule is named by `name`; its home is the partition of that name, as a run's is. Its runs have the name as their
routing key, so that they are at home there, too.
"""

from typing import Literal

import msgspec

from logkeel.records.values import FieldWrite

Overlap = Literal["skip", "queue", "cancel", "allow"]
ScheduleVerb = Literal["pause", "resume", "delete", "trigger", "backfill"]
ScheduleEventKind = Literal[
    "put", "paused", "resumed", "deleted", "started", "skipped", "missed", "cancelled", "ended", "other"
]
"""`other`: a kind that this reader is too old to know. Nobody writes it."""


class PutSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """Make a schedule, or change it: from now on it is this. The same once more changes nothing.

    `cron` in `timezone`, or `every_ms`. `overlap`: what becomes of a due time while a former run goes on. `backfill`:
    how many due times that were missed, the newest ones, are made up for. `declared_version`: it comes with this
    version of the workflow, and counts only while that is the newest.
    """

    name: str
    workflow: str
    cron: str | None = None
    every_ms: int | None = None
    timezone: str = "UTC"
    overlap: Overlap = "skip"
    backfill: int = 0
    inputs: tuple[FieldWrite, ...] = ()
    input_digest: str | None = None
    declared_version: str | None = None
    request_id: str | None = None
    requested_by: str | None = None


class SteerSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """Pause, resume or delete a schedule, or have it start a run now (trigger), or those of a former time (backfill).

    `from_ms` and `until_ms`, both included, belong to a backfill.
    """

    name: str
    verb: ScheduleVerb
    request_id: str | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    reason: str | None = None
    requested_by: str | None = None


class ScheduleStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it is. `running`: runs that are not known to have ended; `waiting`: how many due times wait."""

    workflow: str
    cron: str | None = None
    every_ms: int | None = None
    timezone: str = "UTC"
    overlap: Overlap = "skip"
    backfill: int = 0
    paused: bool = False
    next_ms: int | None = None
    running: tuple[str, ...] = ()
    waiting: int = 0


class ScheduleEvent(msgspec.Struct, frozen=True, kw_only=True):
    """On run-events, under the schedule's name: what became of it, and how it stands now.

    `count`: how many due times were missed or skipped, the last of them `due_ms`. `reason`: how a run has ended, too.
    """

    name: str
    at_ms: int
    kind: ScheduleEventKind
    standing: ScheduleStanding
    run_id: str | None = None
    due_ms: int | None = None
    count: int = 1
    reason: str | None = None
    actor: str | None = None
    request_id: str | None = None


ScheduleRequest = PutSchedule | SteerSchedule
