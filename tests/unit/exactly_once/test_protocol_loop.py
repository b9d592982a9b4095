"""Rules that show only when a whole loop runs: the ledger on the simulated cluster, struck at one named place.

Each test is the one that `tests/protocol.toml` names for its rule, so it fails under that rule's mutation.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.ledger.ledger import Ledger, LedgerTopics, Posting
from tests.ledger.verify import faults, fold_changelog, read_books, read_partition, rows_of

from logkeel.errors import ProducerFenced, StateLost, StoreUnavailable
from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop, Unobserved
from logkeel.exactly_once.observer import Place
from logkeel.log import GroupMetadata, OutputRecord, TopicPartition
from logkeel.simulation import MemoryStoreDirectory, ProcessDied, SimulatedClient, SimulatedCluster
from logkeel.simulation.partition_log import PartitionLog, Transaction

TOPICS = LedgerTopics("sim")
DEPOSITS = TopicPartition(TOPICS.deposits, 0)
TRANSFERS = TopicPartition(TOPICS.transfers, 0)
CHANGELOG = TopicPartition(TOPICS.changelog, 0)


class Traced:
    """An object of the ports whose calls are noted as `name.method`."""

    def __init__(self, inner: Any, name: str, trace: list[str]) -> None:
        self._inner, self._name, self._trace = inner, name, trace

    def __getattr__(self, method: str) -> Any:
        value = getattr(self._inner, method)

        def call(*arguments: Any, **named: Any) -> Any:
            self._trace.append(f"{self._name}.{method}")
            return value(*arguments, **named)

        return call


class TracedClient:
    """A `LogClient` whose group consumer and transactional producers are traced."""

    def __init__(self, inner: Any, trace: list[str]) -> None:
        self._inner, self._trace = inner, trace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def group_consumer(self, group_id: str, **options: Any) -> Any:
        return Traced(self._inner.group_consumer(group_id, **options), "consumer", self._trace)

    def transactional_producer(self, transactional_id: str, **options: Any) -> Any:
        producer = self._inner.transactional_producer(transactional_id, **options)
        return Traced(producer, transactional_id, self._trace)


class Watcher(Unobserved):
    """Strikes once at a place, and notes group events among the calls."""

    def __init__(self, trace: list[str]) -> None:
        self._trace = trace
        self.strikes: list[tuple[Place, Callable[[], object]]] = []
        self.resyncs: list[list[int]] = []

    def rebalance(self, event: str, partitions: Any) -> None:
        self._trace.append(event)

    def resync_started(self, partitions: Any) -> None:
        self.resyncs.append(list(partitions))

    def at(self, place: Place) -> None:
        if self.strikes and self.strikes[0][0] == place:
            self.strikes.pop(0)[1]()


class World:
    """A cluster with a ledger's topics, and processes with a trace each."""

    def __init__(self, partitions: int = 1) -> None:
        self.cluster = SimulatedCluster()
        self.client = self.cluster.client()
        self.partitions = partitions
        self.client.admin().create_topics(TOPICS.plans(partitions))
        self.posted = 0

    def deposit(self, count: int = 1, *, partition: int = 0) -> None:
        """Post."""
        producer = self.client.producer()
        for _ in range(count):
            self.posted += 1
            posting = Posting(id=f"p{self.posted}", target=f"{partition}-a", amount=1)
            producer.produce(OutputRecord(TOPICS.deposits, b"a", msgspec.json.encode(posting), partition))

    def abort_a_deposit(self) -> None:
        """Leave what no reader sees: a record of an aborted transaction, and its marker."""
        producer = self.client.transactional_producer("source")
        producer.init_transactions(1)
        producer.begin()
        producer.produce(OutputRecord(TOPICS.deposits, b"a", b"never", 0))
        producer.abort(1)

    def offset_lag(self) -> int:
        """How far the group's committed offset of the deposits is behind their end."""
        offset, _ = self.client.admin().group_offsets("sim", [DEPOSITS])[DEPOSITS]
        return self.cluster.log(DEPOSITS).end - offset

    def books(self) -> list[str]:
        """What is wrong with the ledger."""
        return faults(read_books(self.client, TOPICS, self.partitions))


