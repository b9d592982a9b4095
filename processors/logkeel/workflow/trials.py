"""A workflow tried out in memory: what stands in for its surroundings, and what became of it. Values only.

The driver that plays it is of `logkeel.testing`; docs/testing.md shows both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any, Final, Literal, TypeAlias

from logkeel.errors import ConfigInvalid, RequestWasRejected, RunFailed, WaitTimedOut
from logkeel.records import ErrorInfo, RequestRejected, RunEvent, RunStatus
from logkeel.workflow.durations import Duration

NOBODY: Final = "nobody"
"""Stands for a human who does not answer, so that the time-out of the question acts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a human is asked. `kind` "doubt": whether a step had its effect; then `allow` is did, did_not, retry (P35).

    `name` is the id of the block or the step's name, `shows` what the human is shown, decoded. `asked` counts how often
    this name was asked so far, from 1; a question that goes to somebody else is asked again.
    """

    kind: Literal["question", "doubt"]
    name: str
    path: str
    text: str
    allow: tuple[str, ...]
    shows: Mapping[str, Any]
    assignee: str | None = None
    asked: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A human's answer: a verb, and a value for `edit`, `respond` and `did`. `after`: how long the human thinks."""

    verb: str
    value: Any = None
    after: Duration = 0
    by: str = "human"
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that is sent to the run, `after` so long since its start."""

    name: str
    payload: Any = None
    correlation: str | None = None
    after: Duration = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """The run is cancelled, `after` so long since its start. Stands among the signals."""

    after: Duration = 0
    reason: str = "cancelled"


AnswerLike: TypeAlias = "str | tuple[str, Any] | Answer | Callable[[Question], Any] | Sequence[Any]"
"""A verb, a verb with its value, a function from the question, or a list of these: one for each time it is asked."""


@dataclass(frozen=True, slots=True)
class Fakes:
    """What stands in for the surroundings of a workflow.

    `resources`: openers by opener or its name. `results`, by step or its name: a list is a script with one item per
    occurrence of the step, an exception in it being raised; a function is called in place of the step, with those of
    its arguments that it takes; anything else is what the step returns. `humans`: answers by question or step in doubt,
    or one function for all; whom nobody was named for is missing, and stops the run. `signals`: `Signal`, `Cancel`, a
    name, or a tuple of name, payload and correlation.
    """

    resources: Mapping[Any, Any] = field(default_factory=dict)
    results: Mapping[Any, Any] = field(default_factory=dict)
    humans: "Mapping[str, AnswerLike] | Callable[[Question], Any]" = field(default_factory=dict)
    signals: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class EmittedValue:
    """A value that a step has emitted, in the order of the log: `dispatch` and `sequence` say what it superseded."""

    path: str
    attempt: int
    dispatch: int
    sequence: int
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What became of a run in memory. `print(trial)` shows it whole.

    `status` "running": the run waits for somebody outside, and `waits_for` says for what. `state` is an instance of the
    state class. `attempts`: executions by step path. `history` is `events` for people. `questions`: whom the run asked,
    in order. `unused`: what was faked and never needed, one sentence each. `emitted`: what steps told meanwhile.
    """

    run_id: str
    status: RunStatus
    result: Any
    state: Any
    error: ErrorInfo | None
    events: tuple[RunEvent, ...]
    history: str
    attempts: Mapping[str, int]
    simulated: timedelta
    questions: tuple[Question, ...] = ()
    waits_for: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    rejection: RequestRejected | None = None
    emitted: tuple[EmittedValue, ...] = ()

    def value(self) -> Any:
        """The result of a run that succeeded. Raises `RunFailed`, `RequestWasRejected`, `WaitTimedOut` if it waits."""
        if self.rejection is not None:
            raise RequestWasRejected(
                f"the run was rejected: {self.rejection.reason} ({self.rejection.code})",
                run_id=self.run_id,
                reason=self.rejection.reason,
                rejection=self.rejection.code,
            )
        if self.status == "running":
            raise WaitTimedOut(f"the run waits: {'; '.join(self.waits_for)}", run_id=self.run_id)
        if self.status != "succeeded":
            error = self.error
            said = "" if error is None else f": {error.message} ({error.code})"
            raise RunFailed(
                f"run {self.run_id} ended as {self.status}{said}",
                run_id=self.run_id,
                status=self.status,
                reason=None if error is None else error.code,
            )
        return self.result

    def __str__(self) -> str:
        lines = [f"{self.status} after {self.simulated}", self.history]
        if self.waits_for:
            lines.append(f"waits: {'; '.join(self.waits_for)}")
        lines += [f"unused: {each}" for each in self.unused]
        return "\n".join(lines)


def find_driver() -> Callable[..., Any]:
    """What plays a trial: `(workflow, inputs, fakes) -> Trial`, awaitable. Raises `ConfigInvalid`."""
    drivers = list(entry_points(group="logkeel.try_out"))
    if not drivers:
        raise ConfigInvalid("no driver of try_out is installed; install logkeel as a whole")
    driver: Callable[..., Any] = drivers[0].load()
    return driver
