"""Rows of schedules: one each, under its name. Reads and writes rows."""

from collections.abc import Iterator

import msgspec

from logkeel.log import keys as order
from logkeel.log.keys import prefix_end
from logkeel.runs.core.schedules import ScheduleState
from logkeel.runs.rows import keys
from logkeel.runs.rows.row_map import Rows

_ENCODER = msgspec.msgpack.Encoder()
_ROW = msgspec.msgpack.Decoder(ScheduleState)


class Schedules:
    """One turn's view of the schedules of a partition."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def get(self, name: str) -> ScheduleState | None:
        """The schedule, for this turn alone."""
        row = self._rows.get(keys.SCHEDULE + order.text(name))
        return None if row is None else _ROW.decode(row)

    def save(self, state: ScheduleState) -> None:
        """Write it, if that changes anything."""
        key, row = keys.SCHEDULE + order.text(state.put.name), _ENCODER.encode(state)
        if self._rows.get(key) != row:
            self._rows.put(key, row)

    def delete(self, name: str) -> None:
        """Forget it."""
        self._rows.delete(keys.SCHEDULE + order.text(name))

    def names(self) -> Iterator[str]:
        """All of them."""
        for key, _ in self._rows.scan(keys.SCHEDULE, prefix_end(keys.SCHEDULE)):
            yield order.read_text(key, len(keys.SCHEDULE))[0]
