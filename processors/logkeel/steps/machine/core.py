"""The step machine: which command starts, which is asked about, and how far the log is answered for (P31-P36).

Theory of operation. Each owned partition has a low-water offset L and a start mark S, committed together. A command is
fresh above the mark found at assignment and in doubt at or below it; in doubt it is never run, the engine is asked.
A holder that went without a word may have started more than its mark says, though nothing effectful: what it could have
read is given back, and the engine, which knows what has ended, dispatches the rest again.
Fresh commands wait in a queue per partition and leave it in offset order when a slot is free: an effectful one, and the
first of an assignment, through a committed claim, any other at once, its mark following lazily. An execution is held
until its last answer is acknowledged, whether or not its partition is still owned; one that comes back finds it here.
A command that this process's own engine committed may start before it is read, if it may run twice and nothing waits.

The machine owns: order of starts, claims, marks, heartbeat times, back-pressure, drain. The shell owns: threads,
clocks, consumer, producer, user code, and doing what the actions say, in order. No I/O, clock or randomness here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from logkeel.log import TopicPartition
from logkeel.steps.machine.marks import Holder, parse_mark
from logkeel.steps.machine.messages import (
    Acknowledged,
    Action,
    Assigned,
    CancelStep,
    ClaimExpired,
    CommandArrived,
    CommandCommitted,
    Commit,
    CommitFailed,
    Committed,
    DrainFinished,
    DrainRequested,
    Input,
    Key,
    LetterKept,
    Passed,
    Reported,
    Resume,
    RevocationHeard,
    Revoked,
    Revoking,
    SendHeartbeat,
    SendLetter,
    SendReclaimed,
    SendReleased,
    SlotFreed,
    StartStep,
    StrangerArrived,
    TimeAdvanced,
)
from logkeel.steps.machine.pressure import balance, pause_all
from logkeel.steps.machine.tables import Execution, PartitionTable, Phase, Revocations, assigned_table, new_execution


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """Limits. `buffered` commands beyond the running ones pause the partitions; half of it resumes them."""

    holder: Holder
    concurrency: int = 64
    buffered: int = 256
    heartbeat_first_ms: int = 1_000
    heartbeat_every_ms: int = 2_000
    commit_every_ms: int = 200


class StepMachine:
    """All decisions of one worker process. `handle` is total: an input about something forgotten has no effect."""

    def __init__(self, settings: MachineSettings) -> None:
        self._settings = settings
        self._tables: dict[TopicPartition, PartitionTable] = {}
        self._begun: dict[TopicPartition, int] = {}
        self._ran: dict[TopicPartition, int] = {}
        self._held: dict[Key, Execution] = {}
        self._revocations = Revocations()
        self._busy = 0
        self._now_ms = 0
        self._elapsed_ms = 0
        self._commit_due_ms = 0
        self._heartbeat_due_ms: int | None = None
        self._drain_deadline_ms: int | None = None
        self._handlers: dict[type[Any], Callable[[Any], Sequence[Action]]] = {
            Assigned: self._assigned,
            CommandArrived: self._command_arrived,
            CommandCommitted: self._command_committed,
            StrangerArrived: self._stranger_arrived,
            LetterKept: self._letter_kept,
            Passed: self._passed,
            Committed: self._committed,
            CommitFailed: self._commit_failed,
            ClaimExpired: self._claim_expired,
            Reported: self._reported,
            SlotFreed: self._slot_freed,
            Acknowledged: self._acknowledged,
            Revoking: self._revoking,
            Revoked: self._revoked,
            RevocationHeard: self._revocation_heard,
            DrainRequested: self._drain_requested,
            TimeAdvanced: self._time_advanced,
        }

    @property
    def waiting(self) -> int:
        """Commands in the queues."""
        return sum(len(table.queue) for table in self._tables.values())

    @property
    def busy(self) -> int:
        """Slots taken."""
        return self._busy

    @property
    def held(self) -> int:
        """Executions whose last answer is not acknowledged."""
        return len(self._held)

    def handle(self, message: Input) -> Sequence[Action]:
        """Take one input; returns the actions to do, in order."""
        return self._handlers[type(message)](message)

    def rests_ms(self, elapsed_ms: int) -> float | None:
        """For how long time alone calls for nothing: no heartbeat, commit, start, resumption, drain. None: it does."""
        if self._drain_deadline_ms is not None or any(it.queue or it.paused for it in self._tables.values()):
            return None
        if self._heartbeat_due_ms is not None and elapsed_ms >= self._heartbeat_due_ms:
            return None
        if elapsed_ms >= self._commit_due_ms:
            return None if self._marks() else 0.0
        due_ms = self._commit_due_ms if self._heartbeat_due_ms is None else self._heartbeat_due_ms
        return min(due_ms, self._commit_due_ms) - elapsed_ms

    def tell_time(self, now_ms: int, elapsed_ms: int) -> None:
        """Time went by within a turn, as in a claim: what it lets start starts now, not when it was asked for."""
        self._now_ms, self._elapsed_ms = now_ms, elapsed_ms

    def pass_over(self, now_ms: int, elapsed_ms: int) -> None:
        """What `TimeAdvanced` leaves behind when the machine rests."""
        self.tell_time(now_ms, elapsed_ms)
        if elapsed_ms >= self._commit_due_ms:
            self._commit_due_ms = elapsed_ms + self._settings.commit_every_ms

    # Assignment -------------------------------------------------------------------------------------------------

    def _assigned(self, message: Assigned) -> Sequence[Action]:
        source = message.source
        begun, ran = self._begun.get(source, -1), self._ran.get(source, -1)
        table = assigned_table(message, self._settings.holder, begun=begun, ran=ran)
        self._tables[source] = table
        if self._drain_deadline_ms is not None:
            return ()
        return (Resume(((source, table.position),)),)

    def _revoking(self, message: Revoking) -> Sequence[Action]:
        gone = set(message.sources)
        for source in gone & self._tables.keys():
            self._tables[source].giving_up = True
        return [
            self._heartbeat(entry)
            for entry in self._held.values()
            if entry.source in gone and entry.phase is Phase.RUNNING
        ]

    def _revoked(self, message: Revoked) -> Sequence[Action]:
        for source in message.sources:
            table = self._tables.pop(source, None)
            if table is None:
                continue
            for entry in (*table.open.values(), *table.ahead.values()):
                self._detach(entry)
        return ()

    def _detach(self, entry: Execution) -> None:
        entry.source = None
        if entry.phase is Phase.CLAIMING:
            self._busy -= 1
        if entry.phase in (Phase.QUEUED, Phase.CLAIMING):
            self._held.pop(entry.key, None)

    # Commands ---------------------------------------------------------------------------------------------------

    def _command_arrived(self, message: CommandArrived) -> Sequence[Action]:
        table = self._tables.get(message.source)
        if table is None or message.offset < table.position:
            return ()
        table.position = message.offset + 1
        if message.offset in table.ahead:
            return self._caught_up_with(table, message.offset)
        entry = new_execution(message.source, message.offset, message.command)
        known = self._held.get(entry.key)
        if known is not None:
            return self._matched(table, known, message.offset)
        self._held[entry.key] = table.open[message.offset] = entry
        if message.offset > (table.inherited if entry.effectful else table.unmarked):
            table.queue.append(entry)
            return ()
        if message.offset > (table.begun if entry.effectful else table.inherited):
            return (self._unstarted(entry),)
        entry.phase = Phase.ANSWERED
        dead = table.dead_above is not None and message.offset > table.dead_above
        return (SendReclaimed(message.command, dead),)

    @staticmethod
    def _matched(table: PartitionTable, known: Execution, offset: int) -> Sequence[Action]:
        """The partition came back with a command that is still held here: nothing is asked, nothing runs twice."""
        if known.source is None and not known.passed:
            known.source, known.offset = table.source, offset
            table.open[offset] = known
        return ()

    def _command_committed(self, message: CommandCommitted) -> Sequence[Action]:
        """Start it at once, or leave it to the log: whatever needs a claim, a question, a slot or its turn is left.

        It counts as read and as started, for offset and mark, only once it was read: until then a successor finds it
        above the mark of a holder that did not leave, and gives it back.
        """
        table = self._tables.get(message.source)
        entry = new_execution(message.source, message.offset, message.command)
        if (
            table is None
            or self._drain_deadline_ms is not None
            or self._busy >= self._settings.concurrency
            or not table.takes_ahead(message.offset)
            or entry.effectful
            or entry.key in self._held
            or message.command.not_after_ms is not None
            or self._revocations.covers(entry.key)
        ):
            return ()
        self._busy += 1
        self._held[entry.key] = table.ahead[message.offset] = entry
        return (self._start(entry),)

    @staticmethod
    def _caught_up_with(table: PartitionTable, offset: int) -> Sequence[Action]:
        """A command is read that was started before: nothing starts, offset and mark take it over."""
        entry = table.ahead.pop(offset)
        table.started = max(table.started, offset)
        if not entry.passed:
            table.open[offset] = entry
        return ()

    def _stranger_arrived(self, message: StrangerArrived) -> Sequence[Action]:
        """Twice or by two owners, it is kept twice: a dead letter names its origin."""
        table = self._tables.get(message.source)
        if table is None or message.offset < table.position:
            return ()
        table.position = message.offset + 1
        table.strangers.add(message.offset)
        return (SendLetter(*message),)

    def _letter_kept(self, message: LetterKept) -> Sequence[Action]:
        table = self._tables.get(message.source)
        if table is not None:
            table.strangers.discard(message.offset)
        return ()

    def _passed(self, message: Passed) -> Sequence[Action]:
        table = self._tables.get(message.source)
        if table is not None:
            table.position = max(table.position, message.offset)
        return ()

    def _revocation_heard(self, message: RevocationHeard) -> Sequence[Action]:
        revoked = message.revoked
        self._revocations.add(revoked, message.at_ms)
        path = (revoked.run_id, revoked.incarnation, revoked.path)
        found = [e for key, e in self._held.items() if key[:3] == path and key.dispatch <= revoked.dispatch]
        return [action for entry in found for action in self._cancel(entry, revoked.reason)]

    @staticmethod
    def _cancel(entry: Execution, reason: str) -> Iterator[Action]:
        if entry.phase is Phase.RUNNING and not entry.cancelled:
            entry.cancelled = True
            yield CancelStep(entry.key, reason)

    # Starting ---------------------------------------------------------------------------------------------------

    def _take(self) -> Sequence[Action]:
        """Fill the free slots from the queues, one command per partition in turn."""
        if self._drain_deadline_ms is not None:
            return ()
        actions: list[Action] = []
        claims: dict[TopicPartition, list[Execution]] = {}
        queues = [table.queue for table in self._tables.values() if table.queue]
        while queues:
            for queue in queues:
                if self._busy >= self._settings.concurrency:
                    queues = []
                    break
                self._take_one(queue.popleft(), actions, claims)
            queues = [queue for queue in queues if queue]
        if claims:
            actions.append(self._claim(claims))
        return actions

    def _take_one(self, entry: Execution, actions: list[Action], claims: dict[TopicPartition, list[Execution]]) -> None:
        if not entry.effectful and self._is_called_off(entry):
            actions.append(self._unstarted(entry))
            return
        self._busy += 1
        if entry.source is not None and (entry.effectful or not self._tables[entry.source].named):
            entry.phase = Phase.CLAIMING
            claims.setdefault(entry.source, []).append(entry)
        else:
            actions.append(self._start(entry))

    def _is_called_off(self, entry: Execution) -> bool:
        late = entry.command.not_after_ms is not None and self._now_ms > entry.command.not_after_ms
        return late or self._revocations.covers(entry.key)

    @staticmethod
    def _unstarted(entry: Execution) -> SendReleased:
        entry.phase = Phase.ANSWERED
        return SendReleased(entry.command, was_started=False, started_at_ms=None)

    def _start(self, entry: Execution) -> StartStep:
        source = entry.source or TopicPartition("", -1)
        table = self._tables.get(source)
        if table is not None and entry.offset not in table.ahead:
            table.started = max(table.started, entry.offset)
        self._ran[source] = max(self._ran.get(source, -1), entry.offset)
        if entry.effectful:
            self._begun[source] = max(self._begun.get(source, -1), entry.offset)
        entry.phase = Phase.RUNNING
        entry.started_at_ms = self._now_ms
        self._due_heartbeat(entry, self._settings.heartbeat_first_ms)
        return StartStep(source, entry.offset, entry.command, claimed=entry.effectful, since_ms=entry.since_ms)

    # Claims and marks -------------------------------------------------------------------------------------------

    def _claim(self, claims: dict[TopicPartition, list[Execution]]) -> Commit:
        offsets = []
        for source, entries in claims.items():
            table = self._tables[source]
            claimed = max(entry.offset for entry in entries)
            offsets.append(table.offsets(table.claim_mark(claimed), self._settings.holder))
        return Commit(tuple(offsets), tuple(entry.key for group in claims.values() for entry in group))

    def _committed(self, message: Committed) -> Sequence[Action]:
        for source, low, metadata in message.commit.offsets:
            table = self._tables.get(source)
            if table is not None:
                table.committed, table.named = (low, metadata), True
        return [self._start_claimed(entry) for entry in self._claiming(message.commit)]

    def _start_claimed(self, entry: Execution) -> StartStep | SendReleased:
        """Or give it back: not before it is claimed, since another who owns it by now may have begun it."""
        if entry.source is not None:
            table = self._tables[entry.source]
            table.claimed = max(table.claimed, entry.offset)
        if self._is_called_off(entry):
            self._busy -= 1
            return self._unstarted(entry)
        return self._start(entry)

    def _commit_failed(self, message: CommitFailed) -> Sequence[Action]:
        # In reverse, so that the queue is in offset order again.
        for entry in reversed(self._claiming(message.commit)):
            self._busy -= 1
            entry.phase = Phase.QUEUED
            if entry.source is not None:
                self._tables[entry.source].queue.appendleft(entry)
        return ()

    def _claiming(self, commit: Commit) -> list[Execution]:
        found = [self._held.get(key) for key in commit.claims]
        return [entry for entry in found if entry is not None and entry.phase is Phase.CLAIMING]

    def _claim_expired(self, message: ClaimExpired) -> Sequence[Action]:
        entry = self._held.get(message.key)
        if entry is None or entry.phase is not Phase.RUNNING:
            return ()
        # One whose lease was taken over stays with us when its partition goes: there is nothing to claim it on.
        if entry.source not in self._tables or entry.cancelled or self._drain_deadline_ms is not None:
            self._busy -= 1
            return (self._unstarted(entry),)
        entry.phase, entry.since_ms = Phase.CLAIMING, message.started_at_ms
        return (self._claim({entry.source: [entry]}),)

    def _marks(self, *, left: bool = False) -> Sequence[Action]:
        """The lazy commit: every partition whose low-water offset or mark moved."""
        offsets = []
        for table in self._tables.values():
            source, low, metadata = table.offsets(
                table.settled_mark(), self._settings.holder, left=left and not table.ahead and table.is_clear
            )
            if table.committed is None or self._differs(table.committed, low, metadata):
                offsets.append((source, low, metadata))
        return (Commit(tuple(offsets)),) if offsets else ()

    @staticmethod
    def _differs(committed: tuple[int, str], low: int, metadata: str) -> bool:
        """Whether there is something new to commit; a holder's name alone is not (P15: an idle group stays silent)."""
        if committed[0] != low:
            return True
        old, new = parse_mark(committed[1]), parse_mark(metadata)
        if old is None or new is None or old.started != new.started:
            return True
        return new.left and old.unannounced

    # Answers ----------------------------------------------------------------------------------------------------

    def _reported(self, message: Reported) -> Sequence[Action]:
        if message.slot_free:
            self._busy -= 1
        entry = self._held.get(message.key)
        if entry is not None:
            entry.phase = Phase.ANSWERED
        return ()

    def _slot_freed(self, _: SlotFreed) -> Sequence[Action]:
        self._busy -= 1
        return ()

    def _acknowledged(self, message: Acknowledged) -> Sequence[Action]:
        entry = self._held.get(message.key)
        if entry is None:
            return ()
        entry.passed = True
        table = self._tables.get(entry.source) if entry.source is not None else None
        if table is not None:
            table.open.pop(entry.offset, None)
        if message.final:
            del self._held[message.key]
        return ()

    # Time -------------------------------------------------------------------------------------------------------

    def _time_advanced(self, message: TimeAdvanced) -> Sequence[Action]:
        self._now_ms = message.now_ms
        self._elapsed_ms = message.now_ms if message.elapsed_ms is None else message.elapsed_ms
        actions = [*self._heartbeats(), *self._drained(), *self._take(), *self._pressure()]
        if self._elapsed_ms >= self._commit_due_ms:
            self._commit_due_ms = self._elapsed_ms + self._settings.commit_every_ms
            actions.extend(self._marks())
        return actions

    def _heartbeat(self, entry: Execution) -> SendHeartbeat:
        self._due_heartbeat(entry, self._settings.heartbeat_every_ms)
        return SendHeartbeat(entry.command, entry.started_at_ms)

    def _due_heartbeat(self, entry: Execution, delay_ms: int) -> None:
        entry.heartbeat_due_ms = self._elapsed_ms + delay_ms
        if self._heartbeat_due_ms is None or entry.heartbeat_due_ms < self._heartbeat_due_ms:
            self._heartbeat_due_ms = entry.heartbeat_due_ms

    def _heartbeats(self) -> Sequence[Action]:
        if self._heartbeat_due_ms is None or self._elapsed_ms < self._heartbeat_due_ms:
            return ()
        running = [entry for entry in self._held.values() if entry.phase is Phase.RUNNING]
        beats = [self._heartbeat(entry) for entry in running if entry.heartbeat_due_ms <= self._elapsed_ms]
        self._heartbeat_due_ms = min((entry.heartbeat_due_ms for entry in running), default=None)
        return beats

    def _pressure(self) -> Sequence[Action]:
        if self._drain_deadline_ms is not None:
            return ()
        return balance(self._tables.values(), waiting=self.waiting, buffered=self._settings.buffered)

    # Drain ------------------------------------------------------------------------------------------------------

    def _drain_requested(self, message: DrainRequested) -> Sequence[Action]:
        self._drain_deadline_ms = message.deadline_ms
        return pause_all(self._tables.values())

    def _drained(self) -> Sequence[Action]:
        """Queued commands need no word: they lie above the mark and are fresh for whoever reads them next."""
        if self._drain_deadline_ms is None:
            return ()
        actions: list[Action] = []
        if self._elapsed_ms >= self._drain_deadline_ms:
            for entry in self._held.values():
                if entry.phase is Phase.RUNNING:
                    entry.phase = Phase.ANSWERED
                    actions.append(SendReleased(entry.command, was_started=True, started_at_ms=entry.started_at_ms))
                    actions.append(CancelStep(entry.key, "drained"))
        if all(entry.phase is Phase.QUEUED for entry in self._held.values()):
            actions.append(DrainFinished())
        return actions

    def final_marks(self) -> Sequence[Action]:
        """What to commit last for the partitions still owned, inside a clean revoke or when leaving."""
        return self._marks(left=True)
