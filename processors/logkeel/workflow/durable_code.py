"""What durable code inside a step may do: protocols, implemented by workers (AUTHORING, section 4).

Each call is a record, acknowledged before `run` returns. When the step is executed again, calls that have an outcome
give it without being made; so code between the calls must decide by nothing else than its arguments and their results.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, ParamSpec, Protocol, TypeVar, overload
from uuid import UUID

from logkeel.definitions import Verb
from logkeel.errors import StepSignatureError
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.effects import IDEMPOTENT, EffectDeclaration
from logkeel.workflow.retry import Retry

if TYPE_CHECKING:
    from logkeel.workflow.durable import Durable
    from logkeel.workflow.limits import Limit
    from logkeel.workflow.workflow import Workflow

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_CALL_TIMEOUT = "60s"


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How a journaled call is made. Raises `StepSignatureError` for what does not go together.

    `timeout` bounds one try; None: no limit. `check` belongs to CHECKED: it takes the arguments of the call and answers
    as a step's check does. A ONCE call is repeated for `NotDone` only. `limits`: how many there may be at once, or
    begin within a time; `uses`: how much of each unit of the workflow's budgets one try uses at most.
    """

    effect: EffectDeclaration = IDEMPOTENT
    timeout: Duration | None = DEFAULT_CALL_TIMEOUT
    retry: Retry | None = None
    check: Callable[..., Any] | None = None
    limits: "Sequence[Limit]" = ()
    uses: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = self.effect.kind
        if kind == "CHECKED" and (self.check is None or self.timeout is None):
            raise StepSignatureError("a CHECKED call needs check=..., and a time-out, after which the check may tell")
        if kind != "CHECKED" and self.check is not None:
            raise StepSignatureError(f"a call that is {kind} has no use for check=...: declare effect=CHECKED")
        if kind == "ONCE" and self.retry is not None and self.retry.on != "not_done":
            raise StepSignatureError('a ONCE call is repeated for NotDone only: write Retry(..., on="not_done")')

    @property
    def timeout_ms(self) -> int | None:
        """`timeout` in milliseconds."""
        return None if self.timeout is None else to_milliseconds(self.timeout)


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """What a human answered. `value` comes with `edit` and `respond`, else it is None; `message` is their remark."""

    verb: Verb
    value: T | None = None
    message: str = ""
    answered_by: str | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """To whom a question goes: `assignee` says whose turn it is, `notify` names a channel."""

    assignee: str | None = None
    notify: str | None = None


@dataclass(frozen=True, slots=True)
class ChildOptions:
    """How a child run is started. `name`: of the call, in the journal; unless said, the workflow's.

    `on_cancel`: what becomes of it when the step does not wait for it any more. `max_descendants`: how many runs there
    may be below it; unless said, a share of what this run has left. `uses`: how much of each unit of the workflow's
    budgets it, and all below it, may use; unless said, a share as well.
    """

    name: str | None = None
    on_cancel: Literal["cancel", "abandon"] = "cancel"
    max_descendants: int | None = None
    uses: Mapping[str, int] = field(default_factory=dict)


