"""Large payloads outside of the log: the only importer of `fsspec`. A shell file: threads are made here.

A blob is named by the SHA-256 of its bytes below the store's URL, `<url>/ab/ab12…`: written again it is the same
object, and it never changes. Only blobs of a known store are read, so a record cannot make a worker open another
address. Nothing is ever deleted here (docs/payloads.md).
"""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from logkeel.errors import BlobMissing, BlobStoreUnavailable, ConfigInvalid, PayloadTampered
from logkeel.records import Blob

TIMEOUT_S: Final = 60.0
"""Of one read or write: 256 MiB at some 5 MB/s."""

CACHE_BYTES: Final = 256 * 1024 * 1024

T = TypeVar("T")


class BlobStore:
    """Writes below the first URL, reads below all of them. Safe to use from several threads.

    `options` go to the file system behind the URL (credentials, endpoints), and are never shown. What was read lately
    is kept, up to `cache_bytes` and in any case the newest: a step that has to be begun again does not read it again.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        options: Mapping[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """Connects to nothing. Raises `ConfigInvalid` for a URL that carries credentials or has no scheme."""
        self._urls = tuple(_checked(url) for url in urls)
        self._options = dict(options or {})
        self._timeout_s = timeout_s
        self._cache_bytes = cache_bytes
        self._cached: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        _fsspec()

    def __repr__(self) -> str:
        return f"BlobStore({', '.join(self._urls)})"

    def put(self, data: bytes) -> Blob:
        """Keep `data`; durable once this returns, and harmless to repeat. Raises `BlobStoreUnavailable`."""
        sha256 = hashlib.sha256(data).hexdigest()
        uri = _uri(self._urls[0], sha256)
        self._bounded(lambda: self._write(uri, data), uri)
        return Blob(uri=uri, size_bytes=len(data), sha256=sha256)

    def get(self, blob: Blob) -> bytes:
        """The bytes of a blob, verified.

        Raises `BlobStoreUnavailable`, `BlobMissing`, `PayloadTampered`, and `ConfigInvalid` for one of another store.
        """
        if not any(blob.uri == _uri(url, blob.sha256) for url in self._urls):
            known = ", ".join(self._urls)
            raise ConfigInvalid(
                f"a payload is kept at {blob.uri}, which is in no known store ({known}): add its URL to --blob-store",
                uri=blob.uri,
            )
        with self._lock:
            data = self._cached.get(blob.sha256)
        if data is None:
            data = self._bounded(lambda: self._read(blob.uri), blob.uri)
            if len(data) != blob.size_bytes or hashlib.sha256(data).hexdigest() != blob.sha256:
                message = f"the blob {blob.uri} is not what was written there: its SHA-256 differs"
                raise PayloadTampered(message, uri=blob.uri)
        self._keep(blob.sha256, data)
        return data

    def _keep(self, sha256: str, data: bytes) -> None:
        with self._lock:
            self._cached[sha256] = data
            self._cached.move_to_end(sha256)
            size_bytes = sum(map(len, self._cached.values()))
            while size_bytes > self._cache_bytes and len(self._cached) > 1:
                size_bytes -= len(self._cached.popitem(last=False)[1])

    def _write(self, uri: str, data: bytes) -> None:
        """Also where it exists already: the store forgets by age, and this one is wanted from today on."""
        system, path = self._located(uri)
        if urlsplit(uri).scheme == "file":
            _write_locally(Path(path), data)
        else:
            system.pipe_file(path, data)

    def _read(self, uri: str) -> bytes:
        system, path = self._located(uri)
        try:
            data: bytes = system.cat_file(path)
        except FileNotFoundError as error:
            raise BlobMissing(
                f"the blob {uri} does not exist: the store must keep blobs longer than the log keeps what names them",
                uri=uri,
            ) from error
        return data

    def _located(self, uri: str) -> tuple[Any, str]:
        system, path = _fsspec().core.url_to_fs(uri, **self._options)
        return system, str(path)

    def _bounded(self, call: Callable[[], T], uri: str) -> T:
        """On a thread of its own, since no file system promises to come back in time."""
        future: Future[T] = Future()
        threading.Thread(target=_settle, args=(future, call), name="logkeel-blob", daemon=True).start()
        try:
            return future.result(self._timeout_s)
        except BlobMissing:
            raise
        except TimeoutError as error:
            message = f"the blob store did not answer in {self._timeout_s:g} s for {uri}; it is tried again"
            raise BlobStoreUnavailable(message, uri=uri) from error
        except Exception as error:  # whatever a file system raises
            said = f"{type(error).__name__}: {error}"
            raise BlobStoreUnavailable(f"the blob store fails for {uri}, it is tried again: {said}", uri=uri) from error


def _settle(future: "Future[T]", call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - handed to the caller
        future.set_exception(error)


def _write_locally(path: Path, data: bytes) -> None:
    """Whole or not at all, and on the disk: a name that is there has its bytes after a loss of power, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _uri(url: str, sha256: str) -> str:
    return f"{url}/{sha256[:2]}/{sha256}"


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme or "://" not in url:
        raise ConfigInvalid(f"a blob store is a URL such as file:///var/blobs or s3://bucket/blobs, not {url!r}")
    if parts.username or parts.password or parts.query:
        # It would stand in every record that names a blob.
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        raise ConfigInvalid(f"the URL of the blob store {shown} carries credentials: put them into [blob_options]")
    return url.rstrip("/")


def _fsspec() -> Any:
    try:
        import fsspec
        import fsspec.core
    except ImportError as error:
        raise ConfigInvalid("a blob store is given, and fsspec is not installed: logkeel[payloads]") from error
    return fsspec
