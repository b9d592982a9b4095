"""The fields of a state, as data."""

from typing import Literal

import msgspec

from logkeel.records import Control, Operation

ControlType = Literal["bool", "int", "float", "string"]

Elements = Literal["list", "map"]


class FieldDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the state. `control_type` None: an opaque payload. `required`: part of the run's input.

    `reducer`: how a write changes the field unless it says otherwise. `elements`: it is kept element by element, as a
    list or by key; unset rather than None by default, for the digests of definitions that have no such field.
    """

    name: str
    required: bool = False
    control_type: ControlType | None = None
    choices: tuple[str | int | bool, ...] = ()
    nullable: bool = False
    default: Control = None
    reducer: Operation = "replace"
    elements: Elements | msgspec.UnsetType = msgspec.UNSET
