"""Structs to Avro binary, compiled once per record type from its schema.

fastavro writes dicts and searches the branch of each union by validating it, which costs four times what this takes;
the tests hold the two equal, byte for byte. Unions are null and one type, or a control value, whose branch is its
Python type: 1, 1.0 and true stay apart.

Specification: Avro 1.12, "Binary encoding". Writers raise `TypeError`, `ValueError`, `LookupError`, `AttributeError` or
`OverflowError` on a value that does not fit.
"""

import struct
from collections.abc import Callable
from typing import Any

from logkeel.wire.catalog import Schema

Write = Callable[[bytearray, Any], None]

LONG_MIN = -(2**63)
LONG_MAX = 2**63 - 1
SHORTEST_RUN = 3

_PYTHON_TYPE = {"boolean": bool, "long": int, "double": float, "string": str, "bytes": bytes}
_DOUBLE = struct.Struct("<d").pack


def compile_writer(schema: Schema) -> Write:
    """The function that appends a struct to a buffer as `schema` says."""
    return _compile(schema, {})


def write_long(out: bytearray, value: int) -> None:
    """Zigzag and base 128, least significant group first."""
    if 0 <= value < 64:
        out.append(value << 1)
        return
    if not LONG_MIN <= value <= LONG_MAX:
        raise OverflowError(f"{value} is not a whole number of 64 bits")
    zigzag = (value << 1) ^ (value >> 63)
    while zigzag > 127:
        out.append(zigzag & 127 | 128)
        zigzag >>= 7
    out.append(zigzag)


def _compile(schema: Schema, named: dict[str, Write]) -> Write:
    match schema:
        case str():
            return named[schema] if schema in named else _PRIMITIVES[schema]
        case list():
            return _union(schema, named)
        case {"type": "record", "name": name, "fields": fields}:
            named[name] = _record(fields, named)
            return named[name]
        case {"type": "enum", "name": name, "symbols": symbols}:
            named[name] = _enum(symbols)
            return named[name]
        case {"type": "array", "items": items}:
            return _array(_compile(items, named))
        case {"type": "map", "values": values}:
            return _map(_compile(values, named))
        case _:
            raise ValueError(f"no writer for the schema {schema}")


def _record(fields: list[dict[str, Any]], named: dict[str, Write]) -> Write:
    """One Python function per record, generated: field by field, the frequent types in line."""
    lines = ["def write(out, value):", "    append = out.append"]
    scope: dict[str, Any] = {"write_long": write_long}
    for run in _runs(fields):
        written = [line for number, field in run for line in _field(number, field, named, scope)]
        if len(run) < SHORTEST_RUN:
            lines += written
            continue
        # Most nullable fields of most records are null: neighbours are tested at once.
        values = " is ".join(f"value.{field['name']}" for _, field in run)
        lines.append(f"    if {values} is None:")
        lines += [f"        out += {bytes(len(run))!r}", "    else:", *(f"    {line}" for line in written)]
    exec("\n".join(lines), scope)  # noqa: S102 - the source comes from the schemas this package ships
    write: Write = scope["write"]
    return write


def _runs(fields: list[dict[str, Any]]) -> list[list[tuple[int, dict[str, Any]]]]:
    """The fields with their numbers; neighbours that may all be null stand together."""
    runs: list[list[tuple[int, dict[str, Any]]]] = []
    for number, field in enumerate(fields):
        if runs and _inline_kind(field["type"])[1] and _inline_kind(runs[-1][-1][1]["type"])[1]:
            runs[-1].append((number, field))
        else:
            runs.append([(number, field)])
    return runs


def _field(number: int, field: dict[str, Any], named: dict[str, Write], scope: dict[str, Any]) -> list[str]:
    kind, nullable = _inline_kind(field["type"])
    lines = [f"    field = value.{field['name']}"]
    if kind is not None:
        return lines + (_INLINE_NULLABLE[kind] if nullable else _INLINE[kind])
    scope[f"write_{number}"] = _compile(field["type"][1] if nullable else field["type"], named)
    return lines + (_nullable_call(number) if nullable else [f"    write_{number}(out, field)"])


def _inline_kind(schema: Schema) -> tuple[str | None, bool]:
    """(primitive that is written in line or None, whether it may be null)."""
    nullable = isinstance(schema, list) and len(schema) == 2 and schema[0] == "null"
    inner = schema[1] if nullable and isinstance(schema, list) else schema
    return (inner if isinstance(inner, str) and inner in _INLINE else None), nullable


def _nullable_call(number: int) -> list[str]:
    return ["    if field is None: append(0)", "    else:", "        append(2)", f"        write_{number}(out, field)"]


_STRING = (
    "data = field.encode()",
    "size = len(data)",
    "if size < 64: append(size << 1)",
    "else: write_long(out, size)",
    "out += data",
)
_LONG = ("if 0 <= field < 64: append(field << 1)", "else: write_long(out, field)")
_INLINE = {kind: [f"    {line}" for line in lines] for kind, lines in (("string", _STRING), ("long", _LONG))}
_INLINE_NULLABLE = {
    kind: ["    if field is None: append(0)", "    else:", "        append(2)", *(f"    {line}" for line in lines)]
    for kind, lines in _INLINE.items()
}


def _union(branches: list[Schema], named: dict[str, Write]) -> Write:
    if len(branches) == 2 and branches[0] == "null":
        return _nullable(_compile(branches[1], named))
    by_type = {_PYTHON_TYPE[name]: (index << 1, _PRIMITIVES[name]) for index, name in enumerate(branches) if index}

    def write(out: bytearray, value: Any) -> None:
        if value is None:
            out.append(0)
            return
        index, write_value = by_type[type(value)]
        out.append(index)
        write_value(out, value)

    return write


def _nullable(write_value: Write) -> Write:
    def write(out: bytearray, value: Any) -> None:
        if value is None:
            out.append(0)
        else:
            out.append(2)
            write_value(out, value)

    return write


def _enum(symbols: list[str]) -> Write:
    indices = {symbol: index for index, symbol in enumerate(symbols)}
    return lambda out, value: write_long(out, indices[value])


def _array(write_item: Write) -> Write:
    def write(out: bytearray, items: Any) -> None:
        if items:
            write_long(out, len(items))
            for item in items:
                write_item(out, item)
        out.append(0)

    return write


def _map(write_value: Write) -> Write:
    def write(out: bytearray, members: Any) -> None:
        if members:
            write_long(out, len(members))
            for key, value in members.items():
                _write_string(out, key)
                write_value(out, value)
        out.append(0)

    return write


def _write_string(out: bytearray, value: str) -> None:
    data = value.encode()
    size = len(data)
    if size < 64:
        out.append(size << 1)
    else:
        write_long(out, size)
    out += data


def _write_bytes(out: bytearray, value: bytes) -> None:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is not bytes")
    write_long(out, len(value))
    out += value


def _write_boolean(out: bytearray, value: bool) -> None:
    out.append(1 if value else 0)


def _write_double(out: bytearray, value: float) -> None:
    out += _DOUBLE(value)


_PRIMITIVES: dict[str, Write] = {
    "boolean": _write_boolean,
    "long": write_long,
    "double": _write_double,
    "string": _write_string,
    "bytes": _write_bytes,
}
