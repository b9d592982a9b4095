"""Keys of the rows. Every row of one run lies in one range, so that it can be read and deleted as a whole. Pure.

| key | value (msgpack) |
|---|---|
| `10` text(run id) `00` | RunHead; the last row of a run to be deleted |
| `10` text(run id) `01` | RunInfo |
| `10` text(run id) `02` text(path) | StepState |
| `10` text(run id) `03` text(path) | ScopeState of an open fork |
| `10` text(run id) `04` text(scope) text(field) | FieldPointer |
| `10` text(run id) `05` text(field) number(revision) | Payload that is too large for its FieldPointer |
| `10` text(run id) `06` number(revision) | StoredSignal |
| `10` text(run id) `07` text(path) | heartbeat details, raw bytes |
| `10` text(run id) `08` text(path) number(place) | Milestone: a completion or failure that somebody asks for |
| `10` text(run id) `09` text(path) | WaitState of an open wait, or of a block whose time is limited |
| `10` text(run id) `0a` text(path) text(position) | JournalEntry of a step that has not succeeded |
| `10` text(run id) `0b` text(path) text(position) | JournalWait: an entry that waits for something |
| `10` text(run id) `0c` text(path) | number: a step held back since that revision, while the run is paused |
| `10` text(run id) `0d` text(path) | LimitClaim: slots of limits that a step, or the run, asks for or holds |
| `10` text(run id) `0e` text(field) | KeptList: what a worker keeps of a list |
| `10` text(run id) `0f` text(path) | CutOff: what waited, or was about to be sent, when the run failed |
| `10` text(run id) `20` text(field) number(generation) number(position) | ElementRow (P19) |
| `10` text(run id) `21` text(field) number(generation) text(key) | number: the position of that key's element |
| `10` text(run id) `22` text(field) number(generation) | StaleRows: elements that are to be deleted |
| `10` text(run id) `23` text(path) | EachState of an open each block |
| `10` text(run id) `24` text(path) | OpenElement of an each block |
| `10` text(run id) `25` text(path) | FailedElement of an each block |
| `10` text(run id) `27` text(path) | FailedElement that is to begin again |
| `10` text(run id) `26` text(path) | EachState of an each block that has ended with failed elements |
| `11` text(conversation id) text(workflow) `00` | ConversationRow; the last row of a conversation to be deleted |
| `11` text(conversation id) text(workflow) `01` number | WaitingTurn: a start that waits for the turns before it |
| `11` text(conversation id) text(workflow) `04` `05` `20` `21` … | of its kept fields, as below `10`; numbers go on |
| `12` text(kind) text(name) text(key) `00` | LineHead of a limit; the last row of it to be deleted |
| `12` text(kind) text(name) text(key) `02` number(place) | AskerName: who waits there |
| `12` text(kind) text(name) text(key) `03` number | number: when the so-manieth start of a rate was |
| `12` text(kind) text(name) text(key) `04` number | Charge: what was used of a budget within its window |
| `13` text(kind) text(name) text(key) text(run id) text(incarnation) text(path) | Asker: who waits or holds |
| `14` text(name) | ScheduleState |
| `20` text(request id) | SeenRequest |
| `21` number(expires ms) text(request id) | empty: expiry of a seen request |
| `22` number(expires ms) text(run id) | empty: expiry of a finished run |
| `23` text(awaited) number(parked ms) text(request id) | ParkedRequest |
| `24` number(expires ms) text(awaited) number(parked ms) text(request id) | empty: expiry of a parked request |
| `25` text(digest) | document of a definition in use (canonical JSON) |
| `26` text(run id) text(path) | empty: a step with a holder, whose lease starts anew after a resync |
| `27` text(run id) | empty: a run that has not ended |
| `28` | number: how many requests are parked; absent for none |
| `2a` text(conversation id) text(workflow) | empty: its next turn is to start |
| `2b` number(expires ms) text(conversation id) text(workflow) | empty: expiry of a conversation |
| `29` | number: how many partitions the application had when this one was first used |
"""

from functools import lru_cache

from logkeel.log import keys
from logkeel.runs.core.state import ElementKey, FieldKey, PositionKey, ValueKey

RUN = b"\x10"
SEEN = b"\x20"
SEEN_EXPIRY = b"\x21"
RUN_EXPIRY = b"\x22"
PARKED = b"\x23"
PARKED_EXPIRY = b"\x24"
DEFINITION = b"\x25"
LEASE = b"\x26"
OPEN_RUN = b"\x27"
PARKED_COUNT = b"\x28"
PARTITION_COUNT = b"\x29"
CONVERSATION = b"\x11"
CONVERSATION_NEXT = b"\x2a"
LIMIT = b"\x12"
LIMIT_ASKER = b"\x13"
SCHEDULE = b"\x14"
CONVERSATION_EXPIRY = b"\x2b"

