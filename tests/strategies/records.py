"""Hypothesis strategies for every record type, derived from the structs themselves."""

import math
import types
import typing
from functools import cache
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from logkeel.records import Control, Payload
from logkeel.wire import RECORDS, Record

S = TypeVar("S", bound=msgspec.Struct)

LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
CONTROLS: st.SearchStrategy[Control] = (
    st.none() | st.booleans() | LONGS | st.floats(allow_nan=False) | st.just(-0.0) | st.just(math.inf) | TEXTS
)
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: LONGS,
    float: st.floats(allow_nan=False),
    str: TEXTS,
    bytes: st.binary(max_size=40),
    bool: st.booleans(),
    type(None): st.none(),
}


@cache
def structs(kind: type[S]) -> st.SearchStrategy[S]:
    """Any value of the struct `kind` that its schema can carry."""
    return st.builds(kind, **{field.name: _of(field.type) for field in msgspec.structs.fields(kind)})


def records() -> st.SearchStrategy[Record]:
    """Any record that stands alone on a topic."""
    return st.sampled_from(RECORDS).flatmap(_record)


def payloads() -> st.SearchStrategy[Payload]:
    """Any payload."""
    return structs(Payload)


def _record(kind: type[Record]) -> st.SearchStrategy[Record]:
    return structs(kind)


def _of(annotation: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if set(arguments) == set(typing.get_args(Control)):
        return CONTROLS
    if origin in (types.UnionType, typing.Union):
        return st.one_of([_of(branch) for branch in arguments])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(_of(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXTS, _of(arguments[1]), max_size=2)
    return _SCALARS[annotation] if annotation in _SCALARS else structs(annotation)