class Process:
    """One process with one loop, which is stepped."""

    def __init__(self, world: World, slot: int = 0, **changes: Any) -> None:
        self.world = world
        self.trace: list[str] = []
        self.watcher = Watcher(self.trace)
        self.stores = MemoryStoreDirectory()
        self.machine = world.cluster.client()
        client: Any = TracedClient(self.machine, self.trace)
        settings = LoopSettings(application="sim", group_id="sim", slot=slot, background_threads=False, **changes)
        ports = LoopPorts(client, world.cluster.clock, self.stores)
        self.loop = TransactionalLoop(ports, Ledger(TOPICS), settings, observer=self.watcher)
        self.loop.start()

    def strike(self, place: Place, action: Callable[[], object]) -> None:
        """Do `action` when the loop passes `place`, after the strikes that are planned already."""
        self.watcher.strikes.append((place, action))

    def turns(self, count: int = 20) -> None:
        """Step; time passes while there is nothing to do."""
        for _ in range(count):
            if not self.loop.turn():
                self.world.cluster.advance(100)

    def active(self) -> tuple[int, ...]:
        """Partitions that are processing."""
        return self.loop.active_partitions

    @property
    def commits(self) -> int:
        """How many transactions were committed."""
        return len([call for call in self.trace if call.endswith(".commit")])

    def after(self, call: str) -> list[str]:
        """What was called after the first `call`."""
        return self.trace[self.trace.index(call) + 1 :]

    def assert_store_is_the_changelog(self) -> None:
        """P20, once nothing is under way."""
        store = self.stores.opened(Ledger.table, 0)
        assert store is not None
        assert rows_of(store) == fold_changelog(read_partition(self.world.client, CHANGELOG))


def test_a_partition_without_rows_goes_on_from_the_loops_own_position_map() -> None:
    """P3: the first batch fails, so neither the table nor the consumer knows a position."""
    world = World()
    world.deposit(3)
    world.cluster.faults.plan("commit_abortable")
    process = Process(world)
    process.turns()
    assert world.cluster.faults.left == 0
    assert world.books() == []
    offsets = world.client.admin().group_offsets("sim", [DEPOSITS, TRANSFERS])
    assert {tp: offset for tp, (offset, _) in offsets.items()} == {DEPOSITS: 3, TRANSFERS: 0}


def test_a_disturbed_producer_is_replaced_before_the_next_transaction() -> None:
    """P5: the client repeated an EndTxn; the late one must not end a later transaction of the same id."""
    world = World()
    world.deposit(5)
    process = Process(world, max_records=1)
    process.strike("after_flush", lambda: world.cluster.faults.plan("disturbed"))
    late: list[str] = []

    def end_late() -> None:
        with pytest.raises(ProducerFenced):
            world.cluster.transactions.end("sim-0000-a", 0, commit=True)
        late.append(process.trace[-1])

    process.strike("after_produce", lambda: None)
    process.strike("after_produce", end_late)
    process.turns()
    following = process.after("sim-0000-a.commit")
    assert following.index("sim-0000-a.init_transactions") < following.index("sim-0000-b.begin")
    assert late == ["sim-0000-a.dispatch"]
    assert world.books() == []


def test_a_store_that_fails_after_the_commit_stops_its_partition_until_it_is_resynced() -> None:
    """P8: the rows are on the log and nowhere else."""
    world = World()
    world.deposit(3)
    process = Process(world, max_records=1)

    def fail() -> None:
        store = process.stores.opened(Ledger.table, 0)
        assert store is not None
        store.fail_writes = StoreUnavailable("the disk is full")

    def note() -> None:
        active.append(process.active())

    active: list[tuple[int, ...]] = []
    process.strike("after_commit", fail)
    process.strike("after_store", note)
    process.turns()
    assert active == [()]
    assert process.watcher.resyncs == [[0], [0]]
    assert process.active() == (0,)
    process.assert_store_is_the_changelog()
    assert world.books() == []


def test_records_in_hand_are_dropped_with_the_batch_that_failed() -> None:
    """P9: after the rewind they would be processed before those that failed."""
    world = World()
    world.deposit(4)
    world.cluster.faults.plan("commit_abortable")
    process = Process(world, max_bytes=1)
    process.turns()
    assert world.cluster.faults.left == 0
    assert world.books() == []
    assert world.offset_lag() == 0


def test_a_revoke_in_doubt_replaces_both_producers_before_offsets_are_read() -> None:
    """P10: the outcome of a commit is unknown when the group moves on."""
    world = World(partitions=2)
    process = Process(world)
    process.turns()
    world.deposit()
    other = Process(world, slot=1)

    def lose() -> None:
        world.cluster.faults.plan("commit_lost_in_doubt")
        world.cluster.faults.plan("init_times_out")
        other.loop.turn()

    process.strike("after_offsets", lose)
    while "revoked" not in process.trace:
        assert len(process.trace) < 1_000
        process.turns(1)
    for _ in range(30):
        process.turns(1)
        other.turns(1)
    following = process.after("sim-0000-b.commit")
    before_reading = following[: following.index("consumer.committed")]
    assert {"sim-0000-a.init_transactions", "sim-0000-b.init_transactions"} <= set(before_reading)
    assert (process.active(), other.active()) == ((0,), (1,))
    assert world.books() == []


def test_what_comes_while_no_producer_is_there_is_read_once_one_is_back() -> None:
    """P11: both are retired again and again, and come back between two looks at them."""
    world = World()
    process = Process(world)
    process.turns()
    for _ in range(4):
        for fault in ("disturbed", "disturbed", "init_times_out", "init_times_out", "init_times_out"):
            world.cluster.faults.plan(fault)
        for _ in range(40):
            world.deposit()
            process.turns(1)
            world.cluster.advance(20)
        process.turns()
    assert world.cluster.faults.left == 0
    assert world.books() == []
    assert world.offset_lag() == 0


class DiesAfterWriting:
    """A probe that kills its process as soon as a log has a record."""

    def __init__(self, machine: SimulatedClient, log: PartitionLog) -> None:
        self._machine, self._log = machine, log

    def before(self, effect: str) -> None:
        """Not yet."""

    def after(self, effect: str) -> None:
        if self._log.end:
            self._machine.kill()
            raise ProcessDied(effect)


def pinned_by_a_dead_slot(world: World) -> PartitionLog:
    """The receipts of partition 0, behind the open transaction of slot 0, which died within it."""
    first = Process(world, transaction_timeout_ms=600_000)
    first.turns()
    world.deposit()
    receipts = world.cluster.log(TopicPartition(TOPICS.receipts, 0))
    first.machine.probe = DiesAfterWriting(first.machine, receipts)
    with pytest.raises(ProcessDied):
        first.turns()
    return receipts


def test_outputs_of_a_dead_slot_are_not_pinned_longer_than_its_successor_needs() -> None:
    """P18: it died between two records of its transaction, before all of them were on the log."""
    world = World()
    receipts = pinned_by_a_dead_slot(world)
    assert receipts.end == 1
    successor = Process(world, slot=1)
    for _ in range(300):
        successor.turns(1)
        world.cluster.advance(50)
    assert successor.active() == (0,)
    assert receipts.last_stable == receipts.end
    assert world.books() == []


def test_an_orphan_that_has_only_sent_its_offsets_is_found_by_what_it_wrote_last() -> None:
    """P18: records and offsets of a transaction travel side by side, and it died when the offsets had arrived."""
    world = World()
    world.deposit()
    first = Process(world)
    first.turns()
    group = first.loop._owned.assignment.group
    assert group is not None
    orphan = first.machine.transactional_producer("sim-0000-a", transaction_timeout_ms=600_000)
    orphan.init_transactions(1.0)
    orphan.begin()
    orphan.send_offsets({DEPOSITS: 1, TRANSFERS: 0}, group, 1.0)
    first.machine.kill()
    world.deposit()
    successor = Process(world, slot=1)
    for _ in range(300):
        successor.turns(1)
        world.cluster.advance(50)
    assert successor.active() == (0,)
    assert world.books() == []


