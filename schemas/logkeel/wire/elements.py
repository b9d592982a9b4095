"""Values that are kept element by element, as JSON: a whole one taken apart, and put together again. Pure.

No element is decoded: the bytes of each stay as they were written.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import attrgetter

import msgspec

from logkeel.definitions import Elements
from logkeel.errors import InvalidInput
from logkeel.records import FieldWrite, Operation, Payload

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_KEYS = msgspec.json.Decoder(list[str])
_MAP = msgspec.json.Decoder(dict[str, msgspec.Raw])


def element_writes(write: FieldWrite, elements: Elements, *, whole: bool) -> tuple[FieldWrite, ...]:
    """The writes that a write of plain JSON stands for; `whole`: instead of what the field has.

    Gives the write itself if its payload is anything else. Raises `InvalidInput` for JSON of another shape.
    """
    payload = write.payload
    if payload is None or payload.encoding != "json" or payload.data is None or write.operation != "replace":
        return (write,)
    begin = (FieldWrite(field=write.field),) if whole else ()
    return (*begin, *(_element(write.field, key, data) for key, data in _parts(write.field, payload.data, elements)))


def removals(write: FieldWrite) -> tuple[FieldWrite, ...]:
    """The removals that a JSON list of keys stands for; the write itself if it is anything else."""
    try:
        keys = _KEYS.decode(b"" if write.payload is None else write.payload.data or b"")
    except ValueError:
        return (write,)
    return tuple(FieldWrite(field=write.field, operation="remove", element_key=key) for key in keys)


def texts_of(inputs: Iterable[FieldWrite], control_text: Callable[[FieldWrite], bytes]) -> Iterator[tuple[str, bytes]]:
    """(field, JSON text) in the order of names, of values that came whole or element by element: the same for both.

    Whether an empty value would have been a list or an object, nobody can tell: both are `[]`.
    """
    for name, group in groupby(sorted(inputs, key=attrgetter("field")), attrgetter("field")):
        writes = list(group)
        parts = [each for each in writes if each.operation in ("append", "put")]
        begins = writes[0].payload is None and not writes[0].is_control and writes[0].operation == "replace"
        if not parts and not (begins and len(writes) == 1):
            for each in writes:
                inline = None if each.payload is None else each.payload.data
                yield name, control_text(each) if inline is None else b"[]" if inline == b"{}" else inline
        elif any(each.operation == "put" for each in parts):
            yield name, b"{" + b",".join(_pair(each) for each in parts) + b"}"
        else:
            yield name, b"[" + b",".join(_text(each) for each in parts) + b"]"


def _parts(name: str, data: bytes, elements: Elements) -> Iterator[tuple[str | None, bytes]]:
    try:
        if elements == "list":
            yield from ((None, bytes(each)) for each in _LIST.decode(data))
        else:
            yield from ((key, bytes(each)) for key, each in _MAP.decode(data).items())
    except (ValueError, RecursionError) as error:
        wanted = "list" if elements == "list" else "object"
        raise InvalidInput(f"field {name!r} must be a JSON {wanted}: {error}", field=name) from error


def _element(name: str, key: str | None, data: bytes) -> FieldWrite:
    operation: Operation = "append" if key is None else "put"
    return FieldWrite(field=name, operation=operation, element_key=key, payload=Payload(encoding="json", data=data))


def _text(write: FieldWrite) -> bytes:
    return b"" if write.payload is None else write.payload.data or b""


def _pair(write: FieldWrite) -> bytes:
    return msgspec.json.encode(write.element_key) + b":" + _text(write)
