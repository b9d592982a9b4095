"""The step worker: one polling thread around the step machine; user code runs elsewhere. A shell file.

Each turn: fetch, feed the machine, do what it says, hand starts to the executor in one batch, serve the producer.
Claims, heartbeats, deadlines and drain live here, so code that blocks the loop cannot starve them.
"""

import asyncio
import platform
import re
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from uuid import uuid4

import structlog

from logkeel.errors import LogkeelError
from logkeel.exactly_once.slots import directory_identity, take_slot
from logkeel.log import SESSION_TIMEOUT_MS, Clock, LogClient, Record, TopicPartition
from logkeel.payloads import PLAIN, PayloadChain
from logkeel.records import (
    JournalEntry,
    StepCommand,
    StepHeartbeat,
    StepJournaled,
    StepReclaimed,
    StepReleased,
)
from logkeel.records.topics import TopicNames
from logkeel.steps.attempt import Attempt
from logkeel.steps.bound import RunnableWorkflow
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.control import ControlReader
from logkeel.steps.emitting import StreamSender
from logkeel.steps.execution import Outcome
from logkeel.steps.executor import StepExecutor
from logkeel.steps.group import QueueMember
from logkeel.steps.kept import KEEPING, Keeping
from logkeel.steps.letters import LetterSender, letter_of
from logkeel.steps.logged import LoggedSteps
from logkeel.steps.machine import Action, Holder, Input, MachineSettings, StepMachine, key_of
from logkeel.steps.machine import messages as m
from logkeel.steps.observing import SeveralStepObservers, StepObserver
from logkeel.steps.outbox import FILE_NAME, Outbox
from logkeel.steps.resources import Overrides
from logkeel.steps.sender import AnswerSender
from logkeel.wire import decode_as

IDLE_WAIT_S = 0.1
BUSY_WAIT_S = 0.02
CONTROL_EVERY_MS = 100
STANDSTILL_S = 1.0
"""Between two turns, or in one call: longer ago than what a worker has heard of revocations may be (P36)."""
FETCH_RECORDS = 500
REVOKE_FLUSH_S = 1.0
LEAVE_FLUSH_S = 5.0

