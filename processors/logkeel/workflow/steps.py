"""A step as it was declared: callable as the plain function, and a block of a flow."""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, overload

from msgspec import UNSET

from logkeel.definitions import RetryPolicy, StepDefinition, WriteDefinition
from logkeel.records import Operation
from logkeel.workflow.durations import Duration
from logkeel.workflow.effects import EffectDeclaration
from logkeel.workflow.limits import Limit, limit_definitions
from logkeel.workflow.problems import Problem, place_of, raise_for
from logkeel.workflow.retry import Retry
from logkeel.workflow.signature import Signature
from logkeel.workflow.starting import NOTHING, Started
from logkeel.workflow.timeouts import Timeout

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
V = TypeVar("V")
W_contra = TypeVar("W_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Happened(Generic[V]):
    """A check's answer: the effect has happened, with this result. Needed where the result may be None or False."""

    result: V


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How a step is run, as declared. `operations`: how each of `writes` changes its field.

    `limits_name`: what limits are called that have no name. `updates`, `update_operations`: the same of what its code
    writes before it ends. `restarts`: fields it reads, and may write to begin anew with. `uses`: of budgets, by unit.
    """

    name: str
    effect: EffectDeclaration
    writes: tuple[str, ...]
    timeout: Timeout
    retry: RetryPolicy
    queue: str
    cpu: bool = False
    journal: bool = False
    operations: tuple[Operation, ...] = ()
    limits: tuple[Limit, ...] = ()
    limits_name: str = ""
    children: Started = NOTHING
    updates: tuple[str, ...] = ()
    update_operations: tuple[Operation, ...] = ()
    restarts: tuple[str, ...] = ()
    uses: Mapping[str, int] = field(default_factory=dict)

    @property
    def changes(self) -> tuple[tuple[str, Operation], ...]:
        """All that it may write, at its end or before: fields and operations."""
        return (
            *zip(self.writes, self.operations, strict=True),
            *zip(self.updates, self.update_operations, strict=True),
            *((name, "replace") for name in self.restarts),
        )


class Step(Generic[P, R]):
    """A decorated step function. Calling it calls the function and nothing else."""

    def __init__(self, function: Callable[P, R], settings: StepSettings, signature: Signature, bind: "BindCheck"):
        self.function = function
        self.settings = settings
        self.signature = signature
        self.check_signature: Signature | None = None
        self._bind_check = bind
        self.undo_step: Step[..., Any] | None = None
        self.declare_undo: DeclareUndo | None = None
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    @property
    def name(self) -> str:
        """The step's name in its workflow."""
        return self.settings.name

    def check(self, function: Callable[Q, V]) -> Callable[Q, V]:
        """Declare the check of a CHECKED step: has the effect already happened?

        It takes any of the parameters a step may take. It answers None or False for "has not happened". Otherwise it
        answers the step's result; True for a step that writes nothing; or `Happened(result)`, which is needed where the
        result itself may be None or False. Raises `DefinitionError`.
        """
        if self.settings.effect.kind != "CHECKED" or self.check_signature is not None:
            again = self.check_signature is not None
            what = f"step {self.name!r} {'has a check already' if again else 'is not CHECKED and needs no check'}"
            remedy = "keep one check" if again else "declare effect=CHECKED, or leave the check out"
            raise_for([Problem(what, place_of(function), remedy)])
        self.check_signature = self._bind_check(function)
        return function

    @overload
    def undo(self, function: Callable[Q, V], /) -> "Step[Q, V]": ...

    @overload
    def undo(self, /, **options: Unpack["UndoOptions"]) -> "Callable[[Callable[Q, V]], Step[Q, V]]": ...

    def undo(self, function: Callable[..., Any] | None = None, /, **options: Unpack["UndoOptions"]) -> Any:
        """Declare the step that undoes this one in a saga: `@charge.undo`, or `@charge.undo(effect=CHECKED)`.

        It is a step of its own, with its own attempts, time-out and key; its effect is that of the step if it is KEYED
        or IDEMPOTENT, else it says one. It may take what the step reads, and what it writes: None if nobody knows.
        Raises `DefinitionError`.
        """

        def declare(undoing: Callable[..., Any]) -> Step[..., Any]:
            if self.declare_undo is None:
                raise TypeError(f"step {self.name!r} belongs to no workflow")
            self.undo_step = self.declare_undo(self, undoing, options)
            return self.undo_step

        return declare if function is None else declare(function)

    def definition(self) -> StepDefinition:
        """The step as data."""
        settings = self.settings
        signatures = [each for each in (self.signature, self.check_signature) if each is not None]
        reads = {read.field for signature in signatures for read in signature.reads}
        return StepDefinition(
            name=self.name,
            effect=settings.effect.kind,
            queue=settings.queue,
            reads=tuple(sorted(reads)),
            writes=tuple(
                WriteDefinition(field=name, operation=operation)
                for name, operation in zip(settings.writes, settings.operations, strict=True)
            ),
            timeout_ms=settings.timeout.attempt_ms,
            heartbeat_timeout_ms=settings.timeout.heartbeat_ms,
            schedule_to_start_ms=settings.timeout.schedule_to_start_ms,
            retry=settings.retry,
            key_valid_for_ms=settings.effect.valid_for_ms,
            settle_ms=settings.effect.settle_ms,
            run_summary=True if any(signature.asks_run_view for signature in signatures) else UNSET,
            journaled=True if settings.journal else UNSET,
            limits=limit_definitions(settings.limits, settings.limits_name) if settings.limits else UNSET,
            updates=tuple(
                WriteDefinition(field=name, operation=operation)
                for name, operation in zip(settings.updates, settings.update_operations, strict=True)
            )
            or UNSET,
            restarts=settings.restarts or UNSET,
            uses=dict(settings.uses) or UNSET,
        )


BindCheck = Callable[[Callable[..., Any]], Signature]


class UndoOptions(TypedDict, total=False):
    """How an undo step is run; what is left out is as for any step."""

    effect: EffectDeclaration
    timeout: Timeout | Duration | None
    retry: Retry
    queue: str
    name: str


DeclareUndo = Callable[[Step[..., Any], Callable[..., Any], UndoOptions], Step[..., Any]]


class StepDecorator(Generic[W_contra]):
    """What `Workflow.step(...)` gives. `W_contra` is the type that `writes=` wants; the function returns that or less.

    The self types make checkers infer the function's own return type and compare it with the field's.
    """

    def __init__(self, declare: Callable[[Callable[..., Any]], Step[..., Any]]) -> None:
        self._declare = declare

    @overload
    def __call__(
        self: "StepDecorator[list[R]]", function: Callable[P, AsyncIterator[R]]
    ) -> Step[P, AsyncIterator[R]]: ...

    @overload
    def __call__(
        self: "StepDecorator[R]", function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Step[P, Coroutine[Any, Any, R]]: ...

    @overload
    def __call__(self: "StepDecorator[R]", function: Callable[P, R]) -> Step[P, R]: ...

    def __call__(self, function: Callable[..., Any]) -> Step[..., Any]:
        return self._declare(function)
