"""Every version ever landed stays readable, both ways (docs of the rules: schemas/README.md)."""

import json
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import parse_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeel.errors import UndecodableRecord
from logkeel.records import CancelRun
from logkeel.wire import RECORDS, Record, codec, decode
from logkeel.wire.catalog import AVSC, HISTORY, NAMESPACE, compose, current, fingerprint_of, landed, parsed
from logkeel.wire.landing import land, render

REMEDY = "run `python -m logkeel.wire.landing` and commit the history"
VERSIONS = sorted(landed().items(), key=lambda item: item[1])
PAIRS = [(name, writer, reader) for (writer, name), (reader, other) in product(VERSIONS, VERSIONS) if name == other]


OPEN = {"EventKind", "ScheduleEventKind", "ErrorKind"}

EXAMPLES, FEW_EXAMPLES = 40, 8
"""There are as many pairs as the square of the versions; those with the current one are what is met."""


def value_for(schema: Any, data: st.DataObject, known: dict[str, list[str]]) -> Any:
    """A value that `schema`, of any version, can write, out of the enum symbols `known` to the reader."""
    match schema:
        case "null" | "boolean" | "long" | "double" | "string" | "bytes":
            return data.draw(PRIMITIVES[schema])
        case list():
            branch = data.draw(st.sampled_from(schema))
            return tagged(branch, value_for(branch, data, known))
        case {"type": "record", "fields": fields}:
            return {field["name"]: value_for(field["type"], data, known) for field in fields}
        case {"type": "enum", "symbols": symbols, "name": name}:
            return data.draw(st.sampled_from([symbol for symbol in symbols if symbol in known.get(name, symbols)]))
        case {"type": "array", "items": items}:
            return [value_for(items, data, known) for _ in range(data.draw(st.integers(0, 2)))]
        case {"type": "map", "values": values}:
            return {"key": value_for(values, data, known)} if data.draw(st.booleans()) else {}
        case _:
            raise AssertionError(f"no such type: {schema}")


PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": st.text(st.characters(codec="utf-8"), max_size=5),
    "bytes": st.binary(max_size=5),
}


def tagged(branch: Any, value: Any) -> Any:
    if branch == "null":
        return None
    if isinstance(branch, str):
        return (branch, value)
    return (branch.get("name", branch["type"]), value) if branch["type"] != "enum" else value


def spread(node: Any, named: dict[str, Any]) -> Any:
    """A composed schema with every reference replaced by what it names (schemas are not recursive)."""
    if isinstance(node, str):
        return named.get(node, node)
    if isinstance(node, list):
        return [spread(branch, named) for branch in node]
    out = dict(node)
    if node["type"] == "record":
        out["name"] = f"{node['namespace']}.{node['name']}"
        out["fields"] = [{**field, "type": spread(field["type"], named)} for field in node["fields"]]
    for key in ("items", "values"):
        if key in node:
            out[key] = spread(node[key], named)
    if node["type"] in ("record", "enum"):
        named[f"{node['namespace']}.{node['name']}"] = out
    return out


def symbols_of(node: Any) -> dict[str, list[str]]:
    """The symbols of each enum in a composed schema, by name."""
    if isinstance(node, list):
        return {name: symbols for item in node for name, symbols in symbols_of(item).items()}
    if not isinstance(node, dict):
        return {}
    found = {node["name"]: node["symbols"]} if node.get("type") == "enum" else {}
    return found | symbols_of([node.get(key) for key in ("type", "fields", "items", "values")])


def enums_of(node: Any) -> list[dict[str, Any]]:
    """Every enum in a composed schema."""
    if isinstance(node, list):
        return [found for item in node for found in enums_of(item)]
    if not isinstance(node, dict):
        return []
    inside = enums_of([node.get(key) for key in ("type", "fields", "items", "values")])
    return [node, *inside] if node.get("type") == "enum" else inside


