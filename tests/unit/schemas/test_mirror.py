"""Structs and schemas say the same: fields, order, types, nullability, defaults, symbols; and every doc is there."""

import json
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import logkeel.records
from logkeel.wire import RECORDS
from logkeel.wire.catalog import AVSC, NAMESPACE

STRUCTS = [
    kind
    for name in logkeel.records.__all__
    if isinstance(kind := getattr(logkeel.records, name), type) and issubclass(kind, msgspec.Struct)
]
FILES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(AVSC.glob("*.avsc"))}
ENUMS = {name: schema for name, schema in FILES.items() if schema["type"] == "enum"}
PRIMITIVES = {int: "long", float: "double", str: "string", bytes: "bytes", bool: "boolean"}


def mirrored(annotation: Any) -> Any:
    """The Avro type of an annotation, enums by their symbols."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        branches = [mirrored(branch) for branch in arguments if branch is not type(None)]
        return ["null", *branches] if type(None) in arguments else branches
    if origin is typing.Literal:
        return ("enum", *arguments)
    if origin is tuple:
        return {"type": "array", "items": mirrored(arguments[0])}
    if origin is dict:
        return {"type": "map", "values": mirrored(arguments[1])}
    return PRIMITIVES.get(annotation) or annotation.__name__


def written(node: Any) -> Any:
    """An Avro type as the file has it, enums by their symbols."""
    if isinstance(node, list):
        return [written(branch) for branch in node]
    if isinstance(node, dict):
        return {key: written(value) if key in ("items", "values") else value for key, value in node.items()}
    return ("enum", *ENUMS[node]["symbols"]) if node in ENUMS else node


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return list(field.default) if isinstance(field.default, tuple) else field.default


def documented(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield schema["name"], schema.get("doc", "")
    for field in schema.get("fields", []):
        yield f"{schema['name']}.{field['name']}", field.get("doc", "")


def test_every_struct_has_a_schema_and_no_schema_is_left_over() -> None:
    used = {"Effect", "ErrorKind", "EventKind", "JournalState", "LimitKind", "Operation", "RunStatus", "WaitKind"}
    used |= {"Overlap", "ScheduleEventKind", "ScheduleVerb"}
    assert set(ENUMS) == used
    assert set(FILES) - used == {kind.__name__ for kind in STRUCTS}


def test_records_that_stand_alone_are_those_in_no_other_record() -> None:
    nested = {name for schema in FILES.values() for name in re.findall(r'"([A-Z]\w+)"', json.dumps(schema))}
    used = {name for name in nested if any(_refers(schema, name) for schema in FILES.values())}
    assert {kind.__name__ for kind in RECORDS} == {kind.__name__ for kind in STRUCTS} - used


def _refers(schema: dict[str, Any], name: str) -> bool:
    return any(f'"{name}"' in json.dumps(field["type"]) for field in schema.get("fields", []))


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_struct_and_schema_are_equal(kind: type[msgspec.Struct]) -> None:
    schema = FILES[kind.__name__]
    fields = msgspec.structs.fields(kind)
    assert (schema["type"], schema["name"]) == ("record", kind.__name__)
    assert [field["name"] for field in schema["fields"]] == [field.name for field in fields]
    for field, info in zip(schema["fields"], fields, strict=True):
        assert written(field["type"]) == mirrored(info.type), field["name"]
        assert field.get("default", msgspec.NODEFAULT) == default_of(info), field["name"]
        assert type(field.get("default")) is type(None if info.required else default_of(info)), field["name"]


@pytest.mark.parametrize("schema", FILES.values(), ids=FILES)
def test_everything_has_a_doc_and_one_namespace(schema: dict[str, Any]) -> None:
    assert [name for name, doc in documented(schema) if len(doc) < 10 or not doc.endswith(".")] == []
    assert schema["namespace"] == NAMESPACE


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_structs_are_frozen(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
