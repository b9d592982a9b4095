"""The payload chain out of settings."""

from pathlib import Path

from logkeel.cli.settings import Settings
from logkeel.payloads import BlobStore, PayloadChain, read_keys


def payload_chain(settings: Settings) -> PayloadChain:
    """What happens to values on their way. Raises `ConfigInvalid`; connects to nothing."""
    urls = [url.strip() for url in settings.blob_store.split(",") if url.strip()]
    return PayloadChain(
        compression=settings.payload_compression,
        compress_above_bytes=settings.compress_above_bytes,
        keys=read_keys(Path(settings.payload_keys)) if settings.payload_keys else None,
        blobs=BlobStore(urls, options=settings.blob_options) if urls else None,
        blob_above_bytes=settings.blob_above_bytes,
    )
