"""A mapping whose items are rows below one prefix. It reads and writes through a turn and keeps nothing itself."""

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from logkeel.log import keys
from logkeel.log.keys import prefix_end

K = TypeVar("K")
V = TypeVar("V")


class Rows(Protocol):
    """What a turn offers of its partition."""

    def get(self, key: bytes, below: bytes | None = None) -> bytes | None: ...

    def begin(self, scope: bytes) -> None: ...

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]: ...

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class RowFormat(Generic[K, V]):
    """How items become rows: the tail of the key behind the prefix, and the value's bytes."""

    pack: Callable[[K], bytes]
    unpack: Callable[[bytes], K]
    encode: Callable[[V], bytes]
    decode: Callable[[bytes], V]


_ENCODER = msgspec.msgpack.Encoder()


def packed(value_type: type[V], pack: Callable[[K], bytes], unpack: Callable[[bytes], K]) -> RowFormat[K, V]:
    """Values as msgpack."""
    return RowFormat(pack, unpack, _ENCODER.encode, msgspec.msgpack.Decoder(value_type).decode)


class RowMap(MutableMapping[K, V]):
    """Items below `prefix`, within a turn: iterating scans; an item is read and decoded once. `scope`: see `Turn.get`.

    Values are immutable. Only one map of these items may be written in a turn, and none read that was made before.
    """

    __slots__ = ("_format", "_known", "_prefix", "_rows", "_scope")

    def __init__(self, rows: Rows, prefix: bytes, row_format: RowFormat[K, V], scope: bytes | None = None) -> None:
        self._rows = rows
        self._prefix = prefix
        self._format = row_format
        self._scope = scope
        self._known: dict[K, V | None] = {}

    def __getitem__(self, key: K) -> V:
        value: V | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: K, default: Any = None) -> Any:
        """As `Mapping.get`, without the price of an exception: a missing row is common."""
        known = self._known
        if key in known:
            value = known[key]
        else:
            row = self._rows.get(self._prefix + self._format.pack(key), self._scope)
            value = known[key] = None if row is None else self._format.decode(row)
        return default if value is None else value

    def __setitem__(self, key: K, value: V) -> None:
        self._rows.put(self._prefix + self._format.pack(key), self._format.encode(value))
        self._known[key] = value

    def __delitem__(self, key: K) -> None:
        if self.get(key) is None:
            raise KeyError(key)
        self._rows.delete(self._prefix + self._format.pack(key))
        self._known[key] = None

    def __iter__(self) -> Iterator[K]:
        start = len(self._prefix)
        for key, _ in self._rows.scan(self._prefix, prefix_end(self._prefix)):
            yield self._format.unpack(key[start:])

    def starting(self, text: str) -> Iterator[K]:
        """Keys whose first part is a text that begins so: a scan of those alone."""
        length = len(self._prefix)
        start = self._prefix + keys.text(text)[: -len(keys.TERMINATOR)]
        for key, _ in self._rows.scan(start, prefix_end(start)):
            yield self._format.unpack(key[length:])

    def __len__(self) -> int:
        return sum(1 for _ in self)


class PathRowMap(RowMap[tuple[str, str], V]):
    """Items by (path, what below it), of which those of one path can be had alone (`core.by_path`)."""

    __slots__ = ()

    def of(self, path: str) -> list[tuple[str, V]]:
        """Those of one path."""
        prefix = self._prefix + keys.text(path)
        start = len(self._prefix)
        rows = self._rows.scan(prefix, prefix_end(prefix))
        return [(self._format.unpack(key[start:])[1], self._format.decode(row)) for key, row in list(rows)]
