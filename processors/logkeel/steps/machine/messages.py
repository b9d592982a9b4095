"""What goes into the step machine and what comes out of it: values only.

Inputs tell what has happened, actions what the shell is to do. A step execution is named by its `Key`; time is
milliseconds of the shell's clock and enters with `TimeAdvanced` only.
"""

from typing import NamedTuple, TypeAlias

from logkeel.log import OutputRecord, TopicPartition
from logkeel.records import StepCommand, StepIdentity, StepRevoked


class Key(NamedTuple):
    """One execution of one step: the identity with its fence."""

    run_id: str
    incarnation: str
    path: str
    dispatch: int


def key_of(identity: StepIdentity) -> Key:
    """The key of an identity."""
    return Key(identity.run_id, identity.incarnation, identity.path, identity.dispatch)


# Inputs ---------------------------------------------------------------------------------------------------------


class Assigned(NamedTuple):
    """A partition is owned. `committed` None: no offset, reading begins at `start`; `end` is its end at this time."""

    source: TopicPartition
    committed: tuple[int, str] | None
    start: int
    end: int


class CommandArrived(NamedTuple):
    """A command was read at `offset`."""

    source: TopicPartition
    offset: int
    command: StepCommand


class CommandCommitted(NamedTuple):
    """The engine of this process says that a command was committed at `offset`, before it could be read there."""

    source: TopicPartition
    offset: int
    command: StepCommand


class StrangerArrived(NamedTuple):
    """A record that is no command was read at `offset`; `letter` is what is to be kept of it."""

    source: TopicPartition
    offset: int
    letter: OutputRecord


class LetterKept(NamedTuple):
    """What was read at `offset` is durable on `dead-letters`."""

    source: TopicPartition
    offset: int


class Passed(NamedTuple):
    """Nothing below `offset` is left to read: an end was reached."""

    source: TopicPartition
    offset: int


class Committed(NamedTuple):
    """The commit was acknowledged while the assignment did not change."""

    commit: "Commit"


class CommitFailed(NamedTuple):
    """The commit failed, or the assignment changed meanwhile: none of its claims holds."""

    commit: "Commit"


class ClaimExpired(NamedTuple):
    """The claim was too old when the call was due (P39); nothing was called. The attempt began at `started_at_ms`."""

    key: Key
    started_at_ms: int | None = None


class Reported(NamedTuple):
    """The outcome of a step went to the producer. Its slot is free, unless a thread still runs: `slot_free` False."""

    key: Key
    slot_free: bool = True


class SlotFreed(NamedTuple):
    """An abandoned thread has ended at last."""


class Acknowledged(NamedTuple):
    """A record about this execution is durable on step-results; `final`: it was not a heartbeat."""

    key: Key
    final: bool


class Revoking(NamedTuple):
    """Partitions are being given up cleanly; `Revoked` follows within the callback."""

    sources: tuple[TopicPartition, ...]


class Revoked(NamedTuple):
    """Partitions are no longer owned."""

    sources: tuple[TopicPartition, ...]


class RevocationHeard(NamedTuple):
    """A record of step-control (P36), appended to the log at `at_ms`."""

    revoked: StepRevoked
    at_ms: int = 0


class DrainRequested(NamedTuple):
    """Stop taking; release what still runs when `elapsed_ms` of `TimeAdvanced` is at `deadline_ms`."""

    deadline_ms: int


class TimeAdvanced(NamedTuple):
    """It is `now_ms`: start, claim, heartbeat, commit, pause and resume as due.

    `elapsed_ms` is time that does not jump (P24 is about the other one): a wall clock that is set back must not silence
    heartbeats, or a step that is alive is taken for lost. None: as `now_ms`.
    """

    now_ms: int
    elapsed_ms: int | None = None


Input: TypeAlias = (
    Assigned
    | CommandArrived
    | CommandCommitted
    | StrangerArrived
    | LetterKept
    | Passed
    | Committed
    | CommitFailed
    | ClaimExpired
    | Reported
    | SlotFreed
    | Acknowledged
    | Revoking
    | Revoked
    | RevocationHeard
    | DrainRequested
    | TimeAdvanced
)


# Actions --------------------------------------------------------------------------------------------------------


class Commit(NamedTuple):
    """Commit these offsets with metadata, then answer `Committed` or `CommitFailed` with this value.

    `claims` are the executions that start only if it succeeds (P31).
    """

    offsets: tuple[tuple[TopicPartition, int, str], ...]
    claims: tuple[Key, ...] = ()


class StartStep(NamedTuple):
    """Execute the command. `claimed`: only while its claim is fresh (P39), else answer `ClaimExpired`.

    `since_ms`: when the attempt began, if this is its start after another claim: it has one deadline only (P35).
    """

    source: TopicPartition
    offset: int
    command: StepCommand
    claimed: bool
    since_ms: int | None = None


class CancelStep(NamedTuple):
    """Cut a running execution off."""

    key: Key
    reason: str


class SendHeartbeat(NamedTuple):
    """Produce a StepHeartbeat."""

    command: StepCommand
    started_at_ms: int


class SendReclaimed(NamedTuple):
    """Produce a StepReclaimed: a question to the engine (P32)."""

    command: StepCommand
    holder_dead: bool


class SendReleased(NamedTuple):
    """Produce a StepReleased; whatever the execution reports later is dropped."""

    command: StepCommand
    was_started: bool
    started_at_ms: int | None


class SendLetter(NamedTuple):
    """Produce a dead letter and answer `LetterKept` once it is acknowledged: until then L does not pass the record."""

    source: TopicPartition
    offset: int
    letter: OutputRecord


class Pause(NamedTuple):
    """Stop fetching these partitions: enough commands wait here. Nothing is dropped."""

    sources: tuple[TopicPartition, ...]


class Resume(NamedTuple):
    """Seek to these positions and fetch on."""

    positions: tuple[tuple[TopicPartition, int], ...]


class DrainFinished(NamedTuple):
    """Nothing is held any more: leave."""


Action: TypeAlias = (
    Commit
    | StartStep
    | CancelStep
    | SendHeartbeat
    | SendReclaimed
    | SendReleased
    | SendLetter
    | Pause
    | Resume
    | DrainFinished
)
