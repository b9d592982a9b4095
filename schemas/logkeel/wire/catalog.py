"""The schemas on disk: the current ones as people edit them, and every version ever landed.

`avsc/<Name>.avsc` holds one named type each; a record refers to others by name. `compose` puts a record's types
together into one schema that stands alone. `history/<Record>/<fingerprint>.avsc` keeps each composed version that was
ever landed, `history/order` lists them oldest first; the last one of a record is the current one. At run time only the
history is read, and only the records in use.

The fingerprint is CRC-64-AVRO of the parsing canonical form (Avro specification, "Schema Fingerprints"), written in hex
in the byte order of the wire (little-endian). It does not cover docs and defaults.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

Schema = Any
"""An Avro schema as the JSON value it is written as."""

AVSC = Path(__file__).parent / "avsc"
HISTORY = Path(__file__).parent / "history"
NAMESPACE = "logkeel.v1"


def compose(name: str, *, folder: Path = AVSC) -> Schema:
    """The current schema of `name` with every named type written out at its first use."""
    return _inline(name, folder, set())


def fingerprint_of(schema: Schema) -> str:
    """Fingerprint of `schema`, in hex, in the byte order of the wire."""
    return str(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


@cache
def landed() -> dict[str, str]:
    """Every version ever landed, oldest first: record name by fingerprint."""
    lines = (HISTORY / "order").read_text(encoding="utf-8").splitlines()
    return {line.split()[1]: line.split()[0] for line in lines if line.strip()}


@cache
def current() -> dict[str, str]:
    """Fingerprint of the current version by record name."""
    return {name: print_ for print_, name in landed().items()}


@cache
def parsed(fingerprint_hex: str) -> Schema:
    """The landed schema of that fingerprint, ready for fastavro. Raises KeyError when there is none."""
    path = HISTORY / landed()[fingerprint_hex] / f"{fingerprint_hex}.avsc"
    return parse_schema(json.loads(path.read_text(encoding="utf-8")), named_schemas={})


def _inline(node: Any, folder: Path, seen: set[str]) -> Any:
    if isinstance(node, str):
        return _named(node, folder, seen)
    if isinstance(node, list):
        return [_inline(branch, folder, seen) for branch in node]
    kind = node["type"]
    if kind == "record":
        fields = [{**field, "type": _inline(field["type"], folder, seen)} for field in node["fields"]]
        return {**node, "fields": fields}
    if kind == "array":
        return {**node, "items": _inline(node["items"], folder, seen)}
    if kind == "map":
        return {**node, "values": _inline(node["values"], folder, seen)}
    return node


def _named(name: str, folder: Path, seen: set[str]) -> Any:
    if not name[0].isupper():
        return name
    if name in seen:
        return f"{NAMESPACE}.{name}"
    seen.add(name)
    return _inline(json.loads((folder / f"{name}.avsc").read_text(encoding="utf-8")), folder, seen)
