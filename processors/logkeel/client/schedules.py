"""Schedules from outside: put, pause, resume, delete, trigger, backfill.

Each call returns once its request is on the log.

Refused requests are told on `run-completions`, as those to runs are; what became of a schedule is on `run-events`.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from uuid import uuid4

from logkeel.client.building import input_digest, inputs_of
from logkeel.errors import InvalidInput
from logkeel.log import LogClient
from logkeel.payloads import PayloadChain
from logkeel.projection import HistoryReader, ScheduleView
from logkeel.records import PutSchedule, ScheduleRequest, SteerSchedule
from logkeel.records.topics import TopicNames
from logkeel.workflow.scheduling import Schedule


class Schedules:
    """The schedules of one application; get it from `Client.schedules`.

    All but `list` and `show` return their request id, and raise as `Client.start` does.
    """

    def __init__(
        self,
        log_client: LogClient,
        names: TopicNames,
        payloads: PayloadChain,
        send: Callable[[ScheduleRequest, str], str],
    ) -> None:
        self._log = log_client
        self._names = names
        self._payloads = payloads
        self._send = send

    def put(self, schedule: Schedule, *, declared: bool = False) -> str:
        """Make it, or change it; the same once more changes nothing.

        `declared`: it comes with its version of the workflow, and counts only while that is the newest.
        """
        plain = inputs_of(schedule.workflow, schedule.inputs)
        rhythm = schedule.rhythm
        put = PutSchedule(
            name=schedule.name,
            workflow=schedule.workflow_name,
            cron=rhythm.cron,
            every_ms=rhythm.every_ms,
            timezone=rhythm.timezone,
            overlap=schedule.overlap,
            backfill=schedule.backfill,
            inputs=self._payloads.wrap_writes(plain, f"the input of schedule {schedule.name!r}"),
            input_digest=self._payloads.digest(input_digest(plain)),
            declared_version=schedule.version if declared else None,
            request_id=uuid4().hex,
        )
        return self._send(put, schedule.name)

    def put_all(self, schedules: Iterable[Schedule]) -> int:
        """Put what workflows declare; returns how many."""
        return sum(1 for schedule in schedules if self.put(schedule, declared=True))

    def pause(self, name: str, *, reason: str | None = None) -> str:
        """Let due times pass until it is resumed; they are not made up for."""
        return self._steer(SteerSchedule(name=name, verb="pause", request_id=uuid4().hex, reason=reason))

    def resume(self, name: str, *, reason: str | None = None) -> str:
        """Go on with the next due time."""
        return self._steer(SteerSchedule(name=name, verb="resume", request_id=uuid4().hex, reason=reason))

    def delete(self, name: str, *, reason: str | None = None) -> str:
        """Forget it; runs that it has started go on."""
        return self._steer(SteerSchedule(name=name, verb="delete", request_id=uuid4().hex, reason=reason))

    def trigger(self, name: str, *, request_id: str | None = None) -> str:
        """Start a run now, by its overlap rule; its id is `name/request id`, so sent again it is the same run."""
        return self._steer(SteerSchedule(name=name, verb="trigger", request_id=request_id or uuid4().hex))

    def backfill(self, name: str, begin: datetime, end: datetime) -> str:
        """Start runs for due times from `begin` to `end`, both included and over, but for those that had one.

        Raises `InvalidInput` for times without a time zone.
        """
        if begin.tzinfo is None or end.tzinfo is None:
            raise InvalidInput("a backfill is between times with a time zone, as 2026-03-29T00:00:00Z")
        from_ms, until_ms = (int(at.astimezone(UTC).timestamp() * 1_000) for at in (begin, end))
        request_id = uuid4().hex
        return self._steer(
            SteerSchedule(name=name, verb="backfill", request_id=request_id, from_ms=from_ms, until_ms=until_ms)
        )

    def list(self) -> list[ScheduleView]:
        """All schedules, by name, from the history that is kept.

        Raises `LogTimeout`, `LogUnavailable`, `TopicMissing`.
        """
        with closing(HistoryReader(self._log, self._names)) as reader:
            return reader.catch_up().schedules.all()

    def show(self, name: str) -> ScheduleView | None:
        """One of them, None if there is none. Raises as `list`."""
        with closing(HistoryReader(self._log, self._names, run_id=name)) as reader:
            return reader.catch_up().schedules.get(name)

    def _steer(self, request: SteerSchedule) -> str:
        return self._send(request, request.name)
