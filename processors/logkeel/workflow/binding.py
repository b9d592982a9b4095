"""A step as a worker runs it: arguments from field values, field writes from the result. Pure.

Opening resources, calling the function and enforcing its time-out are the worker's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logkeel.errors import InvalidInput, StepSignatureError
from logkeel.records import FieldValue, FieldWrite, Operation
from logkeel.workflow.call_limits import Frame
from logkeel.workflow.context import RunView
from logkeel.workflow.payloads import (
    decode_elements,
    decode_field,
    encode_write,
    inline_json,
    is_absent,
    reasons,
)
from logkeel.workflow.resources import Resource
from logkeel.workflow.signature import Read, Signature
from logkeel.workflow.starting import Started
from logkeel.workflow.state import StateField
from logkeel.workflow.steps import Happened, Step

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class BoundFunction:
    """A function of a step with its parameters resolved. All arguments go by keyword."""

    signature: Signature
    fields: Mapping[str, StateField]

    @property
    def function(self) -> Callable[..., Any]:
        """The author's function."""
        return self.signature.function

    @property
    def is_async(self) -> bool:
        """Whether calling it gives a coroutine."""
        return self.signature.is_async

    @property
    def is_cpu(self) -> bool:
        """Whether it is called in a process of its own."""
        return False

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Resources by parameter name."""
        return self.signature.resources

    @property
    def context_parameter(self) -> str | None:
        """The parameter that takes the StepContext, if there is one."""
        return self.signature.context_parameter

    @property
    def asks_run_view(self) -> bool:
        """Whether it looks at what the run has behind it."""
        return self.signature.asks_run_view

    def view_arguments(self, view: RunView) -> dict[str, Any]:
        """Keyword arguments from what the run has behind it."""
        return {name: read(view) for name, read in self.signature.views.items()}

    def decode_inputs(self, inputs: Sequence[FieldValue]) -> dict[str, Any]:
        """Keyword arguments from the fields of a command; an absent field takes its default.

        Raises `InvalidInput` with all `problems`, and `UndecodableRecord`.
        """
        given = {value.field: value for value in inputs if not is_absent(value)}
        arguments: dict[str, Any] = {}
        problems: list[str] = []
        for read in self.signature.reads:
            try:
                if read.item is not None:
                    arguments[read.field] = read.item.validate_json(_item_of(read, given))
                elif read.field in given:
                    arguments[read.field] = decode_field(self.fields[read.field], given[read.field])
                else:
                    arguments |= self._absent(read)
            except ValueError as error:
                problems += [f"{read.field}: {reason}" for reason in reasons(error)]
        if problems:
            raise InvalidInput("; ".join(problems), problems=problems)
        return arguments

    def _absent(self, read: Read) -> dict[str, Any]:
        if self.fields[read.field].elements is not None:
            return {read.field: decode_elements(self.fields[read.field], ())}
        default = self.fields[read.field].default
        if default is not None and (value := default()) is not None:
            return {read.field: value}
        if read.has_default:
            return {}
        if read.accepts_none or default is not None:
            return {read.field: None}
        raise ValueError("has no value and no default")


def _item_of(read: Read, given: Mapping[str, FieldValue]) -> bytes:
    """The element, or the list of those that are reduced together, as JSON."""
    if read.field not in given:
        raise ValueError("has no element to work on")
    value = given[read.field]
    if not value.elements:
        return inline_json(read.field, value.payload)
    return b"[" + b",".join(inline_json(read.field, each.payload) for each in value.elements) + b"]"


@dataclass(frozen=True, slots=True)
class BoundCheck(BoundFunction):
    """The check of a CHECKED step."""

    step: "BoundStep"

    def encode_answer(self, answer: Any) -> tuple[FieldWrite, ...] | None:
        """Field writes if the effect has happened, None if it has not. Raises as `BoundStep.encode_result`."""
        if isinstance(answer, Happened):
            return self.step.encode_result(answer.result)
        if answer is None or answer is False:
            return None
        return self.step.encode_result(None if answer is True and not self.step.writes else answer)


@dataclass(frozen=True, slots=True)
class BoundStep(BoundFunction):
    """A step with its parameters and writes resolved."""

    name: str
    writes: tuple[str, ...]
    operations: tuple[Operation, ...]
    check_signature: Signature | None
    cpu: bool
    started: Started
    updates: Mapping[str, Operation]
    restarts: tuple[str, ...]
    frame: Frame

    @property
    def children(self) -> "Mapping[str, Workflow[Any]]":
        """As it declared them. Raises `DefinitionError`."""
        return self.started.by_name()

    @property
    def is_cpu(self) -> bool:
        """Whether it was declared with `cpu=True`; its check never is."""
        return self.cpu

    @property
    def yields(self) -> str | None:
        """The field that gets what it yields, if it is a generator."""
        return [*self.updates][-1] if self.signature.yields else None

    @property
    def check(self) -> BoundCheck | None:
        """The check, for a CHECKED step."""
        if self.check_signature is None:
            return None
        return BoundCheck(signature=self.check_signature, fields=self.fields, step=self)

    def encode_result(self, value: Any) -> tuple[FieldWrite, ...]:
        """Field writes from what the step returned, in the order of `writes=`.

        Raises `StepSignatureError` with all `problems` when it does not fit the fields.
        """
        return self._encoded(zip(self.writes, self.operations, self._parts(value), strict=True))

    def encode_update(self, values: Mapping[str, Any]) -> tuple[FieldWrite, ...]:
        """Field writes from what the code writes before it ends. Raises as `encode_result`."""
        unknown = [name for name in values if name not in self.updates]
        if unknown or not values:
            raise self._unfit([f"{name}: is not declared with updates=" for name in unknown] or ["it updates nothing"])
        return self._encoded((name, self.updates[name], value) for name, value in values.items())

    def encode_restart(self, values: Mapping[str, Any]) -> tuple[FieldWrite, ...]:
        """Field writes from what the code begins anew with, each the whole value. Raises as `encode_result`."""
        unknown = [name for name in values if name not in self.restarts]
        if unknown or not self.restarts:
            raise self._unfit([f"{name}: is not declared with restarts=" for name in unknown or ("it",)])
        return self._encoded((name, "replace", value) for name, value in values.items())

    def _encoded(self, parts: Iterable[tuple[str, Operation, Any]]) -> tuple[FieldWrite, ...]:
        problems: list[str] = []
        writes: list[FieldWrite] = []
        for name, operation, part in parts:
            try:
                writes += encode_write(self.fields[name], part, operation)
            except ValueError as error:
                problems += [f"{name}: {reason}" for reason in reasons(error)]
        if problems:
            raise self._unfit(problems)
        return tuple(writes)

    def _parts(self, value: Any) -> Sequence[Any]:
        if not self.writes:
            if value is not None:
                raise self._unfit([f"it writes nothing, but returned a {type(value).__name__}"])
            return ()
        if len(self.writes) == 1:
            return (value,)
        if not isinstance(value, tuple) or len(value) != len(self.writes):
            raise self._unfit([f"it writes {', '.join(self.writes)}, so it returns a tuple of {len(self.writes)}"])
        return value

    def _unfit(self, problems: list[str]) -> StepSignatureError:
        message = f"what step {self.name!r} writes does not fit its fields: {'; '.join(problems)}"
        return StepSignatureError(message, step=self.name, problems=problems)


def bound(step: Step[..., Any], fields: Mapping[str, StateField], units: Mapping[str, int]) -> BoundStep:
    """Bind a declared step to the fields of its state, and to the units of its workflow's budgets."""
    return BoundStep(
        signature=step.signature,
        fields=fields,
        name=step.name,
        writes=step.settings.writes,
        operations=step.settings.operations,
        check_signature=step.check_signature,
        cpu=step.settings.cpu,
        started=step.settings.children,
        restarts=step.settings.restarts,
        updates=dict(zip(step.settings.updates, step.settings.update_operations, strict=True)),
        frame=Frame(step.name, step.signature.place, fields, units, step.settings.uses),
    )
