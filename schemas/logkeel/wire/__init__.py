"""Records as bytes: Avro single-object encoding out, Avro or (for requests) JSON in.

The only importer of fastavro. Knows nothing of topics, keys and headers.
"""

from logkeel.wire.codec import decode, decode_as, encode, record_type
from logkeel.wire.controls import control_from_json
from logkeel.wire.elements import element_writes, removals, texts_of
from logkeel.wire.requests import decode_request
from logkeel.wire.shapes import RECORDS, Record

__all__ = [
    "RECORDS",
    "Record",
    "control_from_json",
    "decode",
    "decode_as",
    "decode_request",
    "element_writes",
    "encode",
    "record_type",
    "removals",
    "texts_of",
]