log = structlog.get_logger("logkeel.worker", role="worker")


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker runs. `slot` None: the lowest free one. `threaded` False: everything on the caller's thread.

    `payloads`: what happens to values on their way; clients need the same keys and blob store. `keeping`: which lists
    stay in memory between commands.
    `new_loop` makes the event loop that steps run on when not threaded; `incarnation` names this life of the process
    (None: by chance).
    `leave_on_close`: whether a drain begins by handing the partitions over, or lets them wait for this slot until its
    session ends (a rolling update whose process comes back within seconds).
    `debug`: time-outs of steps are not enforced here. A person at a breakpoint takes the time they need; the engine
    waits as long as heartbeats come.
    `observers`: who else is told of executions and their calls, beside the log.
    `keeps_outcomes`: whether results stand on the slot's disk until the log has them (decision 0044); without, the
    steps of a killed worker are looked after as if its disk had gone with it.
    """

    queue: str = "default"
    slot: int | None = None
    concurrency: int = 256
    drain_s: float = 25.0
    threaded: bool = True
    overrides: Overrides | None = None
    payloads: PayloadChain = PLAIN
    keeping: Keeping = KEEPING
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    incarnation: str | None = None
    session_timeout_ms: int = SESSION_TIMEOUT_MS
    leave_on_close: bool = True
    debug: bool = False
    observers: tuple[StepObserver, ...] = ()
    keeps_outcomes: bool = True


def _holder(state_dir: Path, options: WorkerOptions, slot: int) -> Holder:
    """Who this worker is: its slot is one of its queue in its state directory, where it is locked (P13, P32).

    The host is for people; workers of several directories and hosts share a group. A given incarnation is that of a
    simulated process, whose name may not be random.
    """
    host = re.sub(r"[^\w.-]", "-", platform.node() or "host")
    place = host if options.incarnation else f"{host}-{directory_identity(state_dir)}"
    return Holder(f"worker-{options.queue}-{place}-{slot:04d}", options.incarnation or uuid4().hex[:12])


class StepWorker:
    """Executes the steps of `workflows` that come on one queue."""

    def __init__(
        self,
        client: LogClient,
        workflows: Sequence[RunnableWorkflow],
        *,
        names: TopicNames,
        clock: Clock,
        state_dir: Path,
        options: WorkerOptions | None = None,
    ) -> None:
        """Connects. Raises `SlotTaken`, `TopicMissing`, `LogUnavailable`."""
        self._options = options = options or WorkerOptions()
        self._clock, self._names = clock, names
        self._slot = take_slot(state_dir / f"worker-{options.queue}", options.slot)
        self.holder = _holder(state_dir, options, self._slot.slot)
        settings = MachineSettings(self.holder, concurrency=options.concurrency, buffered=4 * options.concurrency)
        self._machine = StepMachine(settings)
        self._deciding = threading.Lock()
        self._inbox: deque[Input] = deque()
        self._wake = threading.Event()
        self._starts: list[tuple[float, m.StartStep]] = []
        self._claimed_at_s = 0.0
        self._control_due_ms = 0
        self._turned_s = clock.monotonic_s()
        self._draining = self._drained = self._closed = False
        self._progress = 0
        outbox = Outbox(self._slot.directory / FILE_NAME) if options.keeps_outcomes else None
        self._sender = AnswerSender(client.producer(), names.step_results, holder=str(self.holder), outbox=outbox)
        self._letters = LetterSender(client.producer())
        self._streams = StreamSender(
            client.producer, names.run_streams, payloads=options.payloads, clock=clock, threaded=options.threaded
        )
        self._control = ControlReader(client.reader("read_committed"), client.admin(), names.step_control)
        consumer = client.group_consumer(
            names.worker_group(options.queue),
            instance_id=self.holder.slot,
            session_timeout_ms=options.session_timeout_ms,
        )
        self._member = QueueMember(consumer, client.admin(), names.step_commands(options.queue), self)
        self._executor = StepExecutor(
            StepCatalog(workflows, payloads=options.payloads, keeping=options.keeping),
            clock,
            holder=str(self.holder),
            concurrency=options.concurrency,
            loop=None if options.threaded else options.new_loop(),
            overrides=options.overrides,
        )
        self._executor.enforces_deadlines = not options.debug
        if options.threaded:
            self._sender.gather(self._executor.soon)
        self._observer = SeveralStepObservers((LoggedSteps(), *options.observers))
        self._executor.watched_by(self._observer)
        self._executor.open(self._reported, lambda: self._post(m.SlotFreed()), self, emit=self._streams.emit)

    def let_go(self) -> None:
        """Release what the end of a process does, slot and files: a simulated process has to be told. Idempotent."""
        self._sender.let_go()
        self._slot.release()

    @property
    def drained(self) -> bool:
        """Whether a requested drain has ended: nothing is held any more."""
        return self._drained

    @property
    def is_ready(self) -> bool:
        """Whether it may start what comes: assigned, revocations read, not draining. From any thread."""
        return self._control.caught_up and self._member.is_placed and not self._draining

    @property
    def running(self) -> int:
        """Executions that have begun and not reported."""
        return self._executor.running

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then drain and leave. Raises `ConsumerFenced`, `ProducerFatal` and the like."""
        found = self._sender.found
        log.info("worker_started", holder=str(self.holder), queue=self._options.queue, answers_found=found)
        try:
            while not self._drained:
                if stop.is_set():
                    self.request_drain()
                self.turn()
        finally:
            self.close()
            log.info("worker_stopped", holder=str(self.holder), queue=self._options.queue, drained=self._drained)

    def request_drain(self) -> None:
        """Take no more; finish what runs within `drain_s`, then release it. Idempotent; call between turns."""
        if not self._draining:
            self._draining = True
            log.info("worker_draining", holder=str(self.holder), running=self.running)
            deadline_ms = self._elapsed_ms() + int(self._options.drain_s * 1_000)
            self._handle(m.DrainRequested(deadline_ms))
            if self._options.leave_on_close:
                # What waits here is fresh for the others, and what runs goes on under its lease (P32).
                self._member.hand_over(self._names.step_control)

    def turn(self) -> bool:
        """One round of everything; returns whether anything moved. With `threaded=False` it also runs steps.

        Inline, call it from a thread without a running event loop.
        """
        before = self._progress
        self._notice_standstill(self._turned_s)
        self._turned_s = self._clock.monotonic_s()
        self._hear_revocations()
        if self._control.caught_up:
            self._fetch()
            for assigned in self._member.placed():
                log.info("partition_assigned", topic=assigned.source.topic, partition=assigned.source.partition)
                self._handle(assigned)
        self._serve()
        self._handle_time()
        self._submit()
        self._executor.enforce()
        self._executor.pump()
        self._streams.turn()
        self._serve()
        return self._progress != before

    def rests_ms(self) -> float | None:
        """For how long turns do nothing whose fetches bring nothing, and no acknowledgement comes; None: run one.

        For drivers that step a worker: such a turn may be passed over, by `pass_over`. It holds until the next turn
        that is run, if the worker does not stand still: each turn is run or passed over.
        """
        now_s, control = self._clock.monotonic_s(), self._control
        if self._inbox or self._starts:
            return None
        if not control.caught_up or control.is_behind or self._member.has_to_place:
            return None
        if not (self._sender.is_idle and self._letters.is_idle and self._streams.is_idle):
            return None
        awake_ms = 1_000 * (STANDSTILL_S - (now_s - self._turned_s))
        steps_ms, machine_ms = self._executor.rests_ms(now_s), self._machine.rests_ms(self._elapsed_ms())
        if steps_ms is None or machine_ms is None or awake_ms < 0:
            return None
        return min(steps_ms, machine_ms, awake_ms)

    @property
    def hears_revocations(self) -> bool:
        """Whether the next turn looks for revocations, before it fetches."""
        return self._elapsed_ms() >= self._control_due_ms

    def pass_over(self) -> None:
        """What a turn leaves behind in which nothing was to do."""
        now_s = self._clock.monotonic_s()
        elapsed_ms = int(now_s * 1_000)
        self._turned_s = now_s
        if elapsed_ms >= self._control_due_ms:
            self._control_due_ms = elapsed_ms + CONTROL_EVERY_MS
        self._machine.pass_over(self._clock.now_ms(), elapsed_ms)

    def close(self) -> None:
        """Leave: commit marks, release consumer, producer, loop and slot. Idempotent."""
        if self._closed:
            return
        with self._deciding:
            self._closed = True
        try:
            self._acknowledge(self._sender.flush(LEAVE_FLUSH_S))
            self._acknowledge(self._letters.flush(LEAVE_FLUSH_S))
            if self._drained:
                self._commit_last()
            self._member.close()
        finally:
            self._executor.close()
            self._streams.close()
            self._sender.close()
            self._letters.close()
            self._control.close()
            self._slot.release()

    def hear_committed(self, commands: Sequence[tuple[TopicPartition, int, bytes]]) -> None:
        """Commands that this process's own engine has just committed: (where, offset, record), for a head start.

        From any thread; a hint, nothing is lost if it is not given or not taken. Must not be told of a commit that was
        not answered.
        """
        arrived = [
            m.CommandCommitted(place, offset, decode_as(value, StepCommand)) for place, offset, value in commands
        ]
        with self._deciding:
            if self._closed:
                return
            starts = [action for each in arrived for action in self._machine.handle(each)]
            # Under the lock, so that a cancel decided behind it finds the execution.
            if starts:
                self._executor.submit([start for start in starts if isinstance(start, m.StartStep)], claimed_at_s=0.0)

    # Inputs -----------------------------------------------------------------------------------------------------

    def _wait_s(self) -> float:
        if not self._options.threaded:
            return 0.0
        if self._machine.waiting and self._machine.busy:
            # Full: a finished step is what lets us go on, not the log.
            self._wake.wait(BUSY_WAIT_S)
            return 0.0
        return BUSY_WAIT_S if self._machine.held else IDLE_WAIT_S

    def _fetch(self) -> None:
        wait_s = self._wait_s()
        self._wake.clear()
        fetched = self._member.fetch(FETCH_RECORDS, wait_s)
        for record in fetched.records:
            self._progress += 1
            self._handle(self._command(record))
        for source, end in fetched.ends.items():
            self._handle(m.Passed(source, end))

    def _command(self, record: Record) -> Input:
        try:
            return m.CommandArrived(record.source, record.offset, decode_as(record.value or b"", StepCommand))
        except LogkeelError as error:
            # What is no command goes to `dead-letters`, bytes untouched; the partition goes on.
            self._observer.dead_letter(record.topic, record.partition, record.offset)
            return m.StrangerArrived(record.source, record.offset, letter_of(record, error, self._names.dead_letters))

    def _notice_standstill(self, since_s: float) -> None:
        """A process that was stopped has heard nothing since: what it claims starts when it has caught up (P36)."""
        if self._clock.monotonic_s() - since_s > STANDSTILL_S:
            self._control.stood_still()

    def _hear_revocations(self) -> None:
        now_ms = self._elapsed_ms()
        behind = self._control.is_behind
        if now_ms >= self._control_due_ms or behind:
            self._control_due_ms = now_ms + CONTROL_EVERY_MS
            for revoked, at_ms in self._control.read(IDLE_WAIT_S if behind else 0.0):
                self._handle(m.RevocationHeard(revoked, at_ms))

    def _post(self, message: Input) -> None:
        self._inbox.append(message)
        self._wake.set()

    def _reported(self, attempt: Attempt, outcome: Outcome | None, *, slot_free: bool) -> None:
        """On the loop's thread: the answer goes out at once, the machine hears of it at the next turn."""
        if attempt.emissions is not None:
            self._streams.ended(attempt.emissions)
        if outcome is None:
            self._post(m.ClaimExpired(attempt.key, attempt.started_at_ms))
        else:
            # First, so that whoever looks on delays no answer.
            self._sender.send(attempt.command, outcome)
            self._post(m.Reported(attempt.key, slot_free))
        self._observer.ended(attempt, outcome, self._clock.now_ms())

    def send_entry(self, command: StepCommand, entry: JournalEntry, kept: Callable[[], None]) -> None:
        """On the loop's thread: an entry of a step's journal goes out at once."""
        message = StepJournaled(identity=command.identity, holder=str(self.holder), entry=entry)
        self._sender.send(command, message, kept)

    def serve(self) -> None:
        """On the loop's thread: ask for acknowledgements."""
        self._sender.serve()

    def _serve(self) -> None:
        for _ in range(len(self._inbox)):
            self._progress += 1
            self._handle(self._inbox.popleft())
        self._acknowledge(self._sender.poll())
        self._acknowledge(self._letters.poll())

    def _acknowledge(self, acknowledged: Sequence[m.Acknowledged | m.LetterKept]) -> None:
        for message in acknowledged:
            self._progress += 1
            self._handle(message)

    def _handle_time(self) -> None:
        self._handle(m.TimeAdvanced(self._clock.now_ms(), self._elapsed_ms()))

    def _elapsed_ms(self) -> int:
        """Time that does not jump, for heartbeats, commits and the drain."""
        return int(self._clock.monotonic_s() * 1_000)

    def giving_up(self, sources: tuple[TopicPartition, ...], *, clean: bool) -> None:
        """Inside the rebalance callback: say what still runs, so that the engine's lease covers it (P32)."""
        places = [[source.topic, source.partition] for source in sources]
        log.info("partitions_revoked" if clean else "partitions_lost", partitions=places)
        if clean:
            for _ in range(len(self._inbox)):
                self._handle(self._inbox.popleft())
            self._handle(m.Revoking(sources))
            self._acknowledge(self._sender.flush(REVOKE_FLUSH_S))
            self._acknowledge(self._letters.flush(REVOKE_FLUSH_S))
            self._commit_last()
        self._handle(m.Revoked(sources))

    # Actions ----------------------------------------------------------------------------------------------------

    def _handle(self, message: Input) -> None:
        with self._deciding:
            actions = self._machine.handle(message)
        for action in actions:
            self._do(action)

    def _commit_last(self) -> None:
        with self._deciding:
            actions = self._machine.final_marks()
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case m.StartStep():
                self._starts.append((self._claimed_at_s, action))
            case m.Commit():
                asked_at_s = self._clock.monotonic_s()
                answer = self._member.commit(action)
                # What starts now was claimed then: a later commit, refused perhaps, makes no claim younger (P39).
                self._claimed_at_s = asked_at_s
                self._notice_standstill(asked_at_s)
                self._machine.tell_time(self._clock.now_ms(), self._elapsed_ms())
                # As if it had failed: claimed again by the next turn, which reads on.
                self._handle(m.CommitFailed(action) if action.claims and self._control.is_behind else answer)
            case m.CancelStep(key, reason):
                self._executor.cancel(key, reason)
            case m.Pause(sources):
                self._member.pause(sources)
            case m.Resume(positions):
                self._progress += 1
                self._member.resume(positions)
            case m.SendLetter():
                self._letters.send(action)
            case m.DrainFinished():
                self._drained = True
            case m.SendHeartbeat() | m.SendReclaimed() | m.SendReleased():
                self._say(action)

    def _say(self, action: m.SendHeartbeat | m.SendReclaimed | m.SendReleased) -> None:
        command, holder = action.command, str(self.holder)
        identity = command.identity
        match action:
            case m.SendHeartbeat(_, started_at_ms):
                attempt = self._executor.attempt(key_of(identity))
                started_at_ms = started_at_ms if attempt is None else attempt.started_at_ms
                details = None if attempt is None else attempt.details
                beat = StepHeartbeat(identity=identity, holder=holder, started_at_ms=started_at_ms, details=details)
                self._sender.send(command, beat, None if attempt is None else self._confirming(attempt))
            case m.SendReclaimed(_, dead):
                log.info("step_reclaimed", run_id=identity.run_id, step=identity.step, holder_dead=dead)
                self._sender.send(command, StepReclaimed(identity=identity, holder=holder, holder_dead=dead))
            case m.SendReleased(_, was_started, started_at_ms):
                begun_at_ms, forgotten = started_at_ms, None
                if was_started:
                    forgotten = self._executor.forget(key_of(identity))
                    if forgotten is None:
                        return  # A report that went out first stands.
                    begun_at_ms = forgotten.started_at_ms
                released = StepReleased(
                    identity=identity, holder=holder, was_started=was_started, started_at_ms=begun_at_ms
                )
                self._sender.send(command, released)
                if forgotten is not None:
                    self._observer.ended(forgotten, released, self._clock.now_ms())

    def _confirming(self, attempt: Attempt) -> Callable[[], None] | None:
        """Once this heartbeat is acknowledged, the step is surely held from now on for its lease (P39)."""
        lease, sent_at_s = attempt.lease, self._clock.monotonic_s()
        return None if lease is None else lambda: lease.confirm(sent_at_s, self._clock.monotonic_s())

    def _submit(self) -> None:
        if self._starts:
            starts, self._starts = self._starts, []
            self._progress += len(starts)
            for claimed_at_s, claimed in groupby(starts, itemgetter(0)):
                self._executor.submit([start for _, start in claimed], claimed_at_s=claimed_at_s)
