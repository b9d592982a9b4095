"""The payload chain: what is wrapped is unwrapped as it was, by those who have key and store, and by nobody else."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.payloads.chains import KEYS, chain, ring

from logkeel.errors import (
    ConfigInvalid,
    PayloadTampered,
    PayloadTooLarge,
    UndecodableRecord,
    UnknownPayloadKey,
)
from logkeel.payloads import PLAIN, BlobStore, PayloadChain, read_keys
from logkeel.payloads.chain import COMPRESS_ABOVE_BYTES
from logkeel.records import ElementValue, FieldValue, FieldWrite, Payload
from logkeel.records.limits import MAX_FIELDS_BYTES, MAX_PAYLOAD_BYTES, fields_bytes


def plain(data: bytes) -> Payload:
    return Payload(encoding="json", data=data)


def write(name: str, data: bytes) -> FieldWrite:
    return FieldWrite(field=name, payload=plain(data))


CHAINS = [
    PLAIN,
    chain(keys=None),
    chain(compression="none"),
    chain(),
    chain(compress_above_bytes=0, keys=ring("key-3", ["key-1"])),
]


@given(
    data=st.binary(max_size=300) | st.binary(max_size=40).map(lambda part: part * 500), which=st.sampled_from(CHAINS)
)
def test_what_is_wrapped_is_unwrapped_as_it_was(data: bytes, which: PayloadChain) -> None:
    assert which.unwrap(which.wrap(plain(data), "x")) == plain(data)


@given(data=st.binary(min_size=1, max_size=2_000), where=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_changed_bit_is_noticed(data: bytes, where: int, bit: int) -> None:
    wrapped = chain().wrap(plain(data), "x")
    changed = bytearray(wrapped.data or b"")
    changed[where % len(changed)] ^= 1 << bit
    with pytest.raises(PayloadTampered):
        chain().unwrap(Payload(encoding=wrapped.encoding, data=bytes(changed)))


@given(data=st.binary(min_size=1, max_size=2_000), kept=st.integers(0, 10_000))
def test_a_cut_payload_is_noticed(data: bytes, kept: int) -> None:
    wrapped = chain().wrap(plain(data), "x")
    cut = (wrapped.data or b"")[: kept % len(wrapped.data or b"")]
    with pytest.raises(PayloadTampered):
        chain().unwrap(Payload(encoding=wrapped.encoding, data=cut))


def test_the_encoding_cannot_be_exchanged() -> None:
    wrapped = chain(compression="none").wrap(plain(b"{}"), "x")
    assert wrapped.encoding == "json+aesgcm:key-1"
    with pytest.raises(PayloadTampered, match="does not fit its tag"):
        chain().unwrap(Payload(encoding="json+zstd+aesgcm:key-1", data=wrapped.data))


def test_encodings_name_the_chain_outermost_last() -> None:
    large = b"a" * COMPRESS_ABOVE_BYTES
    assert chain(keys=None).wrap(plain(large), "x").encoding == "json+zstd"
    assert chain().wrap(plain(large), "x").encoding == "json+zstd+aesgcm:key-1"
    assert chain().wrap(plain(large[1:]), "x").encoding == "json+aesgcm:key-1"
    assert PLAIN.wrap(plain(large), "x") == plain(large)


def test_what_does_not_shrink_is_not_compressed() -> None:
    noise = b"".join(KEYS["key-1"].digest(f"{number}").encode()[:8] for number in range(200))
    packed = bytes.fromhex(noise.decode())
    assert chain(keys=None, compress_above_bytes=1).wrap(plain(packed), "x") == plain(packed)


def test_keys_are_rotated_by_knowing_both() -> None:
    old, both, new = ring("key-1"), ring("key-2", ["key-1"]), ring("key-2")
    before = chain(keys=old).wrap(plain(b"{}"), "x")
    after = chain(keys=both).wrap(plain(b"{}"), "x")
    assert (before.encoding, after.encoding) == ("json+aesgcm:key-1", "json+aesgcm:key-2")
    assert chain(keys=both).unwrap(before) == chain(keys=both).unwrap(after) == plain(b"{}")
    with pytest.raises(UnknownPayloadKey, match="'key-1'; this process has key-2") as unknown:
        chain(keys=new).unwrap(before)
    assert unknown.value.key_id == "key-1"
    with pytest.raises(UnknownPayloadKey):
        PLAIN.unwrap(before)


def test_the_digest_of_an_input_needs_a_key_and_outlives_a_rotation() -> None:
    assert PLAIN.digest("abc") == "abc"
    assert chain(keys=ring("key-1")).digest("abc") == chain(keys=ring("key-2", ["key-1"])).digest("abc") != "abc"
    assert chain(keys=ring("key-2")).digest("abc") != chain(keys=ring("key-1")).digest("abc")


def test_the_cipher_is_the_published_one() -> None:
    """The test vector of C2SP's XAES-256-GCM, with associated data of our own taken off: key and nonce derivation."""
    key, nonce = KEYS["key-1"], b"ABCDEFGHIJKLMNOPQRSTUVWX"
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = AESGCM(key._derived(nonce)).encrypt(nonce[12:], b"XAES-256-GCM", b"")
    assert sealed.hex() == "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"


