"""The run processor: a `Processor` for the transactional loop. Routes; never thinks, never reads a payload.

| input | handled by |
|---|---|
| `run-requests` | `requests`, those for limits `limits`, for schedules `schedules` |
| `step-results` | the core's `answers` |
| timers, leases | the core's `waking` |
| published definitions | `definitions`, then what waited for them |

Everything of a turn, history and completion included, is in the turn's transaction.
"""

from collections.abc import Sequence
from typing import Any

from logkeel.errors import DataError, InvariantViolation, LogkeelError, PartitionCountChanged, UndecodableRecord
from logkeel.exactly_once import SideEvent, Timer, Turn
from logkeel.log import Record
from logkeel.records import (
    ChildCompleted,
    ErrorInfo,
    LimitAnswered,
    LimitRequest,
    ScheduleRequest,
    StepAnswer,
    WorkflowDefinition,
)
from logkeel.records.topics import TopicNames
from logkeel.runs.core import child_ends, questions, waking
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.flow import DEAD_LETTER, complete
from logkeel.runs.core.journal_timers import place_of_timer
from logkeel.runs.core.limiting import answered
from logkeel.runs.core.state import RunState
from logkeel.runs.processor.carrying import Carrier
from logkeel.runs.processor.definitions import READY, Definitions
from logkeel.runs.processor.limits import LimitKeeper
from logkeel.runs.processor.observing import RunObserver, Survey
from logkeel.runs.processor.requests import RequestHandler
from logkeel.runs.processor.schedules import ScheduleKeeper
from logkeel.runs.processor.settings import RunSettings
from logkeel.runs.processor.sweeping import Sweeper
from logkeel.runs.processor.timer_ids import (
    LIMIT,
    NEXT_TURN,
    OFFER,
    PARKED,
    SCHEDULE,
    SURVEY,
    SWEEP,
    UNPARK,
    TimerName,
    lease_id,
    parse,
)
from logkeel.runs.rows.ledger import Ledger
from logkeel.runs.rows.run_rows import load_run
from logkeel.wire import decode_as, record_type

TABLE = "runs"

_Answer = StepAnswer | ChildCompleted | LimitAnswered
_ANSWERS = _Answer.__args__

CATCHING_UP_MS = 5_000
"""An engine reads the definitions beside its partitions: what waits for one is not refused before it had time for it,

however long nobody was there.
"""

MESSAGE_CHARACTERS = 4_000
"""Of an error that ends a run: the end must fit into a record whatever went wrong."""


