"""Control values out of JSON: what a run request brings for the fields that the engine may read."""

import math

import msgspec

from logkeel.definitions import FieldDefinition
from logkeel.errors import InvalidInput
from logkeel.records import Control

LONG_MIN = -(2**63)
LONG_MAX = 2**63 - 1


def control_from_json(raw: bytes, field: FieldDefinition) -> Control:
    """The control value that the JSON text `raw` means for `field`.

    An int field takes whole numbers of 64 bits without fraction or exponent, a float field any finite number. Raises
    `InvalidInput` when the text is no such value, is null for a field that may not be, or is none of the choices.
    """
    try:
        value = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise _invalid(field, f"is not JSON: {error}") from error
    if value is None:
        if field.nullable:
            return None
        raise _invalid(field, "may not be null")
    control = _typed(value, field)
    if field.choices and not any(type(choice) is type(control) and choice == control for choice in field.choices):
        raise _invalid(field, f"must be one of {', '.join(map(repr, field.choices))}")
    return control


def _typed(value: object, field: FieldDefinition) -> bool | int | float | str:
    match field.control_type, value:
        case "bool", bool():
            return value
        case "string", str():
            return value
        case "int", int() if not isinstance(value, bool) and LONG_MIN <= value <= LONG_MAX:
            return value
        case "float", int() | float() if not isinstance(value, bool) and math.isfinite(number := _float(value)):
            return number
    raise _invalid(field, f"must be a JSON value of type {field.control_type}")


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _invalid(field: FieldDefinition, problem: str) -> InvalidInput:
    return InvalidInput(f"field {field.name!r} {problem}", field=field.name)
