"""Which control value an author means by a case or a `leave`, and whether its field can have it. Pure.

The engine compares control values with their types: True is not 1, and "1" is not 1. So what an author writes becomes
the very value that the field has, or it is refused: a case that can never be true would be passed over in silence.
"""

import math
from enum import Enum
from typing import Any

from logkeel.definitions import FieldDefinition
from logkeel.records import Control


def choices_of(field: FieldDefinition) -> tuple[str | int | bool, ...]:
    """All values but None that the field can have; empty if they cannot be counted."""
    return (True, False) if field.control_type == "bool" else field.choices


def may_be_none(field: FieldDefinition) -> bool:
    """Whether the engine can find None in it: by its type, or since nothing has written it."""
    return field.nullable or (not field.required and field.default is None)


def control_value(field: FieldDefinition, value: Any) -> Control:
    """The value of a control field that is meant: an Enum's member, a value, or a value by its text.

    Raises ValueError, saying what to write, for what the field can never have.
    """
    plain = value.value if isinstance(value, Enum) else value
    if plain is None and may_be_none(field):
        return None
    choices = choices_of(field)
    if not choices:
        return _of_type(field, plain)
    for choice in choices:
        if type(plain) is type(choice) and plain == choice:
            return choice
    by_text: dict[object, Control] = {_text(choice): choice for choice in choices}
    if isinstance(plain, str) and plain in by_text:
        return by_text[plain]
    raise ValueError(f"use one of {', '.join(map(repr, choices))}")


def _of_type(field: FieldDefinition, plain: Any) -> Control:
    match field.control_type:
        case "string" if isinstance(plain, str):
            return str(plain)
        case "int" if isinstance(plain, int | str) and not isinstance(plain, bool):
            return _number(plain, int)
        case "float" if isinstance(plain, int | float | str) and not isinstance(plain, bool):
            return _number(plain, float)
        case _:
            raise ValueError(f"use a value of type {field.control_type}")


def _number(plain: float | str, kind: type[int] | type[float]) -> Control:
    try:
        number = kind(plain)
    except (ValueError, OverflowError):
        raise ValueError(f"use a value of type {kind.__name__}") from None
    if not math.isfinite(number):
        raise ValueError("use a number that is finite")  # JSON has no other, and a definition is JSON
    return number


def _text(choice: str | int | bool) -> str:
    """As a keyword says it: `true=`, `good=`."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)
