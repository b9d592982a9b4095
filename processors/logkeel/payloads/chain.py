"""What happens to a payload between its writer and its reader: serialize → compress → encrypt → claim check. Pure but
for the blob store it may be given.

`Payload.encoding` names the chain, outermost last: `json`, `json+zstd`, `json+aesgcm:key-1`, `json+zstd+aesgcm:key-1`.
A payload with a `blob` is the same, its bytes kept elsewhere. Whoever serializes wraps (client, worker), whoever reads
unwraps (worker, client); engines do neither. Control fields are never touched.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from msgspec.structs import replace

from logkeel.errors import ConfigInvalid, PayloadTooLarge, UndecodableRecord
from logkeel.payloads.blobs import BlobStore
from logkeel.payloads.compression import compress, decompress
from logkeel.payloads.sealing import NONCE_BYTES, TAG_BYTES, KeyRing, SealingKey
from logkeel.records import FieldValue, FieldWrite, Payload
from logkeel.records.limits import MAX_FIELDS_BYTES, MAX_PAYLOAD_BYTES, field_bytes, fields_bytes, largest_first

JSON_ENCODING: Final = "json"
COMPRESS_ABOVE_BYTES: Final = 1_024
"""Below it a frame saves less than it costs to make and read."""

MAX_VALUE_BYTES: Final = 256 * 1024 * 1024
"""One value, serialized. Worker and client hold a value several times over while they wrap or unwrap it."""

_QUICK_BYTES = 64 * 1024
_ZSTD = "zstd"
_SEALED = "aesgcm:"

Field = TypeVar("Field", FieldValue, FieldWrite)


@dataclass(frozen=True, kw_only=True)
class PayloadChain:
    """What is done to payloads that are written; everything that a chain can make is read, given keys and store.

    Sizes are bytes. Values above `blob_above_bytes` (as they would be sent) go to the store; so do the largest of those
    that together do not fit into one record.
    """

    compression: Literal["none", "zstd"] = "none"
    compress_above_bytes: int = COMPRESS_ABOVE_BYTES
    keys: KeyRing | None = None
    blobs: BlobStore | None = None
    blob_above_bytes: int = MAX_PAYLOAD_BYTES
    max_value_bytes: int = MAX_VALUE_BYTES

    def __post_init__(self) -> None:
        if not 0 < self.blob_above_bytes <= MAX_PAYLOAD_BYTES:
            said = f"values above {self.blob_above_bytes} bytes cannot be the first that go to the blob store"
            raise ConfigInvalid(f"{said}: a record takes 1 to {MAX_PAYLOAD_BYTES}")

    def wrap_writes(self, writes: Sequence[FieldWrite], what: str) -> tuple[FieldWrite, ...]:
        """Fields as they go into one record; `what` they are, for the error. Repeatable.

        Raises `PayloadTooLarge`, `BlobStoreUnavailable`, `ConfigInvalid`.
        """
        wrapped = tuple(self._wrap_write(write) for write in writes)
        if self.blobs is not None and fields_bytes(wrapped) > MAX_FIELDS_BYTES:
            wrapped = self._relieved(writes, wrapped, self.blobs)
        if fields_bytes(wrapped) > MAX_FIELDS_BYTES:
            raise PayloadTooLarge(
                f"{what} has {fields_bytes(wrapped)} bytes; the fields of one record have at most {MAX_FIELDS_BYTES}"
                f" together: {largest_first(wrapped)}. {self._remedy()}",
                size_bytes=fields_bytes(wrapped),
                limit_bytes=MAX_FIELDS_BYTES,
            )
        return wrapped

    def wrap(self, payload: Payload, name: str) -> Payload:
        """A serialized payload as it travels; `name` is for the error. Raises as `wrap_writes`."""
        return self._wrap(payload, name, blob_above_bytes=self.blob_above_bytes)

    def unwrap(self, payload: Payload) -> Payload:
        """The serialized payload, inline. Raises `PayloadTampered`, `UnknownPayloadKey`, `UndecodableRecord`,
        `BlobMissing`, `BlobStoreUnavailable`, `ConfigInvalid`.
        """
        first, *links = payload.encoding.split("+")
        if first != JSON_ENCODING or not all(link == _ZSTD or link.startswith(_SEALED) for link in links):
            known = f"{JSON_ENCODING}, +{_ZSTD} and +{_SEALED}<key>"
            message = f"a payload comes as {payload.encoding!r}; this version reads {known}"
            raise UndecodableRecord(message, encoding=payload.encoding)
        data = self._fetched(payload)
        for length in range(len(links), 0, -1):
            link = links[length - 1]
            if link == _ZSTD:
                data = decompress(data, max_bytes=self.max_value_bytes)
            else:
                data = self._key(link.removeprefix(_SEALED)).open(data, "+".join((first, *links[:length])))
        return Payload(encoding=first, data=data)

    def unwrap_fields(self, fields: Iterable[Field]) -> tuple[Field, ...]:
        """Fields with their payloads serialized and inline. Raises as `unwrap`."""
        return tuple(self._unwrap_field(field) for field in fields)

    def digest(self, plain: str) -> str:
        """The digest of an input as it may stand in a record (P28): without a key it would tell what can be guessed."""
        return plain if self.keys is None else self.keys.digesting.digest(plain)

    def is_quick(self, fields: Iterable[FieldValue | FieldWrite]) -> bool:
        """Whether wrapping or unwrapping these takes no I/O and well below a millisecond, so that a loop may do it."""
        limit_bytes = _QUICK_BYTES if self.blobs is None else min(_QUICK_BYTES, self.blob_above_bytes)
        payloads = [payload for field in fields for payload in _payloads_of(field)]
        return all(it.blob is None for it in payloads) and sum(len(it.data or b"") for it in payloads) <= limit_bytes

    def _wrap_write(self, write: FieldWrite) -> FieldWrite:
        if write.payload is None:
            return write
        return replace(write, payload=self.wrap(write.payload, f"field {write.field!r}"))

    def _relieved(
        self, writes: Sequence[FieldWrite], wrapped: Sequence[FieldWrite], blobs: BlobStore
    ) -> tuple[FieldWrite, ...]:
        """The largest inline fields by reference, until all fit."""
        relieved = list(wrapped)
        for index in sorted(range(len(relieved)), key=lambda each: -field_bytes(relieved[each])):
            payload = writes[index].payload
            if payload is None or fields_bytes(relieved) <= MAX_FIELDS_BYTES:
                break
            # From the start: only what is encrypted for a blob has a name that a retry gives again.
            kept = self._wrap(payload, f"field {writes[index].field!r}", blob_above_bytes=0)
            relieved[index] = replace(relieved[index], payload=kept)
        return tuple(relieved)

    def _wrap(self, payload: Payload, name: str, *, blob_above_bytes: int) -> Payload:
        data, encoding = payload.data, payload.encoding
        if encoding != JSON_ENCODING or data is None:
            return payload
        if len(data) > self.max_value_bytes:
            raise self._too_large(name, len(data), self.max_value_bytes)
        if self.compression == "zstd" and len(data) >= self.compress_above_bytes:
            compressed = compress(data)
            if len(compressed) < len(data):
                data, encoding = compressed, f"{encoding}+{_ZSTD}"
        sealed_bytes = len(data) + (0 if self.keys is None else NONCE_BYTES + TAG_BYTES)
        is_large = self.blobs is not None and sealed_bytes > blob_above_bytes
        if self.keys is not None:
            key = self.keys.current
            encoding = f"{encoding}+{_SEALED}{key.key_id}"
            data = key.seal(data, encoding, synthetic=is_large)
        if is_large and self.blobs is not None:
            return Payload(encoding=encoding, blob=self.blobs.put(data))
        if len(data) > MAX_PAYLOAD_BYTES:
            raise self._too_large(name, len(data), MAX_PAYLOAD_BYTES)
        return Payload(encoding=encoding, data=data)

    def _unwrap_field(self, field: Field) -> Field:
        if all(payload.encoding == JSON_ENCODING and payload.blob is None for payload in _payloads_of(field)):
            return field
        if field.payload is not None:
            return replace(field, payload=self.unwrap(field.payload))
        assert isinstance(field, FieldValue)  # noqa: S101  # no write has elements
        return replace(
            field, elements=tuple(replace(each, payload=self.unwrap(each.payload)) for each in field.elements)
        )

    def _fetched(self, payload: Payload) -> bytes:
        if payload.blob is None:
            return payload.data or b""
        if self.blobs is None:
            raise ConfigInvalid(
                f"a payload is kept at {payload.blob.uri}, and this process has no blob store: give it --blob-store",
                uri=payload.blob.uri,
            )
        return self.blobs.get(payload.blob)

    def _key(self, key_id: str) -> SealingKey:
        return (self.keys or _NO_KEYS).key(key_id)

    def _too_large(self, name: str, size_bytes: int, limit_bytes: int) -> PayloadTooLarge:
        remedy = self._remedy() if limit_bytes <= MAX_PAYLOAD_BYTES else "Split it, or store it and keep its address"
        return PayloadTooLarge(
            f"{name} has {size_bytes} bytes; a payload has at most {limit_bytes}. {remedy}",
            size_bytes=size_bytes,
            limit_bytes=limit_bytes,
        )

    def _remedy(self) -> str:
        if self.blobs is not None:
            return "Its control fields and names are what is large: shorten them"
        return "Give clients and workers a blob store (--blob-store), or store it yourself and keep its address"


def _payloads_of(field: FieldValue | FieldWrite) -> list[Payload]:
    elements = [each.payload for each in field.elements] if isinstance(field, FieldValue) else []
    return elements if field.payload is None else [field.payload, *elements]


_NO_KEYS = KeyRing(SealingKey("", b""), {})

PLAIN: Final = PayloadChain()
"""JSON inline: what everybody can read."""
