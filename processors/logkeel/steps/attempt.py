"""One execution on its way through a worker, and the StepContext that its step sees."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import structlog

from logkeel.errors import ConfigInvalid, PayloadTooLarge, StepSignatureError
from logkeel.records import FieldValue, StepCommand
from logkeel.records.limits import MAX_AMOUNT, MAX_HEARTBEAT_DETAILS_BYTES
from logkeel.records.tracing import trace_id_of_command
from logkeel.steps.emitting import Emissions, emitted_bytes
from logkeel.steps.journal.code import Code
from logkeel.steps.journal.lease import Lease
from logkeel.steps.machine.messages import Key, StartStep, key_of
from logkeel.workflow.context import RunView, StepLogger
from logkeel.workflow.views import view_of


@dataclass(slots=True, eq=False)
class Attempt:
    """State of one execution. `started_at_ms` and `deadline_s` (monotonic) are set once and never moved (P25, P35).

    `called`: the author's function was entered; its check does not count. `kill` ends its code for certain, where
    that is possible: in a process. `lease` belongs to a step with a journal, `emissions` to one that emits. `inputs`:
    all it reads. `used`: what its code has reported.
    """

    start: StartStep
    claimed_at_s: float
    started_at_ms: int
    deadline_s: float | None = None
    key: Key = field(init=False)
    begun: bool = False
    called: bool = False
    cut: str | None = None
    cut_at_s: float = 0.0
    slot_owed: bool = False
    blocked_reported: bool = False
    overdue_reported: bool = False
    details: bytes | None = None
    inputs: tuple[FieldValue, ...] = ()
    task: "asyncio.Task[None] | None" = None
    thread: "Future[Any] | None" = None
    kill: Callable[[], None] | None = None
    timer: asyncio.TimerHandle | None = None
    lease: Lease | None = None
    emissions: Emissions | None = None
    used: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = key_of(self.start.command.identity)
        if self.command.journal_since_ms is not None:
            self.lease = Lease(self.claimed_at_s)

    @property
    def command(self) -> StepCommand:
        """What is executed."""
        return self.start.command

    @property
    def must_end(self) -> bool:
        """Whether only the end of its code says what happened: a claimed effect that was called (P35).

        Reported earlier, a check or another attempt could come before the effect of code that still runs.
        """
        return self.called and self.start.claimed


def new_attempt(start: StartStep, *, claimed_at_s: float, now_ms: int, now_s: float) -> Attempt:
    """An attempt that begins now, or when its check may begin; `now_s` is monotonic.

    Its one deadline covers opening resources, the check and the call, and a claim that has to be made again: the engine
    lets nobody check before `started_at_ms` + time-out + settle time (P35).
    """
    command = start.command
    not_before_ms = command.check_not_before_ms if command.check_first else None
    started_at_ms = max(now_ms if start.since_ms is None else start.since_ms, not_before_ms or 0)
    attempt = Attempt(start, claimed_at_s, started_at_ms)
    if command.timeout_ms is not None:
        attempt.deadline_s = now_s + (started_at_ms - now_ms + command.timeout_ms) / 1_000
    return attempt


def run_view_of(command: StepCommand) -> RunView:
    """What the run had behind it when the command was dispatched, for a step that asks. Raises `ConfigInvalid`."""
    if command.run_summary is None:
        raise ConfigInvalid(
            f"step {command.identity.step!r} asks for the view on its run, but the command brings none: the engine that"
            " sent it is older than this worker. Upgrade the engines, then start the run again"
        )
    return view_of(command.run_summary)


class WorkerStepContext(Code):
    """Implements `logkeel.workflow.context.StepContext` for one attempt, or with `key` for a journaled call of it.

    `send` takes what it emits; from any thread. `used` takes what a call reports of budgets; None: it may not.
    """

    def __init__(
        self,
        attempt: Attempt,
        *,
        key: str | None = None,
        send: Callable[[Emissions, bytes], None] | None = None,
        used: dict[str, int] | None = None,
    ) -> None:
        self._attempt = attempt
        self._send = send
        self._used = attempt.used if key is None else used
        self._key = key or attempt.command.idempotency_key
        self._identity = attempt.command.identity
        self._logger: StepLogger | None = None

    @property
    def idempotency_key(self) -> str:
        return self._key

    @property
    def run_id(self) -> str:
        return self._identity.run_id

    @property
    def incarnation(self) -> str:
        return self._identity.incarnation

    @property
    def step(self) -> str:
        return self._identity.step

    @property
    def path(self) -> str:
        return self._identity.path

    @property
    def attempt(self) -> int:
        return self._identity.attempt

    @property
    def dispatch(self) -> int:
        return self._identity.dispatch

    @property
    def deadline(self) -> datetime | None:
        timeout_ms = self._attempt.command.timeout_ms
        if timeout_ms is None:
            return None
        return datetime.fromtimestamp((self._attempt.started_at_ms + timeout_ms) / 1_000, tz=UTC)

    @property
    def run_view(self) -> RunView:
        if self._attempt.command.run_summary is None:
            raise StepSignatureError(
                f"step {self.step!r} looks at step.run_view but does not ask for it: annotate its context as"
                " Annotated[StepContext, RunView], or take a parameter of type RunView",
                step=self.step,
            )
        return run_view_of(self._attempt.command)

    @property
    def heartbeat_details(self) -> bytes | None:
        return self._attempt.command.heartbeat_details

    @property
    def logger(self) -> StepLogger:
        if self._logger is None:
            identity = self._identity
            self._logger = structlog.get_logger("logkeel.step").bind(
                role="worker",
                run_id=identity.run_id,
                workflow=self._attempt.command.workflow,
                step=identity.step,
                path=identity.path,
                attempt=identity.attempt,
                trace_id=trace_id_of_command(self._attempt.command),
            )
        return self._logger

    def used(self, **amounts: int) -> None:
        """See `StepContext.used`."""
        if self._used is None:
            raise StepSignatureError(
                f"step {self.step!r} says inside of a journaled call what it has used: a call is made once, and what it"
                " says is lost with its worker. Let the call return it, and say step.used(…) behind step.run(…); or say"
                " what the call uses at most, by step.options(uses=…)",
                step=self.step,
            )
        for unit, amount in cast("dict[str, object]", amounts).items():
            if not isinstance(amount, int) or isinstance(amount, bool) or not 0 <= amount <= MAX_AMOUNT:
                raise StepSignatureError(
                    f"step {self.step!r} says that it has used {unit}={amount!r}: amounts are whole numbers from 0 on,"
                    " in a unit that is small enough, as in step.used(tokens=1200, usd_micros=340)",
                    step=self.step,
                )
        for unit, amount in amounts.items():
            self._used[unit] = min(self._used.get(unit, 0) + amount, MAX_AMOUNT)

    def heartbeat(self, details: bytes | None = None) -> None:
        """See `StepContext.heartbeat`."""
        if details is not None and len(details) > MAX_HEARTBEAT_DETAILS_BYTES:
            raise PayloadTooLarge(
                f"heartbeat details have {len(details)} bytes, at most {MAX_HEARTBEAT_DETAILS_BYTES} travel to the next"
                " attempt: keep large values outside and hand over their address",
                size_bytes=len(details),
                limit_bytes=MAX_HEARTBEAT_DETAILS_BYTES,
            )
        self._attempt.details = details

    def emit(self, value: Any) -> None:
        """See `StepContext.emit`."""
        data = emitted_bytes(value)
        if self._send is None or self._attempt.cut is not None or self.is_replayed():
            return
        if self._attempt.emissions is None:
            self._attempt.emissions = Emissions(self._identity)
        self._send(self._attempt.emissions, data)
