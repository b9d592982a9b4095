"""A run on its rows: loads what is fixed and the head, maps the rest, writes the head back once per turn."""

import msgspec

from logkeel.records import Payload
from logkeel.runs.core.state import FieldPointer, RunHead, RunInfo, RunState, ScopeState, StepState, StoredSignal
from logkeel.runs.rows.keys import (
    RunKeys,
    pack_field,
    pack_path,
    pack_revision,
    pack_value,
    unpack_field,
    unpack_path,
    unpack_revision,
    unpack_value,
)
from logkeel.runs.rows.row_map import RowMap, Rows, packed

_STEPS = packed(StepState, pack_path, unpack_path)
_FORKS = packed(ScopeState, pack_path, unpack_path)
_FIELDS = packed(FieldPointer, pack_field, unpack_field)
_VALUES = packed(Payload, pack_value, unpack_value)
_SIGNALS = packed(StoredSignal, pack_revision, unpack_revision)
_ENCODER = msgspec.msgpack.Encoder()
_INFO = msgspec.msgpack.Decoder(RunInfo)
_HEAD = msgspec.msgpack.Decoder(RunHead)


def load_run(rows: Rows, run_id: str) -> RunState | None:
    """The run with this id; None if there is none."""
    keys = RunKeys(run_id)
    head = rows.get(keys.head)
    info = rows.get(keys.info) if head is not None else None
    if head is None or info is None:
        return None
    return _mapped(rows, keys, _INFO.decode(info), _HEAD.decode(head))


def load_head(rows: Rows, run_id: str) -> RunHead | None:
    """The head alone; it outlives the other rows of a run that expires."""
    row = rows.get(RunKeys(run_id).head)
    return None if row is None else _HEAD.decode(row)


def new_run(rows: Rows, info: RunInfo) -> RunState:
    """A run that begins now. Its head is written with `save_head`."""
    keys = RunKeys(info.run_id)
    rows.put(keys.info, _ENCODER.encode(info))
    return _mapped(_NewRows(rows), keys, info, RunHead())


class _NewRows:
    """Rows of a run that did not exist before this turn: what the turn has not written is not there, unasked.

    The head of a run is its last row to be deleted, so a run without head has no rows.
    """

    __slots__ = ("_own", "_rows", "scan")

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._own: dict[bytes, bytes] = {}
        self.scan = rows.scan

    def get(self, key: bytes) -> bytes | None:
        return self._own.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self._rows.put(key, value)
        self._own[key] = value

    def delete(self, key: bytes) -> None:
        self._rows.delete(key)
        self._own.pop(key, None)


def save_head(rows: Rows, state: RunState) -> None:
    """Write the head, once per turn."""
    rows.put(RunKeys(state.info.run_id).head, _ENCODER.encode(state.head))


def _mapped(rows: Rows, keys: RunKeys, info: RunInfo, head: RunHead) -> RunState:
    return RunState(
        info=info,
        head=head,
        steps=RowMap(rows, keys.steps, _STEPS),
        forks=RowMap(rows, keys.forks, _FORKS),
        fields=RowMap(rows, keys.fields, _FIELDS),
        values=RowMap(rows, keys.values, _VALUES),
        signals=RowMap(rows, keys.signals, _SIGNALS),
    )