class DurableCalls(Protocol):
    """Makes journaled calls, with the options it was made with."""

    @overload
    async def run(self, name: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    async def run(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def run(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call `function` once, durably; a plain one runs in a thread.

        The result goes through JSON, by the function's return annotation: it comes back as it would be read. A
        parameter `idempotency_key` with a default, or one annotated StepContext, is filled if it is not given: its key
        is that of this call, stable over attempts (P34). Raises `CallFailed` when it failed for good, and
        `StepSignatureError` for results that are no data.
        """
        ...


class DurableCode(DurableCalls, Protocol):
    """What the context of a step with a journal offers its code."""

    def options(
        self,
        *,
        effect: EffectDeclaration = IDEMPOTENT,
        timeout: Duration | None = DEFAULT_CALL_TIMEOUT,
        retry: Retry | None = None,
        check: Callable[..., Any] | None = None,
        limits: "Sequence[Limit]" = (),
        uses: Mapping[str, int] | None = None,
    ) -> DurableCalls:
        """Calls with these options: `await step.options(effect=KEYED).run(...)`.

        `limits`: each try of a call waits, holding no worker, until there are fewer at once, or until enough time has
        passed; each needs a name. `uses`: how much of each unit of the workflow's budgets one try uses at most; so much
        is reserved before it, and it counts with what the called function reports by `current_step().used(…)`. Raises
        as `CallOptions`, and `StepSignatureError` for limits and units that do not fit the workflow.
        """
        ...

    async def gather(self, *coroutines: Coroutine[Any, Any, T], concurrency: int | None = None) -> list[T]:
        """Run these at the same time, at most `concurrency`; their results in the order of the arguments.

        Waits for all of them, then raises the first error in that order. Code that makes calls in tasks of its own
        must start them in the same order each time; prefer this.
        """
        ...

    def now(self) -> datetime:
        """The time of the last call that this code has seen the outcome of (UTC): the same in each execution."""
        ...

    def random(self) -> float:
        """In [0, 1); the same in each execution."""
        ...

    def uuid(self) -> UUID:
        """A UUID of version 4's form; the same in each execution."""
        ...

    async def sleep(self, duration: Duration) -> None:
        """Wait. While all code of the step waits, no worker holds it."""
        ...

    @overload
    async def wait_signal(self, name: str, as_type: type[T], *, timeout: Duration | None = None) -> T: ...  # noqa: ASYNC109 - durable: the engine keeps it

    @overload
    async def wait_signal(self, name: str, *, timeout: Duration | None = None) -> Any: ...  # noqa: ASYNC109 - as above

    async def wait_signal(self, name: str, as_type: Any = None, *, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109 - as above
        """Wait for a signal to the run, which may have come before; its payload. Raises TimeoutError."""
        ...

    async def update(self, **fields: Any) -> None:
        """Write fields of the state now, once however often this code is executed; returns when the log has it.

        They are seen as what the step returns would be: by who looks at the run, and by what comes behind the step,
        also if it fails. A field with a reducer gets it added. Raises `StepSignatureError` for a field that the step
        does not declare with `updates=`, and for values that do not fit.
        """
        ...

    async def restart_with(self, **state: Any) -> NoReturn:
        """Begin anew with these values of fields that the step reads, and without what is in the journal.

        For code without end: the journal does not grow. Calls made from then on have keys of their own, and attempts
        are counted anew; children that nobody waits for are cancelled. Raises `StepSignatureError` inside of a
        `gather`, for a field that the step does not declare with `restarts=`, and for values that do not fit.
        """
        ...

    @overload
    async def child(
        self,
        workflow: "Durable[..., T]",
        inputs: Mapping[str, Any],
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - as above
        options: ChildOptions | None = None,
    ) -> T: ...

    @overload
    async def child(
        self,
        workflow: "Workflow[Any]",
        inputs: Mapping[str, Any],
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - as above
        options: ChildOptions | None = None,
    ) -> Any: ...

    async def child(
        self,
        workflow: "Workflow[Any]",
        inputs: Mapping[str, Any],
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - as above
        options: ChildOptions | None = None,
    ) -> Any:
        """Start a run of `workflow` with these inputs, and wait for what it returns; the step holds nothing meanwhile.

        It is the same run however often this code is executed. Raises `CallFailed` if it does not succeed or cannot be
        started, and TimeoutError; `InvalidInput` if the inputs do not fit, and `StepSignatureError` for a workflow that
        the step does not declare with `children=`.
        """
        ...

    async def ask(
        self,
        question: str,
        as_type: type[T],
        *,
        show: Any = None,
        timeout: Duration | None,  # noqa: ASYNC109 - as above
        allow: tuple[Verb, ...] = ("approve", "reject"),
        to: Asking | None = None,
    ) -> Answered[T]:
        """Ask a human, as a `human` block does, and wait; None as `timeout` must be written out: for ever.

        `show`: data that they are to see. Answer it at the path `step path?position`, by CLI, client or record. Raises
        TimeoutError.
        """
        ...
