"""What a worker needs of a workflow, as protocols: `logkeel.workflow` gives it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from logkeel.records import CallLimit, FieldValue, FieldWrite, WorkflowDefinition
from logkeel.workflow.context import RunView
from logkeel.workflow.limits import Limit
from logkeel.workflow.resources import Resource


class BoundFunction(Protocol):
    """A function of a step with its parameters resolved; every argument goes by keyword."""

    @property
    def function(self) -> Callable[..., Any]:
        """The author's function."""
        ...

    @property
    def is_async(self) -> bool:
        """Whether calling it gives a coroutine."""
        ...

    @property
    def is_cpu(self) -> bool:
        """Whether it is called in a process of its own."""
        ...

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Resources by parameter name."""
        ...

    @property
    def context_parameter(self) -> str | None:
        """The parameter that takes the StepContext."""
        ...

    @property
    def asks_run_view(self) -> bool:
        """Whether it looks at what the run has behind it."""
        ...

    def view_arguments(self, view: RunView) -> dict[str, Any]:
        """Keyword arguments from what the run has behind it."""
        ...

    def decode_inputs(self, inputs: Sequence[FieldValue]) -> dict[str, Any]:
        """Keyword arguments. Raises `DataError`."""
        ...


class BoundCheck(BoundFunction, Protocol):
    """The check of a CHECKED step."""

    def encode_answer(self, answer: Any) -> tuple[FieldWrite, ...] | None:
        """Field writes if the effect has happened, None if it has not."""
        ...


class CallFrame(Protocol):
    """What the workflow of a step says of its code's calls. Both raise `LogkeelError` for what does not fit."""

    def limits(self, limits: Sequence[Limit]) -> tuple[CallLimit, ...]:
        """These limits as data."""
        ...

    def uses(self, uses: Mapping[str, int]) -> dict[str, int]:
        """What a try of a call uses at most of budgets, by unit."""
        ...


class BoundStep(BoundFunction, Protocol):
    """A step."""

    @property
    def yields(self) -> str | None:
        """The field that gets what it yields, if it is a generator."""
        ...

    @property
    def check(self) -> BoundCheck | None:
        """The check of a CHECKED step."""
        ...

    @property
    def children(self) -> Mapping[str, object]:
        """Workflows that its code may start as runs, by name. Raises `DefinitionError`."""
        ...

    @property
    def frame(self) -> "CallFrame":
        """What calls of its code may keep to."""
        ...

    def encode_update(self, values: Mapping[str, Any]) -> tuple[FieldWrite, ...]:
        """Field writes from what its code writes before it ends. Raises `LogkeelError` when it does not fit."""
        ...

    def encode_restart(self, values: Mapping[str, Any]) -> tuple[FieldWrite, ...]:
        """Field writes from what its code begins anew with. Raises `LogkeelError` when it does not fit."""
        ...

    def encode_result(self, value: Any) -> tuple[FieldWrite, ...]:
        """Field writes from what the step returned. Raises `LogkeelError` when it does not fit."""
        ...


class RunnableWorkflow(Protocol):
    """A workflow whose steps this worker can run."""

    def definition(self, *, published_at_ms: int = 0) -> WorkflowDefinition:
        """The workflow as data."""
        ...

    def bind(self, step_name: str) -> BoundStep:
        """One of its steps. Raises `KeyError` or `LogkeelError` for an unknown one."""
        ...
