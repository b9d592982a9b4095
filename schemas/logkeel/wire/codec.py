"""Records to bytes and back: Avro single-object encoding.

    bytes   content
    0-1     C3 01
    2-9     fingerprint of the writer's schema, CRC-64-AVRO of its parsing canonical form, little-endian
    10-     the record in Avro binary encoding, nothing after it

Specification: Avro 1.12, "Single-object encoding". A record written with an older or newer landed schema is resolved to
the current one. Whatever the bytes, decoding raises `UndecodableRecord` or `UnknownSchema` and nothing else.
"""

import struct
from functools import cache
from io import BytesIO
from typing import NamedTuple, TypeVar

import msgspec
from fastavro import schemaless_reader
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException

from logkeel import records
from logkeel.errors import InvalidInput, UndecodableRecord, UnknownSchema
from logkeel.wire.catalog import Schema, current, landed, parsed
from logkeel.wire.reading import Read, compile_reader
from logkeel.wire.shapes import RECORD_BY_NAME, Record
from logkeel.wire.writing import Write, compile_writer

MAGIC = b"\xc3\x01"
HEADER_BYTES = 10
CONFLUENT_MAGIC = b"\x00"
CONFLUENT_HEADER_BYTES = 5

_MALFORMED = (
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
    MemoryError,
    AssertionError,
    struct.error,
    SchemaParseException,
    SchemaResolutionError,
    msgspec.MsgspecError,
)

_R = TypeVar("_R")

_met: "dict[bytes, _Reader]" = {}
"""Readers by the header of what was read: one for each known fingerprint, so it cannot grow."""


class _Writer(NamedTuple):
    header: bytes
    write: Write


class _Reader(NamedTuple):
    record: type[Record]
    schema: Schema
    reader_schema: Schema | None
    read: Read | None = None
    """For the current version, which nearly every record is of."""


def encode(record: Record) -> bytes:
    """The record in single-object encoding. Raises `InvalidInput` when a value does not fit its schema."""
    writer = _writer(type(record))
    try:
        return writer.header + writer.write(record)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        name = type(record).__name__
        raise InvalidInput(f"a {name} cannot be written: {error}", record_type=name) from error


def decode(data: bytes) -> Record:
    """The record in `data`.

    Raises `UnknownSchema` when the fingerprint (or Confluent schema id) is not known here, `UndecodableRecord` when the
    bytes are not a record.
    """
    header = data[:HEADER_BYTES]
    reader = _met.get(header)
    if reader is None:
        reader = _reader(_fingerprint(data))
        _met[header] = reader
    return _read(data, HEADER_BYTES, reader)


def record_type(data: bytes) -> type[Record] | None:
    """Which record stands in `data`, by its first bytes alone; None: none that is known here, or JSON."""
    try:
        return _reader(_fingerprint(data)).record
    except (UndecodableRecord, UnknownSchema):
        return None


def decode_as(data: bytes, *expected: type[_R]) -> _R:
    """The record in `data`, which must be one of the types `expected`. Raises as `decode` does."""
    record = decode(data)
    if not isinstance(record, expected):
        found = type(record).__name__
        wanted = " or ".join(kind.__name__ for kind in expected)
        raise UndecodableRecord(f"a {found} stands where a {wanted} belongs", record_type=found)
    return record


def _read(data: bytes, offset: int, reader: _Reader) -> Record:
    record: Record
    try:
        if reader.read is not None:
            record, end = reader.read(data, offset)
        else:
            record, end = _resolved(data, offset, reader)
    except _MALFORMED as error:
        name = reader.record.__name__
        raise UndecodableRecord(f"the bytes of a {name} are damaged: {error}", record_type=name) from error
    if end != len(data):
        excess = len(data) - end
        raise UndecodableRecord(f"{excess} bytes follow the {reader.record.__name__}", excess_bytes=excess)
    return record


def _resolved(data: bytes, offset: int, reader: _Reader) -> tuple[Record, int]:
    """By fastavro: a record of another version becomes one of the current version."""
    body = BytesIO(data)
    body.seek(offset)
    value = schemaless_reader(body, reader.schema, reader.reader_schema)
    return msgspec.convert(value, reader.record), body.tell()


def _fingerprint(data: bytes) -> str:
    if data[:2] == MAGIC and len(data) >= HEADER_BYTES:
        return data[2:HEADER_BYTES].hex()
    if data[:1] == CONFLUENT_MAGIC and len(data) >= CONFLUENT_HEADER_BYTES:
        schema_id = int.from_bytes(data[1:CONFLUENT_HEADER_BYTES], "big")
        raise UnknownSchema(
            f"the record has Confluent framing (schema id {schema_id}) and no schema registry is configured: "
            "write Avro single-object encoding",
            schema_id=schema_id,
        )
    raise UndecodableRecord(
        "the bytes do not begin like an Avro record (C3 01 and a fingerprint)", prefix=data[:8].hex()
    )


@cache
def _writer(record: type[Record]) -> _Writer:
    fingerprint = current()[record.__name__]
    return _Writer(MAGIC + bytes.fromhex(fingerprint), compile_writer(parsed(fingerprint)))


def _reader(fingerprint: str) -> _Reader:
    if fingerprint not in landed():
        raise UnknownSchema(
            f"the schema fingerprint {fingerprint} is not known to this version: upgrade the reader, "
            "or have the sender use a schema that logkeel ships",
            fingerprint=fingerprint,
        )
    return _known_reader(fingerprint)


@cache
def _known_reader(fingerprint: str) -> _Reader:
    name = landed()[fingerprint]
    newest = current()[name]
    if newest != fingerprint:
        return _Reader(RECORD_BY_NAME[name], parsed(fingerprint), parsed(newest), None)
    read = compile_reader(parsed(fingerprint), vars(records))
    return _Reader(RECORD_BY_NAME[name], parsed(fingerprint), None, read)
