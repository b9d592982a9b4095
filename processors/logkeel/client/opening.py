"""Views opened with a payload chain, for people: what cannot be read here stays as it travels."""

from dataclasses import replace
from typing import Final

import msgspec

from logkeel.errors import LogkeelError
from logkeel.payloads import PayloadChain
from logkeel.projection import FieldView, OpenQuestion, RunView
from logkeel.records import Payload

SHOWN_BYTES: Final = 64 * 1024
"""A larger blob is not fetched to be shown: a terminal or a page has room for less."""


def opened(view: RunView, chain: PayloadChain) -> RunView:
    """The run with the values that can be read here; the others stay as they are."""
    return msgspec.structs.replace(view, fields={name: _opened(field, chain) for name, field in view.fields.items()})


def readable_values(asked: OpenQuestion, chain: PayloadChain) -> OpenQuestion:
    """The question with the values that can be read here; the others stay as they are."""
    shown = tuple(msgspec.structs.replace(each, payload=_readable(each.payload, chain)) for each in asked.shown)
    return replace(asked, shown=shown)


def _opened(field: FieldView, chain: PayloadChain) -> FieldView:
    elements = field.elements and {key: _unwrapped(payload, chain) for key, payload in field.elements.items()}
    return msgspec.structs.replace(field, payload=_readable(field.payload, chain), elements=elements)


def _readable(payload: Payload | None, chain: PayloadChain) -> Payload | None:
    return None if payload is None else _unwrapped(payload, chain)


def _unwrapped(payload: Payload, chain: PayloadChain) -> Payload:
    if payload.blob is not None and payload.blob.size_bytes > SHOWN_BYTES:
        return payload
    try:
        return chain.unwrap(payload)
    except LogkeelError:
        return payload
