"""The blob store: what is kept is verified, names are those of the content, and troubles have names."""

import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.payloads.chains import chain

from logkeel.errors import BlobMissing, BlobStoreUnavailable, ConfigInvalid, PayloadTampered
from logkeel.payloads import PLAIN, BlobStore
from logkeel.records import Blob, Payload


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


def file_of(blob: Blob) -> Path:
    return Path(blob.uri.removeprefix("file://"))


@given(data=st.binary(max_size=1_000))
def test_any_file_system_gives_back_what_it_was_given(data: bytes) -> None:
    store = BlobStore(["memory://blobs"])
    blob = store.put(data)
    assert (blob.size_bytes, blob.uri) == (len(data), f"memory://blobs/{blob.sha256[:2]}/{blob.sha256}")
    assert BlobStore(["memory://blobs/"]).get(blob) == data


def test_the_same_content_is_one_object(folder: Path) -> None:
    store = BlobStore([folder.as_uri()])
    assert store.put(b"x") == store.put(b"x")
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [store.put(b"x").sha256]


def test_content_that_is_kept_again_is_young_again(folder: Path) -> None:
    """A store forgets by age: what is wanted again must not go with the first who wanted it."""
    store = BlobStore([folder.as_uri()])
    file = file_of(store.put(b"x"))
    before = file.stat().st_ino
    store.put(b"x")
    assert file.stat().st_ino != before


def test_a_changed_blob_is_noticed(folder: Path) -> None:
    blob = BlobStore([folder.as_uri()]).put(b"abc")
    for content in (b"abd", b"ab", b""):
        file_of(blob).write_bytes(content)
        with pytest.raises(PayloadTampered, match="SHA-256 differs"):
            BlobStore([folder.as_uri()]).get(blob)


def test_a_blob_that_is_gone_has_a_name(folder: Path) -> None:
    blob = BlobStore([folder.as_uri()]).put(b"abc")
    file_of(blob).unlink()
    with pytest.raises(BlobMissing, match="longer than the log") as missing:
        BlobStore([folder.as_uri()]).get(blob)
    assert missing.value.uri == blob.uri


def test_what_was_read_lately_is_kept(folder: Path) -> None:
    store = BlobStore([folder.as_uri()], cache_bytes=10)
    first, second = store.put(b"a" * 6), store.put(b"b" * 20)
    assert store.get(first) == b"a" * 6
    file_of(first).unlink()
    assert store.get(first) == b"a" * 6
    store.get(second)
    file_of(second).unlink()
    assert store.get(second) == b"b" * 20, "the newest stays, whatever its size"
    with pytest.raises(BlobMissing):
        store.get(first)


def test_only_blobs_of_a_known_store_are_read(tmp_path: Path, folder: Path) -> None:
    """Otherwise who may write to a topic could have a worker open any address."""
    old = BlobStore([(tmp_path / "old").as_uri()])
    blob = old.put(b"abc")
    outside = tmp_path / "secret"
    outside.write_bytes(b"abc")
    store = BlobStore([folder.as_uri()])
    for uri in (blob.uri, outside.as_uri(), f"{folder.as_uri()}/../secret", "http://127.0.0.1:1/x"):
        with pytest.raises(ConfigInvalid, match="in no known store"):
            store.get(Blob(uri=uri, size_bytes=3, sha256=blob.sha256))
    assert BlobStore([folder.as_uri(), (tmp_path / "old").as_uri()]).get(blob) == b"abc"


def test_without_a_store_a_blob_is_not_read() -> None:
    payload = Payload(encoding="json", blob=Blob(uri="memory://b/aa/aa", size_bytes=1, sha256="aa"))
    with pytest.raises(ConfigInvalid, match="--blob-store"):
        PLAIN.unwrap(payload)


def test_a_store_that_fails_or_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    store = BlobStore(["memory://blobs"], timeout_s=0.05)
    release = threading.Event()

    def fails(*_: Any, **__: Any) -> None:
        raise PermissionError("no such right")

    def hangs(*_: Any, **__: Any) -> None:
        release.wait(10)

    system = fsspec.filesystem("memory")
    for broken, said in ((fails, "no such right"), (hangs, "did not answer in 0.05 s")):
        monkeypatch.setattr(type(system), "pipe_file", broken)
        with pytest.raises(BlobStoreUnavailable, match=said):
            store.put(b"x")
    release.set()


@pytest.mark.parametrize("url", ["/var/blobs", "blobs", "s3://key:secret@bucket/x", "s3://bucket/x?secret=1"])
def test_a_url_must_be_one_and_carries_no_credentials(url: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        BlobStore([url])
    assert "secret" not in str(refused.value)


def test_options_are_never_shown() -> None:
    assert "hush" not in repr(BlobStore(["memory://blobs"], options={"secret": "hush"}))


def test_a_blob_is_encrypted_before_it_leaves(folder: Path) -> None:
    which = chain(compression="none", blobs=BlobStore([folder.as_uri()]), blob_above_bytes=10)
    payload = which.wrap(Payload(encoding="json", data=b'"the secret of the field"'), "x")
    assert payload.data is None
    assert payload.blob is not None
    assert b"secret" not in file_of(payload.blob).read_bytes()
    assert which.unwrap(payload).data == b'"the secret of the field"'
