"""zstd (RFC 8878): the only importer of `zstandard`. Pure.

A frame says how large its content is; one that does not, or says more than the caller takes, is refused before anything
is decompressed.
"""

from typing import Any

from logkeel.errors import ConfigInvalid, PayloadTampered

LEVEL = 3
"""zstd's own default: JSON shrinks to a fifth or less at some 300 MB/s."""


def compress(data: bytes) -> bytes:
    """One frame with its content size. The same data give the same bytes as long as the library is the same.

    Raises `ConfigInvalid` without the library.
    """
    compressed: bytes = _zstandard().ZstdCompressor(level=LEVEL, write_content_size=True).compress(data)
    return compressed


def decompress(data: bytes, *, max_bytes: int) -> bytes:
    """The content of a frame. Raises `PayloadTampered`, and `ConfigInvalid` without the library."""
    zstandard = _zstandard()
    try:
        size_bytes = zstandard.frame_content_size(data)
        if not 0 <= size_bytes <= max_bytes:
            said = "an unknown number of" if size_bytes < 0 else size_bytes
            raise PayloadTampered(f"a zstd frame announces {said} bytes; at most {max_bytes} are taken")
        content: bytes = zstandard.ZstdDecompressor().decompress(data, max_output_size=max_bytes)
    except zstandard.ZstdError as error:
        raise PayloadTampered(f"a payload is no zstd frame: {error}") from error
    return content


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise ConfigInvalid("payloads are compressed, and zstandard is not installed: logkeel[payloads]") from error
    return zstandard
