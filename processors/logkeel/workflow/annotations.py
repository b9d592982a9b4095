"""Reads type annotations: hints with their extras, optional types, control types, and whether a type is data. Pure."""

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from pydantic import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, SecretBytes, SecretStr, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from logkeel.definitions import ControlType
from logkeel.records import Control as ControlValue
from logkeel.records import Operation


class Control:
    """Marks a control field: `rounds: Annotated[int, Control] = 0`. The engine may read it; it is never encrypted."""


@dataclass(frozen=True, slots=True)
class Reducer:
    """How writes to a field are combined, by name: `Annotated[list[str], Reducer("append")]` is `Append`."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class ControlShape:
    """A control field's Avro type, its choices if it has some, and whether it may be None."""

    kind: ControlType
    choices: tuple[str | int | bool, ...] = ()
    nullable: bool = False

    @staticmethod
    def as_control(value: Any) -> ControlValue:
        """`value` as an Avro primitive: members of an Enum by their value."""
        plain: ControlValue = value.value if isinstance(value, Enum) else value
        return plain


_KINDS: dict[type, ControlType] = {bool: "bool", int: "int", float: "float", str: "string"}


def class_hints(owner: Any) -> dict[str, Any]:
    """Type hints of a class with `Annotated` kept, `Required` and `NotRequired` taken off. Raises NameError."""
    return {name: _without_requirement(hint) for name, hint in get_type_hints(owner, include_extras=True).items()}


def function_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Type hints of a function with `Annotated` kept; None stands for NoneType. Raises NameError."""
    return get_type_hints(inspect.unwrap(function), include_extras=True)


def bare(hint: Any) -> Any:
    """`hint` without `Annotated`."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def extras(hint: Any) -> tuple[Any, ...]:
    """What `Annotated` adds to `hint`."""
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def accepts_none(hint: Any) -> bool:
    """Whether None is a value of the type."""
    plain = bare(hint)
    if plain is None or plain is type(None) or plain is Any or plain is object:
        return True
    if get_origin(plain) in (Union, types.UnionType):
        return any(accepts_none(part) for part in get_args(plain))
    return get_origin(plain) is Literal and None in get_args(plain)


def without_none(hint: Any) -> Any:
    """The one type that stays when None is taken out of a union; else `hint` as it is, without `Annotated`."""
    plain = bare(hint)
    if get_origin(plain) in (Union, types.UnionType):
        rest = [part for part in get_args(plain) if part is not type(None)]
        return bare(rest[0]) if len(rest) == 1 else plain
    return plain


def control_of(hint: Any) -> ControlShape | None:
    """What makes the type a control field, or None. Raises ValueError when it is marked but cannot be one."""
    nullable = accepts_none(hint)
    plain = without_none(hint)
    if plain is bool:
        return ControlShape("bool", nullable=nullable)
    if get_origin(plain) is Literal:
        return _choice([value for value in get_args(plain) if value is not None], nullable=nullable)
    if inspect.isclass(plain) and issubclass(plain, Enum):
        return _choice([member.value for member in plain], nullable=nullable)
    if not any(extra is Control or isinstance(extra, Control) for extra in extras(hint)):
        return None
    if plain not in _KINDS:
        raise ValueError(f"{name_of(plain)} is no control type")
    return ControlShape(_KINDS[plain], nullable=nullable)


def why_not_data(hint: Any) -> str | None:
    """Why values of this type cannot be written down as JSON, or None if they can."""
    if any(part in (SecretStr, SecretBytes) for part in _parts(hint)):
        return "a secret does not belong into stored state"
    try:
        TypeAdapter(hint).json_schema(mode="serialization")
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUndefinedAnnotation):
        return f"{name_of(without_none(hint))} is not data"
    except PydanticUserError as error:
        return str(error.message)
    return None


def name_of(hint: Any) -> str:
    """A type as a reader writes it."""
    return hint.__name__ if inspect.isclass(hint) and not get_args(hint) else str(hint).replace("typing.", "")


def _parts(hint: Any) -> list[Any]:
    return [hint] + [inner for part in get_args(hint) for inner in _parts(part)]


def _choice(values: list[Any], *, nullable: bool) -> ControlShape:
    kinds = {_KINDS.get(_plain_type(value)) for value in values}
    if len(kinds) != 1 or None in kinds:
        raise ValueError(f"its choices are of several types or of none that fits: {values!r}")
    return ControlShape(next(kind for kind in kinds if kind), tuple(values), nullable)


def _plain_type(value: Any) -> type:
    return next((kind for kind in (bool, int, str) if isinstance(value, kind)), type(value))


def _without_requirement(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint
