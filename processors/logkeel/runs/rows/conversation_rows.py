"""Rows of a conversation: who speaks, who waits, and the fields that are kept from turn to turn. Reads and writes rows.

Kept fields have numbers that go on from turn to turn; a turn counts from its own beginning (`core.turns`), so its maps
add what the former turns had when they write a row, and take it off when they read one.
"""

from collections.abc import Callable, Iterator, MutableMapping
from functools import lru_cache
from itertools import chain, islice
from typing import Any, TypeVar

import msgspec

from logkeel.log import keys as order
from logkeel.log.keys import prefix_end
from logkeel.records import Payload
from logkeel.runs.core.state import ElementKey, ElementRow, FieldKey, FieldPointer, PositionKey, RunInfo, ValueKey
from logkeel.runs.core.turns import is_kept, shifted
from logkeel.runs.rows import keys
from logkeel.runs.rows.ledger import ParkedRequest
from logkeel.runs.rows.row_map import RowFormat, RowMap, Rows, packed

K = TypeVar("K")
V = TypeVar("V")


class ConversationRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a conversation stands. `running`: the run of its turn. `revisions`: of all turns that have ended.

    `first` and `next`: numbers of the turns that wait, `next` being free. `expires_ms`: when it is forgotten if nobody
    speaks.
    """

    running: str | None = None
    revisions: int = 0
    first: int = 0
    next: int = 0
    expires_ms: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether a turn is running, or one is to start before any other."""
        return self.running is not None or self.first != self.next


