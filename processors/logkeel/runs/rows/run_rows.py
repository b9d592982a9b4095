"""A run on its rows: loads what is fixed and the head, maps the rest, writes the head back once per turn."""

from functools import lru_cache
from typing import Any

import msgspec

from logkeel.records import JournalEntry, Payload
from logkeel.runs.core.limit_claims import LimitClaim
from logkeel.runs.core.state import (
    CutOff,
    EachState,
    ElementRow,
    FailedElement,
    FieldPointer,
    JournalWait,
    KeptList,
    Milestone,
    OpenElement,
    RunHead,
    RunInfo,
    RunState,
    ScopeState,
    StaleRows,
    StepState,
    StoredSignal,
    WaitState,
)
from logkeel.runs.rows.conversation_rows import KeptRows
from logkeel.runs.rows.keys import (
    RunKeys,
    pack_element,
    pack_field,
    pack_path,
    pack_position,
    pack_revision,
    pack_value,
    run_keys,
    unpack_element,
    unpack_field,
    unpack_path,
    unpack_position,
    unpack_revision,
    unpack_value,
)
from logkeel.runs.rows.row_map import PathRowMap, RowFormat, RowMap, Rows, packed

_STEPS = packed(StepState, pack_path, unpack_path)
_FORKS = packed(ScopeState, pack_path, unpack_path)
_FIELDS = packed(FieldPointer, pack_field, unpack_field)
_VALUES = packed(Payload, pack_value, unpack_value)
_SIGNALS = packed(StoredSignal, pack_revision, unpack_revision)
_MILESTONES = packed(Milestone, pack_value, unpack_value)
_WAITS = packed(WaitState, pack_path, unpack_path)
_HELD = packed(int, pack_path, unpack_path)
_KEPT = packed(KeptList, pack_path, unpack_path)
_JOURNAL = packed(JournalEntry, pack_field, unpack_field)
_JOURNAL_WAITS = packed(JournalWait, pack_field, unpack_field)
_ELEMENTS = packed(ElementRow, pack_element, unpack_element)
_POSITIONS = packed(int, pack_position, unpack_position)
_STALE = packed(StaleRows, pack_value, unpack_value)
_EACHES = packed(EachState, pack_path, unpack_path)
_ITEMS = packed(OpenElement, pack_path, unpack_path)
_CLAIMS = packed(LimitClaim, pack_path, unpack_path)
_CUT = packed(CutOff, pack_path, unpack_path)
_FAILED_ELEMENTS = packed(FailedElement, pack_path, unpack_path)
_ENCODER = msgspec.msgpack.Encoder()
_info_of = lru_cache(maxsize=4_096)(msgspec.msgpack.Decoder(RunInfo).decode)
_HEAD = msgspec.msgpack.Decoder(RunHead)


def load_run(rows: Rows, run_id: str) -> RunState | None:
    """The run with this id; None if there is none."""
    keys = run_keys(run_id)
    head = rows.get(keys.head)
    info = rows.get(keys.info) if head is not None else None
    if head is None or info is None:
        return None
    return _mapped(rows, keys, _info_of(info), _HEAD.decode(head))


def load_head(rows: Rows, run_id: str) -> RunHead | None:
    """The head alone; it outlives the other rows of a run that expires."""
    row = rows.get(run_keys(run_id).head)
    return None if row is None else _HEAD.decode(row)


def new_run(rows: Rows, info: RunInfo) -> RunState:
    """A run that begins now. Its head is written with `save_head`."""
    keys = run_keys(info.run_id)
    # The head of a run is its last row to be deleted, so a run without head has no rows.
    rows.begin(keys.prefix)
    rows.put(keys.info, _ENCODER.encode(info))
    return _mapped(rows, keys, info, RunHead())


def save_head(rows: Rows, state: RunState) -> None:
    """Write the head, once per turn."""
    rows.put(run_keys(state.info.run_id).head, _ENCODER.encode(state.head))


def _mapped(rows: Rows, keys: RunKeys, info: RunInfo, head: RunHead) -> RunState:
    state = _StateOnRows(rows, keys, info, head)
    if info.kept:
        kept = KeptRows(rows, info)
        state.fields = kept.fields(RowMap(rows, keys.fields, _FIELDS, keys.prefix))
        state.values = kept.values(RowMap(rows, keys.values, _VALUES, keys.prefix))
        state.elements = kept.elements(RowMap(rows, keys.elements, _ELEMENTS, keys.prefix))
        state.positions = kept.positions(RowMap(rows, keys.positions, _POSITIONS, keys.prefix))
    return state


_FORMATS: dict[str, tuple[type[RowMap[Any, Any]], RowFormat[Any, Any]]] = {
    "steps": (RowMap, _STEPS),
    "forks": (RowMap, _FORKS),
    "fields": (RowMap, _FIELDS),
    "values": (RowMap, _VALUES),
    "signals": (RowMap, _SIGNALS),
    "milestones": (RowMap, _MILESTONES),
    "waits": (RowMap, _WAITS),
    "held": (RowMap, _HELD),
    "kept": (RowMap, _KEPT),
    "claims": (RowMap, _CLAIMS),
    "cut": (RowMap, _CUT),
    "journal": (PathRowMap, _JOURNAL),
    "journal_waits": (PathRowMap, _JOURNAL_WAITS),
    "elements": (RowMap, _ELEMENTS),
    "positions": (RowMap, _POSITIONS),
    "stale": (RowMap, _STALE),
    "eaches": (RowMap, _EACHES),
    "items": (RowMap, _ITEMS),
    "failed_elements": (RowMap, _FAILED_ELEMENTS),
    "again": (RowMap, _FAILED_ELEMENTS),
    "ended_eaches": (RowMap, _EACHES),
}
"""By the name of the map, which is that of its prefix as well."""


class _StateOnRows(RunState):
    """Maps are made when they are first asked for: a turn touches a quarter of them."""

    __slots__ = ("_keys", "_rows")

    def __init__(self, rows: Rows, keys: RunKeys, info: RunInfo, head: RunHead) -> None:
        self._rows = rows
        self._keys = keys
        self.info = info
        self.head = head
        self.freed = []

    def __getattr__(self, name: str) -> Any:
        """A slot that was not filled yet."""
        if name not in _FORMATS:
            raise AttributeError(name)
        kind, row_format = _FORMATS[name]
        made = kind(self._rows, getattr(self._keys, name), row_format, self._keys.prefix)
        setattr(self, name, made)
        return made