def test_two_payloads_of_the_same_content_look_different_unless_they_are_blobs(tmp_path: Path) -> None:
    inline = chain()
    assert inline.wrap(plain(b"{}"), "x") != inline.wrap(plain(b"{}"), "x")
    kept = chain(blobs=BlobStore([tmp_path.as_uri()]), blob_above_bytes=100)
    assert kept.wrap(plain(b"a" * 200_000), "x") != kept.wrap(plain(b"a" * 200_000), "x")
    noise = bytes(range(256)) * 2
    first = kept.wrap(plain(noise), "x")
    assert first.blob is not None
    assert first == kept.wrap(plain(noise), "x")


def test_what_is_too_large_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PayloadTooLarge, match=r"field 'doc' has 262145 bytes.*--blob-store"):
        PLAIN.wrap_writes([write("doc", b"a" * (MAX_PAYLOAD_BYTES + 1))], "the result")
    with pytest.raises(PayloadTooLarge, match=r"together.*--blob-store"):
        PLAIN.wrap_writes([write(name, b"a" * MAX_PAYLOAD_BYTES) for name in "abcd"], "the result")
    tight = PayloadChain(blobs=BlobStore([tmp_path.as_uri()]), max_value_bytes=1_000)
    with pytest.raises(PayloadTooLarge, match="at most 1000"):
        tight.wrap_writes([write("doc", b"a" * 1_001)], "the result")


@pytest.mark.parametrize("keys", [None, ring("key-1")])
@pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES - 41, MAX_PAYLOAD_BYTES - 39, MAX_PAYLOAD_BYTES, 1_000_000])
def test_any_size_around_the_threshold_travels(tmp_path: Path, keys: object, size: int) -> None:
    which = chain(compression="none", keys=keys, blobs=BlobStore([tmp_path.as_uri()]))
    payload = which.wrap(plain(b"a" * size), "x")
    assert (payload.blob is not None) == (size + (40 if keys else 0) > MAX_PAYLOAD_BYTES)
    assert which.unwrap(payload) == plain(b"a" * size)


def test_fields_that_together_do_not_fit_go_to_the_store_largest_first(tmp_path: Path) -> None:
    which = chain(compression="none", blobs=BlobStore([tmp_path.as_uri()]))
    writes = [write(name, name.encode() * (MAX_PAYLOAD_BYTES - 1_000 - index)) for index, name in enumerate("abcde")]
    wrapped = which.wrap_writes(writes, "the result")
    assert [each.payload is not None and each.payload.blob is not None for each in wrapped] == [True] * 2 + [False] * 3
    assert fields_bytes(wrapped) <= MAX_FIELDS_BYTES
    assert which.unwrap_fields(wrapped) == tuple(writes)


def test_control_fields_and_wrapped_payloads_are_left_alone() -> None:
    control = FieldWrite(field="verdict", is_control=True, control="good")
    wrapped = chain().wrap_writes([control, write("text", b'"x"')], "the result")
    assert wrapped[0] is control
    assert chain().wrap_writes(wrapped, "the result") == wrapped
    absent = FieldValue(field="text", revision=0)
    assert chain().unwrap_fields([absent]) == (absent,)


@pytest.mark.parametrize("encoding", ["", "msgpack", "json+lz4", "zstd", "json+aesgcm", "json+zstd:1"])
def test_an_unknown_encoding_is_refused_by_name(encoding: str) -> None:
    with pytest.raises(UndecodableRecord, match="this version reads"):
        chain().unwrap(Payload(encoding=encoding, data=b"x"))


def test_a_frame_that_would_grow_beyond_the_limit_is_not_decompressed() -> None:
    payload = chain(keys=None).wrap(plain(b"a" * 100_000), "x")
    with pytest.raises(PayloadTampered, match="announces 100000 bytes; at most 1000"):
        chain(max_value_bytes=1_000).unwrap(payload)


KEY = base64.b64encode(bytes(range(32))).decode()


def test_keys_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'current = "b"\n[keys]\na = "{KEY}"\nb = "{KEY}"\n')
    keys = read_keys(file)
    assert (keys.current.key_id, keys.digesting.key_id, list(keys.keys)) == ("b", "a", ["a", "b"])
    assert keys.current.secret == bytes(range(32))
    assert KEY not in repr(keys)
    assert repr(bytes(range(8)))[2:-1] not in repr(keys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys =", "no TOML"),
        ('current = "a"', "wants"),
        (f'current = "b"\n[keys]\na = "{KEY}"', "one of a"),
        (f'current = "a"\nkey = 1\n[keys]\na = "{KEY}"', "nothing else"),
        (f'current = "a+b"\n[keys]\n"a+b" = "{KEY}"', "no name of a key"),
        ('current = "a"\n[keys]\na = "c2hvcnQ="', "openssl rand"),
        ('current = "a"\n[keys]\na = 7', "not the base64"),
    ],
)
def test_a_wrong_file_is_refused_without_showing_a_key(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(ConfigInvalid, match=said) as refused:
        read_keys(file)
    assert KEY not in str(refused.value)
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read_keys(tmp_path / "none.toml")


@given(texts=st.lists(st.binary(max_size=2_000), max_size=4), which=st.sampled_from(CHAINS))
def test_elements_are_unwrapped_each_by_itself(texts: list[bytes], which: PayloadChain) -> None:
    wrapped = tuple(ElementValue(key="k", payload=which.wrap(plain(text), "x")) for text in texts)
    (field,) = which.unwrap_fields([FieldValue(field="x", revision=1, elements=wrapped)])
    assert [element.payload for element in field.elements] == [plain(text) for text in texts]
    assert fields_bytes([field]) >= sum(map(len, texts))
