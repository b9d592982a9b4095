"""A run on its rows: loads what is fixed and the head, maps the rest, writes the head back once per turn."""

from functools import lru_cache

import msgspec

from logkeel.records import JournalEntry, Payload
from logkeel.runs.core.limit_claims import LimitClaim
from logkeel.runs.core.state import (
    CutOff,
    EachState,
    ElementRow,
    FieldPointer,
    JournalWait,
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
from logkeel.runs.rows.row_map import PathRowMap, RowMap, Rows, packed

_STEPS = packed(StepState, pack_path, unpack_path)
_FORKS = packed(ScopeState, pack_path, unpack_path)
_FIELDS = packed(FieldPointer, pack_field, unpack_field)
_VALUES = packed(Payload, pack_value, unpack_value)
_SIGNALS = packed(StoredSignal, pack_revision, unpack_revision)
_MILESTONES = packed(Milestone, pack_value, unpack_value)
_WAITS = packed(WaitState, pack_path, unpack_path)
_HELD = packed(int, pack_path, unpack_path)
_JOURNAL = packed(JournalEntry, pack_field, unpack_field)
_JOURNAL_WAITS = packed(JournalWait, pack_field, unpack_field)
_ELEMENTS = packed(ElementRow, pack_element, unpack_element)
_POSITIONS = packed(int, pack_position, unpack_position)
_STALE = packed(StaleRows, pack_value, unpack_value)
_EACHES = packed(EachState, pack_path, unpack_path)
_ITEMS = packed(OpenElement, pack_path, unpack_path)
_CLAIMS = packed(LimitClaim, pack_path, unpack_path)
_CUT = packed(CutOff, pack_path, unpack_path)
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
    state = _own(rows, keys, info, head)
    if info.kept:
        kept = KeptRows(rows, info)
        state.fields = kept.fields(RowMap(rows, keys.fields, _FIELDS, keys.prefix))
        state.values = kept.values(RowMap(rows, keys.values, _VALUES, keys.prefix))
        state.elements = kept.elements(RowMap(rows, keys.elements, _ELEMENTS, keys.prefix))
        state.positions = kept.positions(RowMap(rows, keys.positions, _POSITIONS, keys.prefix))
    return state


def _own(rows: Rows, keys: RunKeys, info: RunInfo, head: RunHead) -> RunState:
    return RunState(
        info=info,
        head=head,
        steps=RowMap(rows, keys.steps, _STEPS, keys.prefix),
        forks=RowMap(rows, keys.forks, _FORKS, keys.prefix),
        fields=RowMap(rows, keys.fields, _FIELDS, keys.prefix),
        values=RowMap(rows, keys.values, _VALUES, keys.prefix),
        signals=RowMap(rows, keys.signals, _SIGNALS, keys.prefix),
        milestones=RowMap(rows, keys.milestones, _MILESTONES, keys.prefix),
        waits=RowMap(rows, keys.waits, _WAITS, keys.prefix),
        held=RowMap(rows, keys.held, _HELD, keys.prefix),
        claims=RowMap(rows, keys.claims, _CLAIMS, keys.prefix),
        cut=RowMap(rows, keys.cut, _CUT, keys.prefix),
        journal=PathRowMap(rows, keys.journal, _JOURNAL, keys.prefix),
        journal_waits=PathRowMap(rows, keys.journal_waits, _JOURNAL_WAITS, keys.prefix),
        elements=RowMap(rows, keys.elements, _ELEMENTS, keys.prefix),
        positions=RowMap(rows, keys.positions, _POSITIONS, keys.prefix),
        stale=RowMap(rows, keys.stale, _STALE, keys.prefix),
        eaches=RowMap(rows, keys.eaches, _EACHES, keys.prefix),
        items=RowMap(rows, keys.items, _ITEMS, keys.prefix),
    )
