"""Rows of limits: the line of each, and a way through all who hold a slot. Reads and writes rows."""

from typing import NamedTuple

import msgspec

from logkeel.log import keys as order
from logkeel.log.keys import prefix_end
from logkeel.records import AcquireLimit, LimitAnswered, LimitKind, ReleaseLimit
from logkeel.runs.core.budget_line import BudgetLine, Charge
from logkeel.runs.core.limit_line import Asker, AskerName, Line, LineHead
from logkeel.runs.rows import keys
from logkeel.runs.rows.row_map import RowMap, Rows, packed

_KINDS: dict[str, LimitKind] = {"concurrency": "concurrency", "rate": "rate", "budget": "budget"}


class LimitName(NamedTuple):
    """Which limit."""

    kind: LimitKind
    name: str
    key: str

    @classmethod
    def of(cls, said: AcquireLimit | ReleaseLimit | LimitAnswered) -> "LimitName":
        """The one that the record is about."""
        return cls(said.kind, said.name, said.key)

    def pack(self) -> bytes:
        """As a part of keys and timers; also what its home follows from."""
        return order.text(self.kind) + order.text(self.name) + order.text(self.key)

    @classmethod
    def unpack(cls, data: bytes, start: int = 0) -> tuple["LimitName", int]:
        """Reverses `pack`; also where it ends."""
        kind, start = order.read_text(data, start)
        name, start = order.read_text(data, start)
        key, start = order.read_text(data, start)
        return cls(_KINDS[kind], name, key), start


class HeldSlot(NamedTuple):
    """Somebody who holds a slot."""

    limit: LimitName
    name: AskerName
    asker: Asker


def _pack_name(name: AskerName) -> bytes:
    return order.text(name.run_id) + order.text(name.incarnation) + order.text(name.path)


def _unpack_name(tail: bytes) -> AskerName:
    run_id, start = order.read_text(tail, 0)
    incarnation, start = order.read_text(tail, start)
    return AskerName(run_id, incarnation, order.read_text(tail, start)[0])


def _unpack_number(tail: bytes) -> int:
    return order.read_number(tail, 0)[0]


_ENCODER = msgspec.msgpack.Encoder()
_HEAD = msgspec.msgpack.Decoder(LineHead)
_ASKER = msgspec.msgpack.Decoder(Asker)
_ASKERS = packed(Asker, _pack_name, _unpack_name)
_WAITING = packed(AskerName, order.number, _unpack_number)
_TIMES = packed(int, order.number, _unpack_number)
_CHARGES = packed(Charge, order.number, _unpack_number)
_HEAD_ROW, _WAITING_ROW, _TIME_ROW, _CHARGE_ROW = b"\x00", b"\x02", b"\x03", b"\x04"


class Limits:
    """One turn's view of the limits of a partition."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def line(self, limit: LimitName) -> Line:
        """The limit as it stands; one that nobody has asked for yet has an empty line."""
        name = limit.pack()
        row = self._rows.get(keys.LIMIT + name + _HEAD_ROW)
        head = LineHead() if row is None else _HEAD.decode(row)
        askers = RowMap(self._rows, keys.LIMIT_ASKER + name, _ASKERS)
        waiting = RowMap(self._rows, keys.LIMIT + name + _WAITING_ROW, _WAITING)
        if limit.kind == "budget":
            return BudgetLine(
                head, askers, waiting, charges=RowMap(self._rows, keys.LIMIT + name + _CHARGE_ROW, _CHARGES)
            )
        return Line(head, askers, waiting, RowMap(self._rows, keys.LIMIT + name + _TIME_ROW, _TIMES))

    def save(self, limit: LimitName, line: Line) -> None:
        """Write the head, once per turn; nothing stays of a limit that nobody uses."""
        key = keys.LIMIT + limit.pack() + _HEAD_ROW
        if not line.is_forgotten:
            self._rows.put(key, _ENCODER.encode(line.head))
        elif self._rows.get(key) is not None:
            self._rows.delete(key)

    def held(self, after: bytes, limit: int) -> tuple[list[HeldSlot], bytes]:
        """Who holds, at most `limit` of those behind `after` (b"": from the first); where to go on, b"" at the end."""
        found: list[HeldSlot] = []
        start = keys.LIMIT_ASKER + after + (b"\x00" if after else b"")
        for seen, (key, row) in enumerate(self._rows.scan(start, prefix_end(keys.LIMIT_ASKER)), 1):
            name, end = LimitName.unpack(key, 1)
            asker = _ASKER.decode(row)
            if asker.place is None:
                found.append(HeldSlot(name, _unpack_name(key[end:]), asker))
            if seen == limit:
                return found, key[1:]
        return found, b""