class RunProcessor:
    """Implements `logkeel.exactly_once.Processor`. `partitions`: the count all co-partitioned topics have."""

    def __init__(
        self,
        names: TopicNames,
        *,
        partitions: int,
        settings: RunSettings | None = None,
        observer: RunObserver | None = None,
    ) -> None:
        settings = settings or RunSettings()
        self._names = names
        self._partitions = partitions
        self._carrier = Carrier(names, settings, partitions, observer)
        self._definitions = Definitions()
        self._requests = RequestHandler(self._carrier, self._definitions, settings, partitions)
        self._sweeper = Sweeper(settings)
        self._survey = Survey(observer)
        self._limits = LimitKeeper(names, settings, partitions)
        self._schedules = ScheduleKeeper(names, self._definitions, partitions)
        self._keepers: dict[type[Any], LimitKeeper | ScheduleKeeper] = {
            **dict.fromkeys(LimitRequest.__args__, self._limits),
            **dict.fromkeys(ScheduleRequest.__args__, self._schedules),
        }

    @property
    def inputs(self) -> Sequence[str]:
        """Requests and results."""
        return (self._names.run_requests, self._names.step_results)

    @property
    def table(self) -> str:
        """One table for everything."""
        return TABLE

    @property
    def changelog(self) -> str:
        """`run-state`"""
        return self._names.run_state

    @property
    def dead_letters(self) -> str:
        """`dead-letters`"""
        return self._names.dead_letters

    def process(self, record: Record, turn: Turn) -> None:
        """One request or one answer."""
        if record.topic == self._names.run_requests:
            (self._keeper_of(record) or self._requests).handle(record, turn)
            return
        if record.value is None:
            raise UndecodableRecord("an answer is not a tombstone")
        message: _Answer = decode_as(record.value, *_ANSWERS)
        activation = self._activate(_run_id_of(message), turn)
        if isinstance(message, LimitAnswered):
            self._on_limit(message, activation, turn)
        elif activation is not None:
            if isinstance(message, ChildCompleted):
                child_ends.ended(activation, message)
            else:
                answer(activation, message)
            self._carrier.carry_out(activation, turn)

    def _keeper_of(self, request: Record) -> LimitKeeper | ScheduleKeeper | None:
        """Whose a request is that is not for a run."""
        kind = None if request.value is None else record_type(request.value)
        return None if kind is None else self._keepers.get(kind)

    def _on_limit(self, message: LimitAnswered, activation: Activation | None, turn: Turn) -> None:
        if activation is None or not answered(activation, message):
            self._carrier.give_back(message, turn)
        if activation is not None:
            self._carrier.carry_out(activation, turn)

    def on_timer(self, timer: Timer, turn: Turn) -> None:
        """One timer, lease or wake-up of the partition."""
        name = parse(timer.timer_id)
        if name is None:
            self._on_wakeup(timer.timer_id, turn)
            return
        run_id = name.run_id if isinstance(name, TimerName) else name[0]
        activation = self._activate(run_id, turn)
        if activation is None:
            return
        if isinstance(name, TimerName):
            _fire(activation, name)
        else:
            waking.lease_over(activation, name[1])
        self._carrier.carry_out(activation, turn)

    def on_side_event(self, event: SideEvent, turn: Turn) -> None:
        """A definition became known; or all of a workflow, and the runs that waited for it start, in bites."""
        if isinstance(event.value, WorkflowDefinition):
            self._definitions.publish(event.value)
        elif event.name == READY and isinstance(event.value, str):
            self._requests.offer(event.value, turn)
            self._requests.waiting_turns.wake(turn)

    def on_poison(self, culprit: Record | Timer, error: Exception, turn: Turn) -> None:
        """A run that the culprit belongs to fails, visibly; a request is refused (P21)."""
        code = error.code if isinstance(error, LogkeelError) else "unprocessable"
        if isinstance(culprit, Record) and culprit.topic == self._names.run_requests:
            keeper = self._keeper_of(culprit)
            if keeper is not None:
                keeper.refuse(culprit, code, str(error), turn)
            elif not isinstance(error, UndecodableRecord):
                self._requests.refuse_unprocessable(culprit, code, str(error), turn)
            return
        if isinstance(culprit, Timer) and culprit.timer_id[:1] == UNPARK:
            self._requests.refuse_parked(culprit.timer_id[1:], code, str(error), turn)
            return
        if isinstance(culprit, Timer) and culprit.timer_id[:1] == NEXT_TURN:
            self._requests.waiting_turns.refuse_next(culprit.timer_id[1:], code, str(error), turn)
            return
        if isinstance(culprit, Timer) and culprit.timer_id[:1] == SCHEDULE:
            self._schedules.stumbled(culprit.timer_id[1:].decode(), turn)
            return
        run_id = self._run_of(culprit)
        activation = self._activate(run_id, turn) if run_id is not None else None
        if activation is not None and activation.state.running:
            where = f"{culprit.topic} {culprit.offset}" if isinstance(culprit, Record) else "a timer"
            message = f"{where} could not be processed: {error}"[:MESSAGE_CHARACTERS]
            info = ErrorInfo(code=code, kind="fatal", message=message)
            complete(activation, "failed", info, reason=DEAD_LETTER)
            self._carrier.carry_out(activation, turn)

    def on_partition_ready(self, turn: Turn) -> None:
        """Every lease starts anew (P32); parked requests, a little later if overdue, and the sweep are woken for again.

        Raises `PartitionCountChanged`: with another count, runs would be looked for where they are not.
        """
        self._check_count(turn)
        for run_id, path in Ledger(turn).leases():
            state = load_run(turn, run_id)
            if state is None:
                continue
            plan = self._definitions.of_run(state.info, Ledger(turn))
            timeout_ms = plan.steps[path].definition.heartbeat_timeout_ms
            turn.set_wakeup(turn.now_ms + timeout_ms, lease_id(run_id, path))
        self._requests.wake_for_parked(turn, not_before_ms=turn.now_ms + CATCHING_UP_MS)
        self._requests.waiting_turns.wake(turn)
        self._schedules.wake_all(turn)
        self._sweeper.schedule(turn)
        self._survey.begin(turn)

    def _check_count(self, turn: Turn) -> None:
        known = Ledger(turn).partition_count(self._partitions)
        if known != self._partitions:
            raise PartitionCountChanged(
                f"{self._names.run_requests} and its like have {self._partitions} partitions, but the runs of "
                f"partition {turn.partition} were placed among {known}: their homes would not be found again. Kafka "
                "takes no partition away: start a new application (--prefix) for new runs, and copy this one's topics "
                f"into new ones of {known} partitions to end the runs that are left",
                known=known,
                found=self._partitions,
            )

    def _on_wakeup(self, identifier: bytes, turn: Turn) -> None:
        if identifier == PARKED:
            self._requests.reject_overdue(turn)
        elif identifier[:1] == UNPARK:
            self._requests.unpark(identifier[1:], turn)
        elif identifier[:1] == NEXT_TURN:
            self._requests.waiting_turns.next_turn(identifier[1:], turn)
        elif identifier[:1] == LIMIT:
            self._limits.on_timer(identifier[1:], turn)
        elif identifier[:1] == SCHEDULE:
            self._schedules.wake(identifier[1:].decode(), turn)
        elif identifier[:1] == OFFER:
            self._requests.offer(identifier[1:].decode(), turn)
        elif identifier == SURVEY:
            self._survey.go_on(turn)
        elif identifier == SWEEP:
            more = self._sweeper.expire(turn)
            more = self._limits.remind(turn) or more
            for state, path, forgotten in self._sweeper.aged_steps(turn):
                activation = self._activation(state, turn)
                waking.command_aged(activation, path, forgotten=forgotten)
                self._carrier.carry_out(activation, turn)
            self._sweeper.schedule(turn, soon=more)

    def _activate(self, run_id: str, turn: Turn) -> Activation | None:
        state = load_run(turn, run_id)
        return None if state is None else self._activation(state, turn)

    def _activation(self, state: RunState, turn: Turn) -> Activation:
        return Activation(state, self._definitions.of_run(state.info, Ledger(turn)), turn.now_ms)

    def _run_of(self, culprit: Record | Timer) -> str | None:
        if isinstance(culprit, Timer):
            name = parse(culprit.timer_id)
            if name is None:
                return None
            return name.run_id if isinstance(name, TimerName) else name[0]
        try:
            return _run_id_of(decode_as(culprit.value or b"", *_ANSWERS))
        except DataError:
            return (culprit.key or b"").decode(errors="replace") or None


def _run_id_of(message: _Answer) -> str:
    return message.run_id if isinstance(message, ChildCompleted | LimitAnswered) else message.identity.run_id


def _fire(activation: Activation, name: TimerName) -> None:
    match name.kind:
        case "step":
            waking.step_due(activation, name.path, name.dispatch)
        case "start_deadline":
            waking.start_deadline_over(activation, name.path, name.dispatch)
        case "run_deadline":
            waking.run_deadline_over(activation)
        case "block":
            waking.wait_due(activation, name.path, name.dispatch)
        case "reminder":
            questions.remind(activation, name.path, name.dispatch)
        case "journal":
            waking.journal_wait_due(activation, *place_of_timer(name.path))
        case _:
            raise InvariantViolation(f"timer of unknown kind {name.kind}")
