"""The fields of a state, as data."""

from typing import Literal

import msgspec

from logkeel.records import Control, Operation

ControlType = Literal["bool", "int", "float", "string"]


class FieldDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the state. `control_type` None: an opaque payload. `required`: part of the run's input."""

    name: str
    required: bool = False
    control_type: ControlType | None = None
    choices: tuple[str | int | bool, ...] = ()
    nullable: bool = False
    default: Control = None
    reducer: Operation = "replace"
