"""Laws of the codec: what is written is read back, and bytes of any kind raise the two named errors only."""

from io import BytesIO
from typing import Any

import msgspec
import pytest
from fastavro import schemaless_reader, schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st
from tests.strategies.records import records, structs
from tests.unit.schemas.reference import dumper

from logkeel.errors import InvalidInput, UndecodableRecord, UnknownSchema
from logkeel.records import CancelRun, FieldWrite, Payload, Request, SignalRun, StartRun
from logkeel.wire import RECORDS, Record, decode, decode_as, decode_request, encode
from logkeel.wire.catalog import current, landed, parsed

HEADER_BYTES = 10


def exactly(value: Any) -> Any:
    """The value with the type of every scalar, so that 1, 1.0 and True differ, and what is no number equals itself."""
    if isinstance(value, msgspec.Struct):
        return (type(value), [exactly(getattr(value, name)) for name in value.__struct_fields__])
    if isinstance(value, tuple):
        return [exactly(item) for item in value]
    if isinstance(value, float):
        return (float, repr(value))
    return (type(value), value)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_type_round_trips(kind: type[Record]) -> None:
    @given(structs(kind))
    def law(record: Record) -> None:
        assert exactly(decode(encode(record))) == exactly(record)

    law()


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_the_body_is_what_fastavro_writes(kind: type[Record]) -> None:
    @given(structs(kind))
    def law(record: Record) -> None:
        out = BytesIO()
        schemaless_writer(out, parsed(current()[kind.__name__]), dumper(kind)(record))
        assert encode(record)[HEADER_BYTES:] == out.getvalue()

    law()


@given(records(), st.data())
def test_what_is_read_is_what_fastavro_reads(record: Record, data: st.DataObject) -> None:
    """Of whole bytes and of damaged ones; only what fastavro also takes is taken."""
    written = bytearray(encode(record))
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(HEADER_BYTES, len(written) - 1))
        written[place] ^= data.draw(st.integers(1, 255))
    try:
        read = decode(bytes(written))
    except UndecodableRecord:
        return
    kind = type(record)
    value = schemaless_reader(BytesIO(bytes(written[HEADER_BYTES:])), parsed(current()[kind.__name__]), None)
    assert exactly(read) == exactly(msgspec.convert(value, kind))


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xc3\x01")
@example(b"\x00\x00\x00\x00\x07abc")
def test_any_bytes_are_a_record_or_a_named_error(data: bytes) -> None:
    with pytest.raises((UndecodableRecord, UnknownSchema)):
        decode(data)
    with pytest.raises((UndecodableRecord, UnknownSchema)):
        decode_request(data)


@given(st.sampled_from(sorted(landed())), st.binary(max_size=200))
def test_any_body_behind_a_known_fingerprint_is_a_record_or_undecodable(fingerprint: str, body: bytes) -> None:
    data = b"\xc3\x01" + bytes.fromhex(fingerprint) + body
    try:
        record = decode(data)
    except UndecodableRecord:
        return
    assert exactly(decode(encode(record))) == exactly(record)


@given(records(), st.data())
def test_a_damaged_record_is_a_record_or_a_named_error(record: Record, data: st.DataObject) -> None:
    written = bytearray(encode(record))
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(written))
    except (UndecodableRecord, UnknownSchema):
        return


@given(records(), st.data())
def test_a_truncated_record_is_undecodable(record: Record, data: st.DataObject) -> None:
    written = encode(record)
    with pytest.raises(UndecodableRecord):
        decode(written[: data.draw(st.integers(0, len(written) - 1))])


@given(records(), st.binary(min_size=1, max_size=5))
def test_bytes_after_the_record_are_refused(record: Record, excess: bytes) -> None:
    with pytest.raises(UndecodableRecord, match="follow"):
        decode(encode(record) + excess)


@given(structs(StartRun) | structs(SignalRun) | structs(CancelRun))
def test_requests_are_read_from_avro(request: Request) -> None:
    assert decode_request(encode(request)) == request


def test_the_framing_is_single_object_encoding() -> None:
    written = encode(CancelRun(run_id="r"))
    assert written[:2] == b"\xc3\x01"
    assert landed()[written[2:HEADER_BYTES].hex()] == "CancelRun"
    assert written[HEADER_BYTES:] == b"\x02r\x00\x00\x00\x00"


def test_an_unknown_fingerprint_is_named() -> None:
    with pytest.raises(UnknownSchema, match="0123456789abcdef") as caught:
        decode(bytes.fromhex("c3010123456789abcdef00"))
    assert caught.value.fingerprint == "0123456789abcdef"


def test_confluent_framing_names_its_schema_id() -> None:
    with pytest.raises(UnknownSchema, match="schema id 258") as caught:
        decode_request(b"\x00\x00\x00\x01\x02body")
    assert caught.value.schema_id == 258


def test_a_record_of_another_type_is_refused() -> None:
    with pytest.raises(UndecodableRecord, match="a CancelRun stands where a StartRun or SignalRun belongs"):
        decode_as(encode(CancelRun(run_id="r")), StartRun, SignalRun)


@pytest.mark.parametrize(
    "write",
    [
        FieldWrite(field="count", is_control=True, control=2**63),
        FieldWrite(field="\ud800"),
        FieldWrite(field="count", is_control=True, control=[1]),  # type: ignore[arg-type]
        FieldWrite(field=7),  # type: ignore[arg-type]
        FieldWrite(field="x", operation="frobnicate"),  # type: ignore[arg-type]
        FieldWrite(field="x", payload=Payload(encoding="json", data="text")),  # type: ignore[arg-type]
    ],
    ids=[
        "integer-of-65-bits",
        "lone-surrogate",
        "list-for-control",
        "number-for-text",
        "unknown-symbol",
        "text-for-bytes",
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_encode(write: FieldWrite) -> None:
    with pytest.raises(InvalidInput, match="StartRun cannot be written"):
        encode(StartRun(workflow="w", inputs=(write,)))
