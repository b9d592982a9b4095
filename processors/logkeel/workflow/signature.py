"""What the parameters of a step or check mean: a field to read, the run so far, the context, or a resource. Pure."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter

from logkeel.workflow.annotations import accepts_none, bare, extras, function_hints, name_of, why_not_data, without_none
from logkeel.workflow.context import RunView, StepContext
from logkeel.workflow.problems import Problem, place_of, raise_for
from logkeel.workflow.resources import Resource
from logkeel.workflow.state import StateField, StateShape
from logkeel.workflow.views import VIEW_FIELDS, ViewReader, view_field, wanted_type


@dataclass(frozen=True, slots=True)
class Read:
    """A parameter that is filled with a field of its name; `item`: with the element that the step works on."""

    field: str
    annotation: Any
    accepts_none: bool
    has_default: bool
    item: TypeAdapter[Any] | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as logkeel calls it, by keyword. `result` is the return annotation, None being NoneType.

    `views`: parameters that are filled with what the run has behind it. `asks_run_view`: it looks at that, be it by a
    parameter or by its context. `yields`: it is an async generator, which gives one element after the other.
    """

    function: Callable[..., Any]
    reads: tuple[Read, ...]
    resources: Mapping[str, Resource]
    context_parameter: str | None
    views: Mapping[str, ViewReader]
    asks_run_view: bool
    result: Any
    is_async: bool
    place: str
    yields: bool = False


def signature_of(function: Callable[..., Any], shape: StateShape) -> Signature:
    """Bind the parameters of `function`. Raises `DefinitionError` with everything that is wrong with them."""
    place = place_of(function)
    raise_for(_kind_problems(function, place))
    hints = _hints(function, place)
    problems: list[Problem] = []
    reads: list[Read] = []
    resources: dict[str, Resource] = {}
    contexts: dict[str, bool] = {}
    views: dict[str, ViewReader] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, Any)
        resource = next((extra for extra in extras(hint) if isinstance(extra, Resource)), None)
        if resource is not None:
            resources[parameter.name] = resource
        elif without_none(hint) is StepContext:
            contexts[parameter.name] = RunView in extras(hint)
        elif without_none(hint) is RunView:
            views[parameter.name] = _whole
        elif parameter.name in shape.view_fields:
            problems += _view_problems(function, parameter, hint, views)
        elif _may_be_item(parameter, shape) and why_not_data(hint) is None:
            # Which elements there are is said by the flow, which comes later.
            reads.append(replace(_read(parameter, hint), item=TypeAdapter(hint)))
        else:
            problems += _read_problems(function, parameter, hint, shape.fields)
            reads.append(_read(parameter, hint))
    raise_for(problems)
    return Signature(
        function=function,
        reads=tuple(reads),
        resources=resources,
        context_parameter=next(iter(contexts), None),
        views=views,
        asks_run_view=bool(views) or any(contexts.values()),
        result=hints.get("return", Any),
        is_async=inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
        place=place,
        yields=inspect.isasyncgenfunction(function),
    )


def unknown_parameter(step: str, name: str, fields: Iterable[str], place: str) -> Problem:
    """Nothing fills it."""
    remedy = (
        f"name it after a field ({', '.join(fields)}), or annotate it as StepContext"
        " or as Annotated[..., Resource(...)]"
    )
    return Problem(f"step {step!r} has the parameter {name!r}, which matches nothing", place, remedy)


def are_other_types(wanted: Any, given: Any) -> bool:
    """Whether values of the one type are surely none of the other: scalars that differ, a list for a scalar."""
    wanted, given = without_none(wanted), without_none(given)
    if wanted in _SCALARS and get_origin(given) in _COLLECTIONS:
        return True
    if wanted not in _SCALARS or given not in _SCALARS or wanted is given:
        return False
    return not (wanted is float and given is int)


def _may_be_item(parameter: inspect.Parameter, shape: StateShape) -> bool:
    """Where the state has a field that an each block can go through."""
    is_ordinary = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    unknown = parameter.name not in shape.fields and parameter.name not in VIEW_FIELDS
    return is_ordinary and unknown and any(field.elements is not None for field in shape.fields.values())


def tuple_length(hint: Any) -> int | None:
    """How many values a fixed-length tuple annotation has; None for any other type."""
    plain = bare(hint)
    if get_origin(plain) is not tuple or Ellipsis in get_args(plain):
        return None
    return len(get_args(plain))


def _kind_problems(function: Callable[..., Any], place: str) -> list[Problem]:
    name = getattr(function, "__name__", repr(function))
    if inspect.isgeneratorfunction(function):
        remedy = "make it an `async def` that yields, or return the whole value"
        return [Problem(f"step {name!r} is a plain generator, which is not supported", place, remedy)]
    if not inspect.isroutine(function):
        return [Problem(f"{name} is not a function", place, "decorate a `def` or an `async def`")]
    return []


def _hints(function: Callable[..., Any], place: str) -> dict[str, Any]:
    try:
        return function_hints(function)
    except NameError as error:
        remedy = "import it where the module is executed, not under TYPE_CHECKING, and define it at module level"
        raise_for([Problem(f"an annotation of {function.__name__!r} cannot be resolved: {error}", place, remedy)])
        raise


def _read(parameter: inspect.Parameter, hint: Any) -> Read:
    has_default = parameter.default is not inspect.Parameter.empty
    return Read(parameter.name, hint, accepts_none(hint) and hint is not Any, has_default)


def _read_problems(
    function: Callable[..., Any], parameter: inspect.Parameter, hint: Any, fields: Mapping[str, StateField]
) -> list[Problem]:
    step, name, place = function.__name__, parameter.name, place_of(function)
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        remedy = "name each field as an ordinary parameter"
        return [Problem(f"step {step!r} has the parameter {str(parameter)!r}, which cannot be filled", place, remedy)]
    if name in VIEW_FIELDS:
        remedy = f"declare `{name}: {wanted_type(name)}` in the state class, or take a parameter of type RunView"
        return [Problem(f"step {step!r} reads {name!r}, which the state class does not declare", place, remedy)]
    if name not in fields:
        return [unknown_parameter(step, name, fields, place)]
    return type_problems(step, name, hint, fields[name].annotation, place)


def _whole(view: RunView) -> RunView:
    return view


def _view_problems(
    function: Callable[..., Any], parameter: inspect.Parameter, hint: Any, views: dict[str, ViewReader]
) -> list[Problem]:
    """Fills `views`, if the parameter's own type takes what there is."""
    step, name = function.__name__, parameter.name
    field = view_field(name, hint)
    if field is None:
        what = f"step {step!r} reads {name!r} as {name_of(hint)}, which does not take what it is filled with"
        return [Problem(what, place_of(function), f"annotate the parameter as {wanted_type(name)}")]
    views[name] = field.value
    return []


_SCALARS = (str, int, float, bool, bytes)
_COLLECTIONS = (list, dict, set, tuple)


def type_problems(step: str, name: str, hint: Any, field_hint: Any, place: str) -> list[Problem]:
    """Whether a parameter takes what it is filled with, as far as that can be seen."""
    if not are_other_types(hint, field_hint):
        return []
    wanted, given = name_of(without_none(hint)), name_of(without_none(field_hint))
    what = f"step {step!r} reads {name!r} as {wanted}, but the field is {given}"
    return [Problem(what, place, f"annotate the parameter as {given}")]
