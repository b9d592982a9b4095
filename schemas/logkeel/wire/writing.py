"""Structs to Avro binary, compiled once per record type from its schema.

fastavro writes dicts and searches the branch of each union by validating it, which costs several times what this takes;
the tests hold the two equal, byte for byte. Unions are null and one type, or a control value, whose branch is its
Python type: 1, 1.0 and true stay apart.

A record is one join of its parts. Short texts and numbers come from a cache: names, paths, digests and the times of one
batch are written over and over.

Specification: Avro 1.12, "Binary encoding". Writers raise `TypeError`, `ValueError`, `LookupError`, `AttributeError` or
`OverflowError` on a value that does not fit.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from logkeel.wire.catalog import Schema

Write = Callable[[Any], bytes]

LONG_MIN = -(2**63)
LONG_MAX = 2**63 - 1
SHORTEST_RUN = 3
CACHED_CHARACTERS = 128
"""Longer texts hardly repeat, and would fill the cache with megabytes."""

_PYTHON_TYPE = {"boolean": bool, "long": int, "double": float, "string": str, "bytes": bytes}
_DOUBLE = struct.Struct("<d").pack
_NULL, _FALSE, _END = b"\x00", b"\x00", b"\x00"
_TRUE = b"\x01"
_PRESENT = b"\x02"
_ONE = b"\x02"
_SMALL = tuple(bytes([value << 1]) for value in range(64))


def compile_writer(schema: Schema) -> Write:
    """The function that turns a struct into bytes as `schema` says."""
    return _Compiler().compile(schema)


def _number(value: int) -> bytes:
    """Zigzag and base 128, least significant group first."""
    if not LONG_MIN <= value <= LONG_MAX:
        raise OverflowError(f"{value} is not a whole number of 64 bits")
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while zigzag > 127:
        out.append(zigzag & 127 | 128)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


# Typed, since 1, 1.0 and true are equal and only whole numbers may be written as such.
_cached_number = lru_cache(maxsize=4_096, typed=True)(_number)


def _text(value: str) -> bytes:
    data = value.encode()
    return _cached_number(len(data)) + data


_cached_text = lru_cache(maxsize=16_384)(_text)


@lru_cache(maxsize=16_384)
def _cached_present_text(value: str) -> bytes:
    return _PRESENT + _text(value)


def _present_text(value: str) -> bytes:
    return _PRESENT + _text(value)


def _bytes(value: bytes) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is not bytes")
    return _cached_number(len(value)) + value


_SCOPE: dict[str, Any] = {
    "join": b"".join,
    "SMALL": _SMALL,
    "NULL": _NULL,
    "PRESENT": _PRESENT,
    "TRUE": _TRUE,
    "FALSE": _FALSE,
    "number": _cached_number,
    "text": _cached_text,
    "long_text": _text,
    "present_text": _cached_present_text,
    "long_present_text": _present_text,
    "data": _bytes,
}
_INLINE = {
    "string": f"(text if len(f := VALUE) <= {CACHED_CHARACTERS} else long_text)(f)",
    "long": "(SMALL[f] if 0 <= (f := VALUE) < 64 else number(f))",
    "boolean": "(TRUE if VALUE else FALSE)",
    "bytes": "data(VALUE)",
}
"""Expressions, with VALUE for what is written; `f` is free to be used."""


class _Compiler:
    """Named types are kept by name: a schema defines each at its first use."""

    def __init__(self) -> None:
        self._named: dict[str, Write] = {}

    def compile(self, schema: Schema) -> Write:
        """The writer of one schema."""
        match schema:
            case str():
                return self._named[schema] if schema in self._named else _PRIMITIVES[schema]
            case list():
                return self._union(schema)
            case {"type": "record", "name": name, "fields": fields}:
                self._named[name] = _record(fields, self.compile)
                return self._named[name]
            case {"type": "enum", "name": name, "symbols": symbols}:
                self._named[name] = {symbol: _number(index) for index, symbol in enumerate(symbols)}.__getitem__
                return self._named[name]
            case {"type": "array", "items": items}:
                return _array(self.compile(items))
            case {"type": "map", "values": values}:
                return _map(self.compile(values))
            case _:
                raise ValueError(f"no writer for the schema {schema}")

    def _union(self, branches: list[Schema]) -> Write:
        if _is_nullable(branches):
            return _nullable(self.compile(branches[1]))
        by_type = {
            _PYTHON_TYPE[name]: (_number(index), _PRIMITIVES[name]) for index, name in enumerate(branches) if index
        }

        def write(value: Any) -> bytes:
            if value is None:
                return _NULL
            index, write_value = by_type[type(value)]
            return index + write_value(value)

        return write


def _record(fields: list[dict[str, Any]], compile_type: Callable[[Schema], Write]) -> Write:
    """One Python function per record, generated: a join of its fields, the frequent types in line."""
    scope = dict(_SCOPE)
    lines, parts = ["def write(value):"], []
    for first, run in _runs(fields):
        expressions = [_field(first + index, field, compile_type, scope) for index, field in enumerate(run)]
        if len(run) < SHORTEST_RUN:
            parts += expressions
            continue
        # Most nullable fields of most records are null: neighbours are tested at once.
        values = " is ".join(f"value.{field['name']}" for field in run)
        lines += [f"    if {values} is None: r{first} = {bytes(len(run))!r}"]
        lines += [f"    else: r{first} = join(({', '.join(expressions)},))"]
        parts.append(f"r{first}")
    lines.append(f"    return join(({', '.join(parts)},))")
    exec("\n".join(lines), scope)  # noqa: S102 - the source comes from the schemas this package ships
    write: Write = scope["write"]
    return write


def _runs(fields: list[dict[str, Any]]) -> list[tuple[int, list[dict[str, Any]]]]:
    """(number of the first, fields): neighbours that may all be null stand together."""
    runs: list[tuple[int, list[dict[str, Any]]]] = []
    for number, field in enumerate(fields):
        if runs and _is_nullable(field["type"]) and _is_nullable(runs[-1][1][-1]["type"]):
            runs[-1][1].append(field)
        else:
            runs.append((number, [field]))
    return runs


def _field(number: int, field: dict[str, Any], compile_type: Callable[[Schema], Write], scope: dict[str, Any]) -> str:
    """The expression that is one field's bytes."""
    schema, value = field["type"], f"value.{field['name']}"
    if not _is_nullable(schema):
        return _value(number, schema, value, compile_type, scope)
    if schema[1] == "string":
        short = f"(present_text if len(f) <= {CACHED_CHARACTERS} else long_present_text)(f)"
        return f"(NULL if (f := {value}) is None else {short})"
    return f"(NULL if {value} is None else PRESENT + {_value(number, schema[1], value, compile_type, scope)})"