class WaitingTurn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A start that waits. `joined`: the run that it was given to as the signal of revision `signal`."""

    request: ParkedRequest
    joined: str | None = None
    signal: int = 0


_FIELDS = packed(FieldPointer, keys.pack_field, keys.unpack_field)
_VALUES = packed(Payload, keys.pack_value, keys.unpack_value)
_ELEMENTS = packed(ElementRow, keys.pack_element, keys.unpack_element)
_POSITIONS = packed(int, keys.pack_position, keys.unpack_position)
_ENCODER = msgspec.msgpack.Encoder()
_ROW = msgspec.msgpack.Decoder(ConversationRow)
_WAITING = msgspec.msgpack.Decoder(WaitingTurn)


class Conversations:
    """One turn's view of conversations, by workflow and conversation id."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def find(self, workflow: str, conversation: str) -> ConversationRow:
        """Where it stands; one that nobody has spoken in yet has not begun."""
        row = self._rows.get(_prefix(workflow, conversation) + keys.CONVERSATION_ROW)
        return ConversationRow() if row is None else _ROW.decode(row)

    def begin(self, workflow: str, conversation: str, run_id: str) -> None:
        """A turn begins."""
        row = self.find(workflow, conversation)
        self._save(workflow, conversation, msgspec.structs.replace(row, running=run_id))

    def end(self, info: RunInfo, revisions: int, expires_ms: int) -> bool:
        """The turn has ended; whether another one is waiting."""
        conversation = info.conversation_id or ""
        row = self.find(info.workflow, conversation)
        if row.running != info.run_id:
            return False
        total = row.revisions + revisions
        row = msgspec.structs.replace(row, running=None, revisions=total, expires_ms=expires_ms)
        self._save(info.workflow, conversation, row)
        tail = order.text(conversation) + order.text(info.workflow)
        self._rows.put(keys.CONVERSATION_EXPIRY + order.number(expires_ms) + tail, b"")
        if row.is_busy:
            self._rows.put(keys.CONVERSATION_NEXT + tail, b"")
        return row.is_busy

    def is_last(self, info: RunInfo, ended_revision: int) -> bool:
        """Whether the turn that ended at this revision was the last one, nobody waits, and it is not forgotten."""
        row = self.find(info.workflow, info.conversation_id or "")
        return not row.is_busy and row.revisions == (info.former_revisions or 0) + ended_revision

    def begin_again(self, info: RunInfo) -> None:
        """The last turn goes on behind its end, which counts no more."""
        row, conversation = self.find(info.workflow, info.conversation_id or ""), info.conversation_id or ""
        row = msgspec.structs.replace(row, running=info.run_id, revisions=info.former_revisions or 0)
        self._save(info.workflow, conversation, row)

    def wait(self, workflow: str, conversation: str, turn: WaitingTurn) -> None:
        """Behind the others."""
        row = self.find(workflow, conversation)
        key = _prefix(workflow, conversation) + keys.CONVERSATION_WAITING + order.number(row.next)
        self._rows.put(key, _ENCODER.encode(turn))
        self._save(workflow, conversation, msgspec.structs.replace(row, next=row.next + 1))

    def first(self, workflow: str, conversation: str) -> WaitingTurn | None:
        """The one that waits longest; None while it is to go on waiting.

        While a turn is running only what was given to a former turn, and not taken by it, is to be looked at.
        """
        row = self.find(workflow, conversation)
        while row.first != row.next:
            key = _prefix(workflow, conversation) + keys.CONVERSATION_WAITING + order.number(row.first)
            found = self._rows.get(key)
            waiting = None if found is None else _WAITING.decode(found)  # one that was cancelled has left a gap
            if waiting is not None:
                is_due = row.running is None or waiting.joined not in (None, row.running)
                return waiting if is_due else None
            row = msgspec.structs.replace(row, first=row.first + 1)
            self._save(workflow, conversation, row)
        return None

    def take(self, workflow: str, conversation: str) -> None:
        """The one that `first` gives waits no more."""
        row = self.find(workflow, conversation)
        self._rows.delete(_prefix(workflow, conversation) + keys.CONVERSATION_WAITING + order.number(row.first))
        self._save(workflow, conversation, msgspec.structs.replace(row, first=row.first + 1))

    def cancel_waiting(self, conversation: str, is_meant: Callable[[ParkedRequest], bool]) -> ParkedRequest | None:
        """Take the turn that is meant out of its line, in whichever workflow's conversation of that id it waits."""
        prefix = keys.CONVERSATION + order.text(conversation)
        for key, _ in self._rows.scan(prefix, prefix_end(prefix)):
            behind = order.read_text(key, len(prefix))[1]
            if key[behind : behind + 1] != keys.CONVERSATION_WAITING:
                continue
            row = self._rows.get(key)
            waiting = None if row is None else _WAITING.decode(row)
            if waiting is not None and waiting.joined is None and is_meant(waiting.request):
                self._rows.delete(key)
                return waiting.request
        return None

    def to_start(self) -> Iterator[tuple[str, str]]:
        """(workflow, conversation id) of those whose next turn is to start."""
        for key, _ in list(self._rows.scan(keys.CONVERSATION_NEXT, prefix_end(keys.CONVERSATION_NEXT))):
            yield read_name(key[1:])

    def started(self, workflow: str, conversation: str) -> None:
        """Its next turn has started, or there was none."""
        self._rows.delete(keys.CONVERSATION_NEXT + name(workflow, conversation))

    def delete_due(self, now_ms: int, limit: int) -> int:
        """Delete rows of conversations that nobody has spoken in for long, at most `limit`; returns how many."""
        deleted, prefix = 0, keys.CONVERSATION_EXPIRY
        due = self._rows.scan(prefix, prefix + order.number(now_ms + 1))
        for key in [key for key, _ in islice(due, limit)]:
            due_ms, workflow, conversation = (order.read_number(key, 1)[0], *read_name(key[9:]))
            row, rows = self.find(workflow, conversation), _prefix(workflow, conversation)
            if row.expires_ms == due_ms and not row.is_busy:
                found = [row_key for row_key, _ in self._rows.scan(rows, prefix_end(rows))]
                # Descending: the row that says when it expires sorts first, so it stays until nothing else is left.
                for row_key in reversed(found[-(limit - deleted) :]):
                    self._rows.delete(row_key)
                deleted += min(len(found), limit - deleted)
                if deleted >= limit:
                    return deleted
            self._rows.delete(key)
            deleted += 1
            if deleted >= limit:
                return deleted
        return deleted

    def _save(self, workflow: str, conversation: str, row: ConversationRow) -> None:
        self._rows.put(_prefix(workflow, conversation) + keys.CONVERSATION_ROW, _ENCODER.encode(row))


