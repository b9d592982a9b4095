"""The transactional loop: fetch, process, commit, and everything that may come between (ARCHITECTURE section 4).

One loop = one thread = one group member + two transactional producers + the stores of the partitions it owns. `turn`
is one iteration and the only thing that makes progress, so a driver may step a loop (simulation, `try_out`) instead of
running it. The shell of this room: clock, threads and log are used here and in the parts it is made of; what to do is
decided by `transaction`, `validation`, `assignment` and `collecting`.

Invariants: no transaction is open while the group's callbacks run; positions and rows of a partition come from its
table; a partition that is not active neither processes nor fires.
"""

import threading

from logkeel.errors import (
    InvariantViolation,
    LogkeelError,
    LogTimeout,
    LogUnavailable,
    OperatorError,
    StoreCorrupt,
    StoreUnavailable,
    TransactionsUnavailable,
)
from logkeel.exactly_once.batch import Batch, changes
from logkeel.exactly_once.collecting import Collector
from logkeel.exactly_once.committing import Committer, Outcome, follow, store_rows
from logkeel.exactly_once.observer import BatchCounts, Observer, Unobserved
from logkeel.exactly_once.ownership import Ownership
from logkeel.exactly_once.partition import LogTarget, needs_target, waits_for_records
from logkeel.exactly_once.parts import LoopPorts, Parts
from logkeel.exactly_once.port import Processor, SideSource
from logkeel.exactly_once.producers import ProducerPair
from logkeel.exactly_once.settings import LoopSettings
from logkeel.exactly_once.transaction import Action, State
from logkeel.log import HAND_OVER_S, GroupConsumer, LogClient, Record, TopicPartition, TransactionalProducer


