"""The schedules of a partition: requests in, starts of runs out, and a wake-up where the next one is due (P23, P29).

Wake-ups live in memory and are set again with the partition, from the rows: nothing is due that no row says. A start
and the row that says so are one transaction, so no due time is started twice or lost.
"""

from logkeel.errors import LogkeelError
from logkeel.exactly_once import Turn
from logkeel.log import Record
from logkeel.log.partitioner import partition_for
from logkeel.records import PutSchedule, RequestRejected, ScheduleRequest
from logkeel.records.topics import TopicNames
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.schedules import ScheduleState, ScheduleTurn, invalid
from logkeel.runs.processor.announcing import rejection_output
from logkeel.runs.processor.definitions import Definitions
from logkeel.runs.processor.schedule_records import cancel_output, event_output, start_output
from logkeel.runs.processor.timer_ids import SCHEDULE
from logkeel.runs.rows.run_rows import load_run
from logkeel.runs.rows.schedule_rows import Schedules
from logkeel.wire import decode_as

_REQUESTS = ScheduleRequest.__args__

STUMBLED_MS = 60_000
"""How long a schedule that could not be looked at is left alone."""


class ScheduleKeeper:
    """Keeps the schedules of one application; nothing in memory."""

    def __init__(self, names: TopicNames, definitions: Definitions, partitions: int) -> None:
        self._names = names
        self._definitions = definitions
        self._partitions = partitions

    def handle(self, record: Record, turn: Turn) -> None:
        """One request. Raises `DataError` for one that cannot be read."""
        request: ScheduleRequest = decode_as(record.value or b"", *_REQUESTS)
        rejection = self._at_home(request, turn)
        if rejection is not None:
            self._reject(record, request, rejection, turn)

    def wake(self, name: str, turn: Turn) -> None:
        """Something is due, or a run of it has ended."""
        state = Schedules(turn).get(name)
        if state is not None:
            self._done(self._turn(state, turn), turn)

    def wake_all(self, turn: Turn) -> None:
        """Every schedule of the partition is looked at anew, each in a turn of its own."""
        for name in Schedules(turn).names():
            turn.set_wakeup(turn.now_ms, SCHEDULE + name.encode())

    def refuse(self, record: Record, code: str, message: str, turn: Turn) -> None:
        """A request that raised: if it can be read, its sender hears of it."""
        try:
            request: ScheduleRequest = decode_as(record.value or b"", *_REQUESTS)
        except LogkeelError:
            return
        self._reject(record, request, Reject(code, message[:2_000]), turn)

    def stumbled(self, name: str, turn: Turn) -> None:
        """Looking at it raised: it is looked at again, since nobody else would."""
        turn.set_wakeup(turn.now_ms + STUMBLED_MS, SCHEDULE + name.encode())

    def _at_home(self, request: ScheduleRequest, turn: Turn) -> Reject | None:
        if partition_for(request.name.encode(), self._partitions) != turn.partition:
            return Reject("not_at_home", f"schedule {request.name!r} is not on partition {turn.partition}")
        state = Schedules(turn).get(request.name)
        if isinstance(request, PutSchedule):
            return self._put(request, state, turn)
        if state is None:
            return Reject("schedule_not_found", f"there is no schedule {request.name!r}")
        look = self._turn(state, turn)
        rejection = look.steer(request)
        if rejection is None:
            self._done(look, turn)
        return rejection

    def _put(self, put: PutSchedule, state: ScheduleState | None, turn: Turn) -> Reject | None:
        rejection = invalid(put)
        if rejection is not None or self._is_outdated(put):
            return rejection
        look = self._turn(state or ScheduleState(put=put), turn)
        look.put(put, is_new=state is None)
        self._done(look, turn)
        return None

    def _is_outdated(self, put: PutSchedule) -> bool:
        """Whether it comes with a version of the workflow that is not the newest any more: a worker of before."""
        version = put.declared_version
        if version is None or self._definitions.find(put.workflow, version) is None:
            return False
        newest = self._definitions.find(put.workflow, None)
        return newest is not None and newest.document.version != version

    def _turn(self, state: ScheduleState, turn: Turn) -> ScheduleTurn:
        def status_of(run_id: str) -> str | None:
            run = load_run(turn, run_id)
            return None if run is None else run.head.status

        return ScheduleTurn(state, turn.now_ms, status_of)

    def _done(self, look: ScheduleTurn, turn: Turn) -> None:
        if not look.deleted:
            look.go_on()
        state, put = look.state, look.state.put
        for occasion in look.starts:
            turn.emit(start_output(occasion, put, self._names, turn.partition))
        for run_id in look.cancels:
            turn.emit(cancel_output(run_id, put, self._names, turn.partition))
        for event in look.events:
            turn.emit(event_output(event, self._names, turn.partition))
        if look.deleted:
            Schedules(turn).delete(put.name)
        else:
            Schedules(turn).save(state)
        wakeup = SCHEDULE + put.name.encode()
        if look.wake_ms is None:
            turn.clear_wakeup(wakeup)
        else:
            turn.set_wakeup(look.wake_ms, wakeup)

    def _reject(self, record: Record, request: ScheduleRequest, rejection: Reject, turn: Turn) -> None:
        rejected = RequestRejected(
            request_id=request.request_id or f"{record.topic}-{record.partition}-{record.offset}",
            run_id=None,
            code=rejection.code,
            reason=rejection.reason,
            rejected_at_ms=turn.now_ms,
            request_type=type(request).__name__,
        )
        turn.emit(rejection_output(self._names.run_completions, turn.partition, rejected))