def name(workflow: str, conversation: str) -> bytes:
    """Workflow and conversation id as bytes, for keys and wake-ups."""
    return order.text(conversation) + order.text(workflow)


def read_name(tail: bytes) -> tuple[str, str]:
    """Reverses `name`."""
    conversation, behind = order.read_text(tail, 0)
    return order.read_text(tail, behind)[0], conversation


@lru_cache(maxsize=4_096)
def _prefix(workflow: str, conversation: str) -> bytes:
    return keys.CONVERSATION + name(workflow, conversation)


class SharedMap(MutableMapping[K, V]):
    """Items of a run, of which some are those of its conversation."""

    __slots__ = ("_is_shared", "_own", "_shared")

    def __init__(self, own: RowMap[K, V], shared: RowMap[K, V], is_shared: Callable[[K], bool]) -> None:
        self._own, self._shared, self._is_shared = own, shared, is_shared

    def get(self, key: K, default: Any = None) -> Any:
        """As `RowMap.get`."""
        return self._of(key).get(key, default)

    def starting(self, text: str) -> Iterator[K]:
        """As `RowMap.starting`, of the run's own items: those of the conversation are in no block."""
        return self._own.starting(text)

    def __getitem__(self, key: K) -> V:
        return self._of(key)[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._of(key)[key] = value

    def __delitem__(self, key: K) -> None:
        del self._of(key)[key]

    def __iter__(self) -> Iterator[K]:
        return chain(self._own, self._shared)

    def __len__(self) -> int:
        return len(self._own) + len(self._shared)

    def _of(self, key: K) -> RowMap[K, V]:
        return self._shared if self._is_shared(key) else self._own


class KeptRows:
    """Kept fields of a run's conversation, as parts of the run's maps."""

    def __init__(self, rows: Rows, info: RunInfo) -> None:
        self._rows, self._kept = rows, frozenset(info.kept)
        self._prefix = _prefix(info.workflow, info.conversation_id or "")
        self._before = info.former_revisions or 0

    def fields(self, own: RowMap[FieldKey, FieldPointer]) -> MutableMapping[FieldKey, FieldPointer]:
        """Pointers."""
        shared = RowFormat(
            _FIELDS.pack,
            _FIELDS.unpack,
            lambda pointer: _FIELDS.encode(shifted(pointer, self._before)),
            lambda row: shifted(_FIELDS.decode(row), -self._before),
        )
        return SharedMap(own, self._map(keys.CONVERSATION_FIELD, shared), lambda key: is_kept(self._kept, *key))

    def values(self, own: RowMap[ValueKey, Payload]) -> MutableMapping[ValueKey, Payload]:
        """Payloads that are too large for their pointers."""
        return self._numbered(own, keys.CONVERSATION_VALUE, _VALUES)

    def elements(self, own: RowMap[ElementKey, ElementRow]) -> MutableMapping[ElementKey, ElementRow]:
        """Elements."""
        return self._numbered(own, keys.CONVERSATION_ELEMENT, _ELEMENTS)

    def positions(self, own: RowMap[PositionKey, int]) -> MutableMapping[PositionKey, int]:
        """Where the elements of maps are."""
        return self._numbered(own, keys.CONVERSATION_POSITION, _POSITIONS)

    def _numbered(self, own: RowMap[Any, V], part: bytes, plain: RowFormat[Any, V]) -> MutableMapping[Any, V]:
        shared: RowFormat[Any, V] = RowFormat(
            lambda key: plain.pack(_moved(key, self._before)),
            lambda tail: _moved(plain.unpack(tail), -self._before),
            plain.encode,
            plain.decode,
        )
        return SharedMap(own, self._map(part, shared), lambda key: key[0] in self._kept)

    def _map(self, part: bytes, row_format: RowFormat[K, V]) -> RowMap[K, V]:
        return RowMap(self._rows, self._prefix + part, row_format)


def _moved(key: tuple[Any, ...], by: int) -> tuple[Any, ...]:
    """A key whose second part is a number that is counted from another beginning."""
    return (key[0], key[1] + by, *key[2:])
