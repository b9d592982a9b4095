"""The state of a run as a typed class, and the fields found in it.

A pydantic model (best derived from `State`), a dataclass or a TypedDict. Fields without default are the run's input.
Control fields, which the engine may read, are typed `Literal`, `Enum` or `bool`, or marked `Annotated[int, Control]`;
every other field is an opaque payload. `schema_version`, `completed_steps` and `error_log` are filled by logkeel
(`views.py`): they are no input, and no step writes them.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, is_typeddict

from msgspec import UNSET, UnsetType
from pydantic import BaseModel, ConfigDict, TypeAdapter

from logkeel.definitions import Elements, FieldDefinition
from logkeel.workflow.annotations import class_hints, control_of, name_of, why_not_data
from logkeel.workflow.problems import Problem, raise_for
from logkeel.workflow.reducers import COMBINING, element_type, elements_of, operation_of
from logkeel.workflow.views import VIEW_FIELDS, ViewField, view_field, wanted_type


class State(BaseModel):
    """Base of state classes. Unknown input is refused, defaults are validated, assignments are checked."""

    model_config = ConfigDict(
        extra="forbid",
        validate_default=True,
        validate_assignment=True,
        arbitrary_types_allowed=True,  # so that a client as a field reaches the workflow's own, clearer refusal
    )


class _Missing:
    """No default."""


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class StateField:
    """One field: its type as data, and its default if it has one. `element`: the type of one of its elements."""

    name: str
    annotation: Any
    definition: FieldDefinition
    default: Callable[[], Any] | None
    adapter: TypeAdapter[Any]
    element: TypeAdapter[Any] | None = None

    @property
    def elements(self) -> Elements | None:
        """How it is kept element by element, if it is."""
        kind = self.definition.elements
        return None if isinstance(kind, UnsetType) else kind


@dataclass(frozen=True, slots=True)
class StateShape:
    """The fields of a state class, in its order, without the view fields."""

    state: type[Any]
    fields: Mapping[str, StateField]
    view_fields: Mapping[str, ViewField]
    schema_version: int

    def build(self, values: Mapping[str, Any]) -> Any:
        """An instance of the state class from field values. Raises what the class raises."""
        if is_typeddict(self.state):
            return dict(values)
        return self.state(**values)


def shape_of(state: type[Any]) -> StateShape:
    """Look at a state class. Raises `DefinitionError` with everything that is wrong with its fields."""
    hints = _hints(state)
    defaults = _defaults(state)
    problems = [problem for name in hints if (problem := _problem(state, name, hints[name])) is not None]
    raise_for(problems)
    views = {name: view_field(name, hint) for name, hint in hints.items() if name in VIEW_FIELDS}
    raise_for([_view_problem(state, name, hints[name]) for name, view in views.items() if view is None])
    fields = {
        name: _field(name, hint, defaults.get(name), required=_required(state, name, defaults))
        for name, hint in hints.items()
        if name not in VIEW_FIELDS
    }
    raise_for([each for name, field in fields.items() if (each := _default_problem(state, name, field)) is not None])
    version = defaults.get("schema_version")
    return StateShape(
        state=state,
        fields=fields,
        view_fields={name: view for name, view in views.items() if view is not None},
        schema_version=1 if version is None else int(version()),
    )


def _hints(state: Any) -> dict[str, Any]:
    kind_is_known = is_typeddict(state) or dataclasses.is_dataclass(state)
    if not kind_is_known and not (isinstance(state, type) and issubclass(state, BaseModel)):
        remedy = "derive it from logkeel.workflow.State, or make it a dataclass or a TypedDict"
        raise_for([Problem(f"{state!r} is no state class", f"state={state!r}", remedy)])
    hints = class_hints(state)
    if isinstance(state, type) and issubclass(state, BaseModel):
        return {name: hints[name] for name in state.model_fields}
    return hints


def _defaults(state: type[Any]) -> dict[str, Callable[[], Any]]:
    if is_typeddict(state):
        return {}
    if issubclass(state, BaseModel):
        found = {n: f for n, f in state.model_fields.items() if not f.is_required()}
        return {name: _model_default(field) for name, field in found.items()}
    found_fields = {f.name: f for f in dataclasses.fields(state)}
    return {name: make for name, field in found_fields.items() if (make := _dataclass_default(field)) is not None}


def _model_default(field: Any) -> Callable[[], Any]:
    return lambda: field.get_default(call_default_factory=True)


def _dataclass_default(field: Any) -> Callable[[], Any] | None:
    if field.default_factory is not dataclasses.MISSING:
        factory: Callable[[], Any] = field.default_factory
        return factory
    if field.default is not dataclasses.MISSING:
        return lambda: field.default
    return None


def _required(state: type[Any], name: str, defaults: Mapping[str, Any]) -> bool:
    if is_typeddict(state):
        return name in state.__required_keys__
    return name not in defaults


def _problem(state: type[Any], name: str, hint: Any) -> Problem | None:
    place = f"{state.__module__}.{state.__qualname__}.{name}"
    reason = why_not_data(hint)
    if reason is not None:
        remedy = "keep data in the state, and hand clients, handles and secrets to steps as Resource(...) parameters"
        return Problem(f"field {name!r} cannot be stored: {reason}", place, remedy)
    try:
        control_of(hint)
    except ValueError as error:
        remedy = "use Control on int, float or str, and choices of one type: str, int or bool"
        return Problem(f"field {name!r} cannot be a control field: {error}", place, remedy)
    return None if name in VIEW_FIELDS else _reducer_problem(name, hint, place)


def _reducer_problem(name: str, hint: Any, place: str) -> Problem | None:
    try:
        operation = operation_of(hint)
        elements = elements_of(hint, operation)
    except ValueError as error:
        remedy = "use Append on a list, Put on a dict[str, ...], or Add, Max, Min on a control field of numbers"
        return Problem(f"field {name!r} cannot have its reducer: {error}", place, remedy)
    control = control_of(hint)
    is_number = control is not None and control.kind in ("int", "float") and not control.choices
    if operation in COMBINING and not is_number:
        remedy = f"mark it as Annotated[int, Control, {operation.title()}], or leave the reducer out"
        return Problem(
            f"field {name!r} is combined by {operation!r}, but is no control field of numbers", place, remedy
        )
    if elements is not None and control is not None:
        remedy = "leave Control out: the engine does not look into elements"
        return Problem(f"field {name!r} is kept element by element, and cannot be a control field", place, remedy)
    return None


def _default_problem(state: type[Any], name: str, field: StateField) -> Problem | None:
    """The engine begins such a field without elements, and knows no default of the class."""
    if field.elements is None or field.default is None or not field.default():
        return None
    place = f"{state.__module__}.{state.__qualname__}.{name}"
    what = f"field {name!r} is kept element by element, and its default is not empty"
    return Problem(what, place, "let it begin empty, and let the input or a step fill it")


def _view_problem(state: type[Any], name: str, hint: Any) -> Problem:
    place = f"{state.__module__}.{state.__qualname__}.{name}"
    what = f"field {name!r} is filled by logkeel, and its type {name_of(hint)} does not take what it is filled with"
    return Problem(what, place, f"declare it as {wanted_type(name)}, or choose another name for a field of your own")


def _field(name: str, hint: Any, default: Callable[[], Any] | None, *, required: bool) -> StateField:
    control = control_of(hint)
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    operation = operation_of(hint)
    elements = elements_of(hint, operation)
    if control is None:
        definition = FieldDefinition(name=name, required=required, reducer=operation, elements=elements or UNSET)
        element = None if elements is None else TypeAdapter(element_type(hint))
        return StateField(name, hint, definition, default, adapter, element)
    definition = FieldDefinition(
        name=name,
        required=required,
        control_type=control.kind,
        choices=control.choices,
        nullable=control.nullable,
        default=None if default is None else control.as_control(default()),
        reducer=operation,
    )
    return StateField(name, hint, definition, default, adapter)
