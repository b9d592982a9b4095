"""Avro binary to structs, compiled once per record type from its current schema: the counterpart of `writing`.

Only for bytes that were written with the current version; others are resolved by fastavro, which also is what the tests
hold this against, on whole and on damaged bytes. Readers raise `IndexError`, `ValueError` or `TypeError` on bytes that
are no such record, and never read behind the end.

Specification: Avro 1.12, "Binary encoding".
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

from logkeel.wire.catalog import Schema

Read = Callable[[bytes, int], tuple[Any, int]]
"""The value at an offset, and the offset behind it."""

SHORTEST_RUN = 3
LONGEST_SHIFT = 70
"""Ten groups of seven bits."""

_DOUBLE = struct.Struct("<d").unpack_from


def compile_reader(schema: Schema, structs: Mapping[str, type]) -> Read:
    """The function that reads what `schema` describes; records become the struct of their name."""
    return _Compiler(structs).compile(schema)


def read_long(data: bytes, position: int) -> tuple[int, int]:
    """Zigzag and base 128, least significant group first; at most ten bytes."""
    byte = data[position]
    value, shift = byte & 127, 7
    while byte > 127:
        position += 1
        byte = data[position]
        value |= (byte & 127) << shift
        shift += 7
        if shift > LONGEST_SHIFT:
            raise ValueError("a number has more than ten bytes")
    if value >> 64:
        raise ValueError("a number has more than 64 bits")
    return (value >> 1) ^ -(value & 1), position + 1


def _is_nullable(schema: Schema) -> bool:
    return isinstance(schema, list) and len(schema) == 2 and schema[0] == "null"


def _runs(fields: list[dict[str, Any]]) -> list[list[int]]:
    """Numbers of the fields; neighbours that may all be null stand together."""
    runs: list[list[int]] = []
    for number, field in enumerate(fields):
        if runs and _is_nullable(field["type"]) and _is_nullable(fields[runs[-1][-1]]["type"]):
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


class _Compiler:
    """Named types are kept by full and short name: a schema defines each at its first use."""

    def __init__(self, structs: Mapping[str, type]) -> None:
        self._structs = structs
        self._named: dict[str, Read] = {}

    def compile(self, schema: Schema) -> Read:
        match schema:
            case str():
                return self._named[schema] if schema in self._named else _PRIMITIVES[schema]
            case list():
                return _union([None if branch == "null" else self.compile(branch) for branch in schema])
            case {"type": "record", "name": name, "fields": fields}:
                self._named[name] = read = self._record(name, fields)
                return read
            case {"type": "enum", "name": name, "symbols": symbols}:
                self._named[name] = read = _enum(symbols)
                return read
            case {"type": "array", "items": items}:
                return _array(self.compile(items))
            case {"type": "map", "values": values}:
                return _map(self.compile(values))
            case _:
                raise ValueError(f"no reader for the schema {schema}")

    def _record(self, name: str, fields: list[dict[str, Any]]) -> Read:
        """One Python function per record, generated: field by field, the frequent types in line."""
        scope: dict[str, Any] = {"read_long": read_long, "struct": self._structs[name.rpartition(".")[2]]}
        lines = ["def read(data, at):", "    limit = len(data)"]
        for numbers in _runs(fields):
            each = [line for number in numbers for line in self._field(number, fields[number]["type"], scope)]
            if len(numbers) < SHORTEST_RUN:
                lines += [f"    {line}" for line in each]
                continue
            # Most nullable fields of most records are null: neighbours are tested at once.
            nulls = " = ".join(f"f{number}" for number in numbers)
            lines.append(f"    if data[at : at + {len(numbers)}] == {bytes(len(numbers))!r}:")
            lines += [f"        {nulls} = None", f"        at += {len(numbers)}", "    else:"]
            lines += [f"        {line}" for line in each]
        values = ", ".join(f"{field['name']}=f{number}" for number, field in enumerate(fields))
        lines.append(f"    return struct({values}), at")
        exec("\n".join(lines), scope)  # noqa: S102 - the source comes from the schemas this package ships
        read: Read = scope["read"]
        return read

    def _field(self, number: int, schema: Schema, scope: dict[str, Any]) -> list[str]:
        name = f"f{number}"
        nullable = _is_nullable(schema)
        inner = schema[1] if nullable and isinstance(schema, list) else schema
        if isinstance(inner, str) and inner in _INLINE:
            lines = [line.replace("VALUE", name) for line in _INLINE[inner]]
        else:
            scope[f"read_{number}"] = self.compile(inner)
            lines = [f"{name}, at = read_{number}(data, at)"]
        if isinstance(inner, dict) and inner["type"] == "array":
            lines = [f"if data[at] == 0: {name}, at = (), at + 1", f"else: {lines[0]}"]
        if not nullable:
            return lines
        bad = 'raise ValueError("a union has no such branch")'
        branch = ["branch = data[at]", "at += 1", f"if branch == 0: {name} = None", f"elif branch != 2: {bad}"]
        return [*branch, "else:", *(f"    {line}" for line in lines)]


_SIZE = (
    "size = data[at]",
    "at += 1",
    "if size < 128: size = (size >> 1) ^ -(size & 1)",
    "else: size, at = read_long(data, at - 1)",
    "end = at + size",
    'if size < 0 or end > limit: raise ValueError("a text or bytes end behind the record")',
)
_INLINE = {
    "string": (*_SIZE, "VALUE = data[at:end].decode()", "at = end"),
    "bytes": (*_SIZE, "VALUE = data[at:end]", "at = end"),
    "long": (
        "VALUE = data[at]",
        "at += 1",
        "if VALUE < 128: VALUE = (VALUE >> 1) ^ -(VALUE & 1)",
        "else: VALUE, at = read_long(data, at - 1)",
    ),
    "boolean": ("VALUE = data[at] != 0", "at += 1"),
}


def _primitive(kind: str) -> Read:
    scope: dict[str, Any] = {"read_long": read_long}
    body = [f"    {line}" for line in _INLINE[kind]]
    exec("\n".join(["def read(data, at):", "    limit = len(data)", *body, "    return VALUE, at"]), scope)  # noqa: S102
    read: Read = scope["read"]
    return read


def _double(data: bytes, at: int) -> tuple[float, int]:
    return _DOUBLE(data, at)[0], at + 8


_PRIMITIVES: dict[str, Read] = {"double": _double, **{kind: _primitive(kind) for kind in _INLINE}}


def _union(branches: list[Read | None]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        index, at = read_long(data, at)
        if not 0 <= index < len(branches):
            raise ValueError("a union has no such branch")
        branch = branches[index]
        return (None, at) if branch is None else branch(data, at)

    return read


def _enum(symbols: list[str]) -> Read:
    def read(data: bytes, at: int) -> tuple[str, int]:
        index = data[at]
        if index < 128 and not index & 1:
            return symbols[index >> 1], at + 1
        index, at = read_long(data, at)
        if index < 0:
            raise ValueError("an enum has no such symbol")
        return symbols[index], at

    return read


def _block(data: bytes, at: int) -> tuple[int, int]:
    """How many items follow; a negative count is followed by the size of its block in bytes."""
    count = data[at]
    if count < 128 and not count & 1:
        return count >> 1, at + 1
    count, at = read_long(data, at)
    if count < 0:
        _, at = read_long(data, at)
        return -count, at
    return count, at


def _array(read_item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        items: list[Any] = []
        count, at = _block(data, at)
        while count:
            for _ in range(count):
                item, at = read_item(data, at)
                items.append(item)
            if data[at] == 0:
                return tuple(items), at + 1
            count, at = _block(data, at)
        return tuple(items), at

    return read


def _map(read_value: Read) -> Read:
    read_key = _PRIMITIVES["string"]

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        members: dict[str, Any] = {}
        count, at = _block(data, at)
        while count:
            for _ in range(count):
                key, at = read_key(data, at)
                members[key], at = read_value(data, at)
            count, at = _block(data, at)
        return members, at

    return read
