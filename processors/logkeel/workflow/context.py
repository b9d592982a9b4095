"""What a running step may ask of its surroundings: a protocol, implemented by workers and by test drivers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from logkeel.workflow.durable_code import DurableCode


@dataclass(frozen=True, slots=True)
class StepErrorView:
    """A failed attempt of this run."""

    path: str
    attempt: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RunView:
    """What the run has behind it, as of the step's command. A step gets it by asking: a parameter of this type.

    `completed_steps` are step paths in order of completion, `errors` the failed attempts in the order of the history,
    `attempts` how many attempts of steps the run has begun, this one included. At most 16 KiB travel: the oldest is
    left out first, and `omitted_steps` and `omitted_errors` say how many.
    """

    completed_steps: Sequence[str] = ()
    errors: Sequence[StepErrorView] = ()
    attempts: int = 0
    schema_version: int = 1
    omitted_steps: int = 0
    omitted_errors: int = 0


class StepLogger(Protocol):
    """A structured logger: an event name and values."""

    def debug(self, event: str, /, **values: Any) -> Any:
        """Log for developers."""
        ...

    def info(self, event: str, /, **values: Any) -> Any:
        """Log what happened."""
        ...

    def warning(self, event: str, /, **values: Any) -> Any:
        """Log what may need attention."""
        ...

    def error(self, event: str, /, **values: Any) -> Any:
        """Log what went wrong."""
        ...


class StepContext(DurableCode, Protocol):
    """Handed to a step parameter annotated with this type. Valid until the step returns.

    What it has of `DurableCode` is for steps declared with `journal=True`, and for `@durable` functions.
    """

    @property
    def idempotency_key(self) -> str:
        """Derived from run, incarnation and step path: stable over attempts (P30). Send it to the outside system."""
        ...

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def incarnation(self) -> str:
        """Which life of that run id (P26)."""
        ...

    @property
    def step(self) -> str:
        """The step's name."""
        ...

    @property
    def path(self) -> str:
        """The step path: names this occurrence of the step within the run."""
        ...

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        ...

    @property
    def dispatch(self) -> int:
        """Fence of this execution (P32): grows with every dispatch, also where the attempt does not."""
        ...

    @property
    def deadline(self) -> datetime | None:
        """When this attempt is cut off (UTC); None without a time-out."""
        ...

    @property
    def run_view(self) -> RunView:
        """Completed steps and errors of the run, for a step that asks for them in its signature.

        Annotate the parameter as `Annotated[StepContext, RunView]`, or take one of type `RunView`; else this raises
        `StepSignatureError`.
        """
        ...

    @property
    def heartbeat_details(self) -> bytes | None:
        """What the former attempt last gave to `heartbeat`."""
        ...

    @property
    def logger(self) -> StepLogger:
        """A logger bound to run, step and attempt."""
        ...

    def used(self, **amounts: int) -> None:
        """Report what this attempt has used up, as in `step.used(tokens=1200)`: whole numbers, added up by unit.

        It counts instead of what `uses=` reserved, also if the attempt fails afterwards; a unit that is not reported
        counts with all that was reserved. In code with a journal say it in the code itself, not inside of a call: it
        is said again whenever the code is executed again, and counted once. Raises `StepSignatureError`.
        """
        ...

    def heartbeat(self, details: bytes | None = None) -> None:
        """Hand `details` to the next attempt, should this one fail. Liveness itself needs no call.

        Raises `PayloadTooLarge` above 16 KiB.
        """
        ...

    def emit(self, value: Any) -> None:
        """Tell whoever looks on: tokens, progress. Any value that is data; from a plain step too.

        It carries the attempt and a number, and goes to `run-streams` within some 50 ms, beside everything else: never
        waited for, no part of the run's history, and lost without harm. Durable code that is executed again emits
        nothing where its journal goes further. Raises `PayloadTooLarge` above 64 KiB, `StepSignatureError` for what
        is no data.
        """
        ...