def on_disk(name: str, fingerprint: str) -> Any:
    return json.loads((HISTORY / name / f"{fingerprint}.avsc").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_the_current_schema_is_landed(kind: type[Record]) -> None:
    schema = compose(kind.__name__)
    assert current().get(kind.__name__) == fingerprint_of(schema), REMEDY
    path = HISTORY / kind.__name__ / f"{fingerprint_of(schema)}.avsc"
    assert path.read_text(encoding="utf-8") == render(schema), REMEDY


def test_the_order_lists_exactly_the_files() -> None:
    files = {(path.parent.name, path.stem) for path in HISTORY.glob("*/*.avsc")}
    assert {(name, fingerprint) for fingerprint, name in landed().items()} == files


@pytest.mark.parametrize(("fingerprint", "name"), VERSIONS, ids=str)
def test_a_kept_version_is_unchanged(fingerprint: str, name: str) -> None:
    assert fingerprint_of(on_disk(name, fingerprint)) == fingerprint


@pytest.mark.parametrize(("fingerprint", "name"), VERSIONS, ids=str)
def test_only_open_enums_gain_symbols(fingerprint: str, name: str) -> None:
    for enum in enums_of(on_disk(name, fingerprint)):
        now = json.loads((AVSC / f"{enum['name']}.avsc").read_text(encoding="utf-8"))
        if enum["namespace"] == NAMESPACE:
            assert (enum["name"] in OPEN) == ("default" in enum), "an open enum has a default, a closed one has none"
            assert enum["symbols"] == now["symbols"][: len(enum["symbols"])]
            assert enum["symbols"] == now["symbols"] or enum["name"] in OPEN, "a new field says it (decision 0037)"


@pytest.mark.parametrize(("name", "writer", "reader"), PAIRS, ids=str)
def test_every_version_reads_every_version(name: str, writer: str, reader: str) -> None:
    """Covers old data by the new reader and new data by the old reader; new symbols wait for all readers."""
    known, schema = symbols_of(on_disk(name, reader)), spread(on_disk(name, writer), {})
    fields = {field["name"] for field in on_disk(name, reader)["fields"]}

    @settings(max_examples=EXAMPLES if current()[name] in (writer, reader) else FEW_EXAMPLES)
    @given(st.data())
    def law(data: st.DataObject) -> None:
        out = BytesIO()
        schemaless_writer(out, parsed(writer), value_for(schema, data, known))
        out.seek(0)
        read = schemaless_reader(out, parsed(writer), parsed(reader))
        assert isinstance(read, dict)
        assert set(read) == fields
        if reader == current()[name]:
            framed = b"\xc3\x01" + bytes.fromhex(writer) + out.getvalue()
            assert type(decode(framed)).__name__ == name

    law()


def edited(folder: Path, edit: Any) -> Path:
    """A copy of the current schemas in which `edit` has changed CancelRun."""
    for path in AVSC.glob("*.avsc"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    schema = json.loads((folder / "CancelRun.avsc").read_text(encoding="utf-8"))
    edit(schema["fields"])
    (folder / "CancelRun.avsc").write_text(json.dumps(schema), encoding="utf-8")
    return folder


def read_as_current(written: bytes, writer: Any) -> Record:
    """What the codec makes of a CancelRun body written with a schema that is not the current one."""
    reader = codec._Reader(CancelRun, writer, parsed(current()["CancelRun"]))
    return codec._read(written, codec.HEADER_BYTES, reader)


def test_a_record_with_a_field_of_the_future_is_read(tmp_path: Path) -> None:
    added = {"name": "urgency", "type": "long", "default": 0}
    schema = parse_schema(compose("CancelRun", folder=edited(tmp_path, lambda fields: fields.insert(0, added))))
    out = BytesIO(b"\xc3\x01" + bytes(8))
    out.seek(codec.HEADER_BYTES)
    schemaless_writer(out, schema, {"urgency": 3, "run_id": "r", "reason": "late"})
    record = read_as_current(out.getvalue(), schema)
    assert record == CancelRun(run_id="r", reason="late")


def test_a_record_of_the_past_gets_the_defaults(tmp_path: Path) -> None:
    schema = parse_schema(compose("CancelRun", folder=edited(tmp_path, lambda fields: fields.pop())))
    out = BytesIO(b"\xc3\x01" + bytes(8))
    out.seek(codec.HEADER_BYTES)
    schemaless_writer(out, schema, {"run_id": "r", "reason": "late"})
    assert read_as_current(out.getvalue(), schema) == CancelRun(run_id="r", reason="late", requested_by=None)


def test_an_incompatible_writer_is_undecodable(tmp_path: Path) -> None:
    def edit(fields: list[Any]) -> None:
        fields[0]["type"] = "bytes"
        del fields[1:]
        fields.append({"name": "reason", "type": "long"})

    schema = parse_schema(compose("CancelRun", folder=edited(tmp_path, edit)))
    out = BytesIO(b"\xc3\x01" + bytes(8))
    out.seek(codec.HEADER_BYTES)
    schemaless_writer(out, schema, {"run_id": b"r", "reason": 1})
    with pytest.raises(UndecodableRecord):
        read_as_current(out.getvalue(), schema)


def test_landing_adds_a_new_version_and_keeps_the_old_one(tmp_path: Path) -> None:
    history, avsc = tmp_path / "history", tmp_path / "avsc"
    avsc.mkdir()
    history.mkdir()
    first = land(avsc=edited(avsc, lambda fields: None), history=history)
    assert [line.split()[0] for line in first] == [kind.__name__ for kind in RECORDS]
    assert land(avsc=avsc, history=history) == []
    added = {"name": "urgency", "type": "long", "default": 0, "doc": "How urgent."}
    second = land(avsc=edited(avsc, lambda fields: fields.append(added)), history=history)
    assert [line.split()[0] for line in second] == ["CancelRun"]
    assert len(list((history / "CancelRun").glob("*.avsc"))) == 2
    assert (history / "order").read_text(encoding="utf-8").split("\n")[:-1] == first + second


def test_every_kept_record_is_still_a_record() -> None:
    assert set(landed().values()) == {kind.__name__ for kind in RECORDS}
