"""The plain values that fastavro writes for a struct: the reference that the codec's own writer is held to.

Union branches that could be confused are named explicitly, a control value's by its Python type.
"""

import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from logkeel.records import Control
from logkeel.wire.catalog import NAMESPACE

_CONTROL_BRANCH = {bool: "boolean", int: "long", float: "double", str: "string"}
_CONTROL_TYPES = frozenset(typing.get_args(Control))

Dump = Callable[[Any], Any]


@cache
def dumper(record: type[msgspec.Struct]) -> Dump:
    """The function that turns a struct of type `record` into the dict that fastavro writes."""
    plain: list[str] = []
    converted: list[tuple[str, Dump]] = []
    for field in msgspec.structs.fields(record):
        dump = _dump_of(field.type)
        if dump is None:
            plain.append(field.name)
        else:
            converted.append((field.name, dump))

    def dump_struct(value: Any) -> dict[str, Any]:
        out = {name: getattr(value, name) for name in plain}
        for name, dump in converted:
            out[name] = dump(getattr(value, name))
        return out

    return dump_struct


def _dump_of(annotation: Any) -> Dump | None:
    """How a value of that type is turned; None: it is written as it is."""
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        return _dump_of_union(annotation)
    if origin is tuple:
        return _dump_of_tuple(typing.get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return dumper(annotation)
    return None


def _dump_of_tuple(item: Any) -> Dump | None:
    dump = _dump_of(item)
    if dump is None:
        return None
    return lambda values: [dump(value) for value in values]


def _dump_of_union(annotation: Any) -> Dump | None:
    if frozenset(typing.get_args(annotation)) == _CONTROL_TYPES:
        return _dump_control
    (member,) = (branch for branch in typing.get_args(annotation) if branch is not type(None))
    dump = _dump_of(member)
    if dump is None:
        return None
    name = f"{NAMESPACE}.{member.__name__}"
    return lambda value: None if value is None else (name, dump(value))


def _dump_control(value: Control) -> tuple[str, Control] | None:
    return None if value is None else (_CONTROL_BRANCH[type(value)], value)