_HEAD, _INFO, _STEP, _FORK, _FIELD, _VALUE = (bytes([number]) for number in range(6))
_SIGNAL, _DETAILS, _MILESTONE, _WAIT, _JOURNAL, _JOURNAL_WAIT, _HELD = (bytes([number]) for number in range(6, 13))
_CLAIM, _KEPT, _CUT = b"\x0d", b"\x0e", b"\x0f"
_ELEMENT, _POSITION, _STALE, _EACH, _ITEM = (bytes([number]) for number in range(0x20, 0x25))
_FAILED_ELEMENT, _ENDED_EACH, _AGAIN = b"\x25", b"\x26", b"\x27"

CONVERSATION_ROW, CONVERSATION_WAITING = b"\x00", b"\x01"
CONVERSATION_FIELD, CONVERSATION_VALUE = _FIELD, _VALUE
CONVERSATION_ELEMENT, CONVERSATION_POSITION = _ELEMENT, _POSITION


class RunKeys:
    """Keys of one run's rows: `head` and `info` whole, the others as prefixes. Get one from `run_keys`."""

    __slots__ = (
        "again",
        "claims",
        "cut",
        "eaches",
        "elements",
        "ended_eaches",
        "failed_elements",
        "fields",
        "forks",
        "head",
        "held",
        "info",
        "items",
        "journal",
        "journal_waits",
        "kept",
        "milestones",
        "positions",
        "prefix",
        "signals",
        "stale",
        "steps",
        "values",
        "waits",
    )

    def __init__(self, run_id: str) -> None:
        self.prefix = prefix = RUN + keys.text(run_id)
        self.head = prefix + _HEAD
        self.info = prefix + _INFO
        self.steps = prefix + _STEP
        self.forks = prefix + _FORK
        self.fields = prefix + _FIELD
        self.values = prefix + _VALUE
        self.signals = prefix + _SIGNAL
        self.milestones = prefix + _MILESTONE
        self.waits = prefix + _WAIT
        self.held = prefix + _HELD
        self.kept = prefix + _KEPT
        self.claims = prefix + _CLAIM
        self.cut = prefix + _CUT
        self.journal = prefix + _JOURNAL
        self.journal_waits = prefix + _JOURNAL_WAIT
        self.elements = prefix + _ELEMENT
        self.positions = prefix + _POSITION
        self.stale = prefix + _STALE
        self.eaches = prefix + _EACH
        self.items = prefix + _ITEM
        self.failed_elements = prefix + _FAILED_ELEMENT
        self.again = prefix + _AGAIN
        self.ended_eaches = prefix + _ENDED_EACH

    def details(self, path: str) -> bytes:
        """Heartbeat details of a step."""
        return self.prefix + _DETAILS + keys.text(path)


run_keys = lru_cache(maxsize=4_096)(RunKeys)
"""The keys of a run. Cached: every record of a run asks for them."""


def pack_path(path: str) -> bytes:
    """The tail of a step's or fork's key."""
    return keys.text(path)


def unpack_path(tail: bytes) -> str:
    """Reverses `pack_path`."""
    return keys.read_text(tail, 0)[0]


@lru_cache(maxsize=4_096)
def pack_field(key: FieldKey) -> bytes:
    """The tail of a pointer's key."""
    return keys.text(key[0]) + keys.text(key[1])


def unpack_field(tail: bytes) -> FieldKey:
    """Reverses `pack_field`."""
    scope, position = keys.read_text(tail, 0)
    return scope, keys.read_text(tail, position)[0]


def pack_value(key: ValueKey) -> bytes:
    """The tail of a payload's key."""
    return keys.text(key[0]) + keys.number(key[1])


def unpack_value(tail: bytes) -> ValueKey:
    """Reverses `pack_value`."""
    name, position = keys.read_text(tail, 0)
    return name, keys.read_number(tail, position)[0]


def pack_revision(revision: int) -> bytes:
    """The tail of a signal's key."""
    return keys.number(revision)


def unpack_revision(tail: bytes) -> int:
    """Reverses `pack_revision`."""
    return keys.read_number(tail, 0)[0]


def pack_element(key: ElementKey) -> bytes:
    """The tail of an element's key."""
    return keys.text(key[0]) + keys.number(key[1]) + keys.number(key[2])


def unpack_element(tail: bytes) -> ElementKey:
    """Reverses `pack_element`."""
    name, start = keys.read_text(tail, 0)
    generation, start = keys.read_number(tail, start)
    return name, generation, keys.read_number(tail, start)[0]


def pack_position(key: PositionKey) -> bytes:
    """The tail of the key that finds an element by its own."""
    return keys.text(key[0]) + keys.number(key[1]) + keys.text(key[2])


def unpack_position(tail: bytes) -> PositionKey:
    """Reverses `pack_position`."""
    name, start = keys.read_text(tail, 0)
    generation, start = keys.read_number(tail, start)
    return name, generation, keys.read_text(tail, start)[0]