def test_a_group_that_lost_its_offsets_is_told_them_again() -> None:
    """P2, P15: they expired while nobody was there; nothing new comes, and the lag would be the whole log."""
    world = World()
    world.deposit(3)
    first = Process(world)
    first.turns()
    first.loop.close()
    world.cluster.advance(60_000)
    assert world.cluster.groups.forget_offsets("sim")
    second = Process(world)
    second.turns(40)
    assert world.offset_lag() == 0
    assert world.books() == []


class Joined:
    """Takes note of the membership that a raw consumer is given."""

    def __init__(self) -> None:
        self.group: GroupMetadata | None = None

    def on_assigned(self, partitions: Any, group: GroupMetadata) -> None:
        self.group = group

    def on_revoked(self, partitions: Any) -> None:
        """Nothing is held."""

    def on_lost(self, partitions: Any) -> None:
        """Nothing is held."""


def test_pending_offsets_are_waited_for_and_never_taken_for_none() -> None:
    """P14: a predecessor's commit is under way, and its table is lost."""
    world = World()
    world.deposit(3)
    consumer, joined = world.client.group_consumer("sim"), Joined()
    consumer.subscribe([TOPICS.deposits], joined)
    consumer.fetch(1, 0)
    assert joined.group is not None
    producer = world.client.transactional_producer("predecessor", transaction_timeout_ms=600_000)
    producer.init_transactions(1)
    producer.begin()
    producer.send_offsets({DEPOSITS: 3}, joined.group, 1)
    consumer.close()
    process = Process(world)
    process.turns()
    assert process.loop.assigned_partitions == (0,)
    assert process.active() == ()
    producer.commit(1)
    with pytest.raises(StateLost):
        process.turns()


def test_an_idle_partition_commits_its_way_past_markers_and_then_is_silent() -> None:
    """P15: an autoscaler would see a lag for ever; and the commit may be neither frequent nor feed itself."""
    world = World()
    process = Process(world)
    world.deposit(2)
    process.turns()
    world.abort_a_deposit()
    process.turns()
    assert world.offset_lag() == 0
    committed = process.commits
    process.turns(60)
    assert process.commits == committed
    for _ in range(5):
        world.abort_a_deposit()
        process.loop.turn()
    assert process.commits == committed + 1
    assert world.books() == []


def test_a_successor_reads_up_to_what_is_not_stable_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """P16: offsets are committed already, the marker in the changelog is still being written."""
    world = World()
    first = Process(world)
    world.deposit(2)
    first.turns()
    log, held = world.cluster.log(CHANGELOG), list[Transaction]()
    write_marker = log.mark
    monkeypatch.setattr(log, "mark", held.append)
    world.deposit(2)
    first.turns(1)
    assert len(held) == 1
    first.machine.kill()
    world.cluster.advance(11_000)
    successor = Process(world, slot=1)
    successor.turns(30)
    assert successor.loop.assigned_partitions == (0,)
    assert successor.active() == ()
    monkeypatch.undo()
    write_marker(held[0])
    successor.turns()
    assert successor.active() == (0,)
    successor.assert_store_is_the_changelog()
    assert world.books() == []


def test_a_busy_neighbour_does_not_keep_the_outputs_of_a_dead_slot_pinned() -> None:
    """P18: what a partition writes that runs again is no news of the one beside it that waits."""
    world = World(partitions=2)
    receipts = pinned_by_a_dead_slot(world)
    successor = Process(world, slot=1)
    for _ in range(400):
        world.deposit(partition=1)
        successor.turns(1)
        world.cluster.advance(50)
    assert successor.active() == (0, 1)
    assert receipts.last_stable == receipts.end