class TransactionalLoop:
    """Processes the inputs of `processor` exactly once. Not safe for use from several threads."""

    def __init__(
        self,
        ports: LoopPorts,
        processor: Processor,
        settings: LoopSettings,
        *,
        side_source: SideSource | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._side_source = side_source
        self._observer = observer or Unobserved()
        client, clock = ports.client, ports.clock
        pair = ProducerPair(
            client,
            clock,
            ids=settings.transactional_ids,
            transaction_timeout_ms=settings.transaction_timeout_ms,
            init_timeout_ms=settings.init_timeout_ms,
            background=settings.background_threads,
        )
        self._clock = clock
        self._settings = settings
        self._pair = pair
        self._parts = Parts(
            client=client,
            clock=clock,
            stores=ports.stores,
            processor=processor,
            settings=settings,
            observer=self._observer,
            pair=pair,
            admin=client.admin(),
            consumer=self._new_consumer(client, settings),
            inputs=tuple(processor.inputs),
        )
        self._owned = Ownership(self._parts, self._drop_queue)
        self._collector = Collector(processor, settings, clock, self._observer)
        self._committer = Committer(processor.changelog, settings, self._observer, ports.listener)
        self._queue: list[Record] = []
        self._ends: dict[TopicPartition, int] = {}
        self._held_up = False
        self._started = False
        self._closed = False

    @property
    def assigned_partitions(self) -> tuple[int, ...]:
        """Partitions this member owns, synced or not."""
        return self._owned.assignment.partitions

    @property
    def active_partitions(self) -> tuple[int, ...]:
        """Partitions that are processing."""
        return tuple(self._owned.active)

    @property
    def is_ready(self) -> bool:
        """Whether the group has given this member its partitions and all of them run. From any thread."""
        return self._owned.is_settled

    @property
    def pending_timers(self) -> int:
        """Timers of the partitions this member runs; from any thread."""
        return sum(state.timers.pending for state in list(self._owned.states.values()))

    def start(self) -> None:
        """Initialise both producers and join the group (P13: no offset is read before both are initialised)."""
        self._started = True
        self._pair.prepare()
        self._parts.consumer.subscribe(self._parts.inputs, self._owned.assignment)

    def run(self, stop: threading.Event) -> None:
        """Start, turn until `stop` is set, close. Raises the error that ended it; the group is left first (P11)."""
        try:
            self.start()
            while not stop.is_set():
                self.turn()
        except BaseException:
            self.close(failed=True)
            raise
        self.close()

    def close(self, *, failed: bool = False) -> None:
        """Leave the group, release producers and stores; idempotent. No transaction is open between turns.

        `failed`: an error ended the loop, which counts as a crash if the next process fares alike (P21).
        """
        if self._closed:
            return
        self._closed = True
        self._hand_over()
        self._parts.consumer.close()
        self._pair.close()
        self._parts.admin.close()
        self._owned.close(failed=failed)

    def _hand_over(self) -> None:
        """Let the others go on at once; whatever goes wrong, they will when the session ends."""
        if not self._settings.leave_on_close:
            return
        try:
            if not self._parts.consumer.hand_over(self._parts.processor.changelog, HAND_OVER_S):
                self._observer.error("hand over", LogTimeout("the group did not take the partitions over in time"))
        except LogkeelError as error:
            self._observer.error("hand over", error)

    def turn(self) -> bool:
        """One iteration; whether anything happened. Raises operator errors and `InvariantViolation`: then close."""
        self._pair.prepare()
        if (error := self._pair.take_error()) is not None:
            self._producers_failed(error)
        progressed = self._owned.advance()
        if self._must_hold_up():
            return self._hold_up() or progressed
        if self._held_up:
            self._held_up = False
            self._owned.go_on()
        if not self._queue:
            progressed = self._fetch(0.0 if progressed else self._wait_s()) or progressed
        if self._must_hold_up():
            return progressed
        batch = self._collect()
        if batch is not None and batch.touched:
            self._commit(batch)
            progressed = True
        self._owned.stamp()
        return progressed

    def rests_ms(self) -> float | None:
        """For how long turns do nothing whose fetch brings nothing and whose side source gives nothing; None: run one.

        For drivers that step a loop: such a turn may be passed over, by `pass_over`. It holds until the next turn that
        is run, unless the wall clock is set.
        """
        waits = self._held_up or self._queue or self._ends or self._pair.error is not None
        return None if waits or not self._pair.all_ready() else self._owned.rests_ms()

    def pass_over(self) -> None:
        """What a turn leaves behind in which nothing was to do."""
        self._owned.stamp()

    def _producers_failed(self, error: LogkeelError) -> None:
        """A missing right ends the loop; everything else may pass, and is named until it does."""
        if isinstance(error, OperatorError):
            raise error
        if isinstance(error, LogTimeout) and not self._owned.active:
            error = TransactionsUnavailable(
                f"no transactional producer can be initialised: {error.message}. The engine waits. If brokers are up, "
                "see that `__transaction_state` can have its replicas (transaction.state.log.replication.factor, "
                "transaction.state.log.min.isr): `logkeel doctor`"
            )
        self._observer.error("init producers", error)

    def _new_consumer(self, client: LogClient, settings: LoopSettings) -> GroupConsumer:
        return client.group_consumer(
            settings.group_id, instance_id=settings.instance_id, session_timeout_ms=settings.session_timeout_ms
        )

    # Fetching

    def _fetch(self, timeout_s: float) -> bool:
        """Fetch once; records of an epoch that ended meanwhile are dropped (P9, P10)."""
        epoch = self._owned.assignment.epoch
        try:
            fetched = self._parts.consumer.fetch(self._settings.max_records, timeout_s)
        except LogUnavailable as error:
            self._observer.error("fetch", error)
            return False
        if self._owned.assignment.epoch != epoch:
            return True
        if self._owned.stale_since_s is not None:
            return False
        self._queue = fetched.records
        self._ends.update(fetched.ends)
        return bool(fetched.records or fetched.ends)

    def _wait_s(self) -> float:
        """How long a fetch may wait: until the next timer, idle commit or resync step."""
        wait_s = self._settings.fetch_wait_ms / 1000
        if self._owned.syncing:
            return min(wait_s, 0.005)
        now_ms = self._clock.now_ms()
        for state in self._owned.states.values():
            if not state.active:
                continue
            if state.fresh:
                return 0.0
            due_ms = state.timers.next_due_ms()
            if due_ms is not None and not waits_for_records(state, due_ms):
                wait_s = min(wait_s, max(0.0, (due_ms - now_ms) / 1000))
        return wait_s

    def _must_hold_up(self) -> bool:
        """Nothing may be fetched for processing: no producer, or a generation that is over (P11)."""
        return self._owned.stale_since_s is not None or not self._pair.any_ready()

    def _hold_up(self) -> bool:
        """Serve callbacks only. What is fetched is dropped: the turn that need not hold up any more goes on behind it.

        Whether it must is asked once a turn: producers come back at any time, and one that came between two questions
        had what was dropped passed over.
        """
        if not self._held_up and (active := self._owned.active):
            self._parts.consumer.pause(self._parts.inputs_of(active))
        self._held_up = True
        self._drop_queue()
        epoch = self._owned.assignment.epoch
        self._fetch(self._settings.fetch_wait_ms / 1000 if self._owned.stale_since_s is not None else 0.005)
        self._drop_queue()
        self._owned.rejoin_if_forgotten(self._rejoin)
        return self._owned.assignment.epoch != epoch

    def _rejoin(self) -> None:
        self._parts.consumer.close()
        self._parts.consumer = self._new_consumer(self._parts.client, self._settings)
        self._parts.consumer.subscribe(self._parts.inputs, self._owned.assignment)

    def _drop_queue(self) -> None:
        self._queue = []
        self._ends.clear()

    # Batches

    def _collect(self) -> Batch | None:
        """Build a batch from what is there; None if a store failed and the batch was dropped."""
        now_ms = self._clock.now_ms()
        self._take_targets(now_ms)
        batch = Batch()
        states = self._owned.states
        try:
            self._collect_side_events(batch, now_ms)
            if self._queue:
                taken = self._collector.records(batch, self._queue, states, now_ms)
                self._queue = self._queue[taken:]
            if not self._queue:
                self._take_ends(batch)
            until_s = self._clock.monotonic_s() + self._settings.max_batch_ms / 1000
            for state in states.values():
                if state.active and state.target is not None:
                    self._collector.timers(batch, state, now_ms, until_s=until_s)
            self._touch_idle(batch)
        except (StoreUnavailable, StoreCorrupt) as error:
            self._drop(batch, error)
            return None
        if batch.touched:
            self._observer.at("after_process")
        return batch

    def _collect_side_events(self, batch: Batch, now_ms: int) -> None:
        source = self._side_source
        events = source.take() if source is not None else ()
        for state in self._owned.states.values():
            if not state.active:
                continue
            if state.fresh:
                self._collector.ready(batch, state, now_ms, source.current() if source is not None else ())
            elif events:
                self._collector.side_events(batch, state, now_ms, events)

    def _take_targets(self, now_ms: int) -> None:
        """For due timers: one call for the ends of their inputs, taken now, hence at or after they were due (P23)."""
        asking = [state for state in self._owned.states.values() if state.active and needs_target(state, now_ms)]
        if not asking:
            return
        inputs = self._parts.inputs_of([state.partition for state in asking])
        try:
            ends = self._parts.admin.end_offsets(inputs, committed_only=False)
        except LogUnavailable as error:
            self._observer.error("timer target", error)
            return
        for state in asking:
            state.target = LogTarget(
                now_ms, {topic: ends[TopicPartition(topic, state.partition)] for topic in self._parts.inputs}
            )

    def _take_ends(self, batch: Batch) -> None:
        """End-of-partition events move the position map past markers, once all records before them are done (P3)."""
        for tp, end in self._ends.items():
            state = self._owned.states.get(tp.partition)
            if state is None or not state.active:
                continue
            part = batch.touched.get(tp.partition)
            positions = state.positions if part is None else part.positions
            positions[tp.topic] = max(positions[tp.topic], end)
        self._ends.clear()

    def _touch_idle(self, batch: Batch) -> None:
        """Let a partition that only moved past markers commit its position, at most once per second (P15)."""
        now_s = self._clock.monotonic_s()
        for state in self._owned.states.values():
            if not state.active or state.partition in batch.touched or state.positions == state.committed_positions:
                continue
            if now_s - state.idle_committed_s >= self._settings.idle_commit_ms / 1000:
                state.idle_committed_s = now_s
                batch.of(state)

    # Committing

    def _commit(self, batch: Batch) -> None:
        group = self._owned.assignment.group
        if group is None:
            return
        if not changes(batch):
            for part in batch.touched.values():
                follow(part)
            return
        producer = self._pair.next()
        if producer is None:
            self._owned.reload(batch.touched)
            return
        started_s = self._clock.monotonic_s()
        outcome = self._committer.run(batch, producer, group)
        if outcome.error is not None:
            self._observer.error(f"transaction {outcome.state.value}", outcome.error)
        for action in outcome.actions:
            self._act(action, batch, outcome, producer=producer, started_s=started_s)
        if (reason := self._pair.settle(producer)) is not None:
            self._observer.error("producer retired", LogUnavailable(reason))

    def _act(
        self, action: Action, batch: Batch, outcome: Outcome, *, producer: TransactionalProducer, started_s: float
    ) -> None:
        """Carry out what the commit machine asked for."""
        match action:
            case Action.WRITE_STORES:
                self._write_stores(batch, outcome, started_s)
            case Action.RETIRE:
                self._pair.retire(producer)
            case Action.RELOAD:
                self._owned.reload(batch.touched)
            case Action.RESYNC:
                self._owned.stop(batch.touched, in_doubt=outcome.state is State.IN_DOUBT)
            case Action.AWAIT_ASSIGNMENT:
                self._owned.await_assignment(batch.touched)
            case Action.ABORT:
                raise InvariantViolation("an abort is carried out by the committer")

    def _write_stores(self, batch: Batch, outcome: Outcome, started_s: float) -> None:
        for part, error in store_rows(batch, outcome.offsets, now_ms=self._clock.now_ms()):
            self._owned.stores_failed([part.state.partition], error)
        self._observer.at("after_store")
        now_s = self._clock.monotonic_s()
        self._observer.batch_committed(
            BatchCounts(
                records=batch.records,
                timers=batch.timers,
                outputs=len(batch.outputs),
                rows=sum(len(part.rows) for part in batch.touched.values()),
                poison=batch.poison,
                process_s=0.0,
                commit_s=now_s - started_s,
            )
        )

    def _drop(self, batch: Batch, error: StoreUnavailable | StoreCorrupt) -> None:
        """A store failed under a batch that was not begun: drop the batch, stop what it was reading (P8)."""
        self._owned.stores_failed(batch.touched or self._owned.active, error)
