"""The payload chain out of settings, and views opened with it for people."""

from dataclasses import replace
from pathlib import Path

import msgspec

from logkeel.cli.settings import Settings
from logkeel.errors import LogkeelError
from logkeel.payloads import BlobStore, PayloadChain, read_keys
from logkeel.projection import FieldView, OpenQuestion, RunView
from logkeel.records import Payload

SHOWN_BYTES = 64 * 1024
"""A larger blob is not fetched to be shown: a terminal has room for less."""


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


def opened(view: RunView, chain: PayloadChain) -> RunView:
    """The run with the values that can be read here; the others stay as they are."""
    return replace(view, fields={name: _opened(field, chain) for name, field in view.fields.items()})


def readable_values(asked: OpenQuestion, chain: PayloadChain) -> OpenQuestion:
    """The question with the values that can be read here; the others stay as they are."""
    shown = tuple(msgspec.structs.replace(each, payload=_readable(each.payload, chain)) for each in asked.shown)
    return replace(asked, shown=shown)


def _opened(field: FieldView, chain: PayloadChain) -> FieldView:
    elements = field.elements and {key: _unwrapped(payload, chain) for key, payload in field.elements.items()}
    return replace(field, payload=_readable(field.payload, chain), elements=elements)


def _readable(payload: Payload | None, chain: PayloadChain) -> Payload | None:
    return None if payload is None else _unwrapped(payload, chain)


def _unwrapped(payload: Payload, chain: PayloadChain) -> Payload:
    if payload.blob is not None and payload.blob.size_bytes > SHOWN_BYTES:
        return payload
    try:
        return chain.unwrap(payload)
    except LogkeelError:
        return payload