def _value(
    number: int, schema: Schema, value: str, compile_type: Callable[[Schema], Write], scope: dict[str, Any]
) -> str:
    if isinstance(schema, str) and schema in _INLINE:
        return _INLINE[schema].replace("VALUE", value)
    name = f"write_{number}"
    scope[name] = compile_type(schema)
    is_collection = isinstance(schema, dict) and schema["type"] in ("array", "map")
    return f"({name}(f) if (f := {value}) else NULL)" if is_collection else f"{name}({value})"


def _is_nullable(schema: Schema) -> bool:
    return isinstance(schema, list) and len(schema) == 2 and schema[0] == "null"


def _nullable(write_value: Write) -> Write:
    def write(value: Any) -> bytes:
        return _NULL if value is None else _PRESENT + write_value(value)

    return write


def _array(write_item: Write) -> Write:
    def write(items: Any) -> bytes:
        if not items:
            return _END
        if len(items) == 1:
            return _ONE + write_item(items[0]) + _END
        return b"".join([_cached_number(len(items)), *[write_item(item) for item in items], _END])

    return write


def _map(write_value: Write) -> Write:
    def write(members: Any) -> bytes:
        if not members:
            return _END
        parts = [_text(key) + write_value(value) for key, value in members.items()]
        return b"".join([_cached_number(len(members)), *parts, _END])

    return write


_PRIMITIVES: dict[str, Write] = {
    "boolean": lambda value: _TRUE if value else _FALSE,
    "long": _cached_number,
    "double": _DOUBLE,
    "string": _text,
    "bytes": _bytes,
}
