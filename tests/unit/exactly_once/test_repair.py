"""Repairs on the simulated cluster: what they make whole, what they refuse, and what disturbs them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.ledger.ledger import Ledger, LedgerTopics, Posting
from tests.ledger.verify import faults, fold_changelog, read_books, read_partition, rows_of

from logkeel.errors import (
    ChangelogReplaced,
    ChangelogTruncated,
    EnginesRunning,
    LogkeelError,
    PositionOutOfRange,
    StateLost,
    StoreStale,
)
from logkeel.exactly_once import LoopPorts, LoopSettings, Repair, TransactionalLoop
from logkeel.exactly_once.rows import MARKS_KEY, VOUCH_KEY, LocalMarks
from logkeel.log import OutputRecord, TopicPartition
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster

Act = Callable[[Repair], Any]
TOPICS = LedgerTopics("sim")
CHANGELOG = TopicPartition(TOPICS.changelog, 0)
DEPOSITS = TopicPartition(TOPICS.deposits, 0)


class Site:
    """A ledger of one partition, an engine's stores, and what may befall them."""

    def __init__(self) -> None:
        self.cluster = SimulatedCluster()
        self.client = self.cluster.client()
        self.admin = self.client.admin()
        self.admin.create_topics(TOPICS.plans(1))
        self.stores = MemoryStoreDirectory()
        self.posted = 0

    def deposit(self, count: int, settle_after_ms: int | None = None) -> None:
        """Post."""
        producer = self.client.producer()
        for _ in range(count):
            self.posted += 1
            target = f"a{self.posted % 3}"
            posting = Posting(id=f"p{self.posted}", target=target, amount=1, settle_after_ms=settle_after_ms)
            producer.produce(OutputRecord(TOPICS.deposits, b"a", msgspec.json.encode(posting), 0))

    def engine(self, stores: MemoryStoreDirectory | None = None, *, slot: int = 0) -> TransactionalLoop:
        """A loop that has joined."""
        ports = LoopPorts(self.client, self.cluster.clock, stores or self.stores)
        loop = TransactionalLoop(ports, Ledger(TOPICS), self.settings(slot))
        loop.start()
        return loop

    def settings(self, slot: int = 0) -> LoopSettings:
        """Of an engine and of its repair."""
        return LoopSettings(application="sim", group_id="sim", slot=slot, background_threads=False)

    def work(self, stores: MemoryStoreDirectory | None = None, *, slot: int = 0) -> None:
        """Run an engine until it has caught up, then end it and its membership."""
        loop = self.engine(stores, slot=slot)
        try:
            for _ in range(30):
                if not loop.turn():
                    self.cluster.advance(100)
        finally:
            loop.close()
            self.cluster.advance(60_000)
            self.cluster.expire()

    def repair(self, stores: MemoryStoreDirectory | None = None, *, slot: int = 0) -> Repair:
        """Beside nobody."""
        return Repair(
            LoopPorts(self.client, self.cluster.clock, stores or self.stores), Ledger(TOPICS), self.settings(slot)
        )

    def repaired(self, act: Act, stores: MemoryStoreDirectory | None = None, *, slot: int = 0) -> Any:
        """Join, act, leave, and let the membership end."""
        try:
            with self.repair(stores, slot=slot) as repair:
                repair.join()
                return act(repair)
        finally:
            self.cluster.advance(60_000)
            self.cluster.expire()

    def replace_changelog(self) -> None:
        """Delete it and make it again."""
        self.admin.delete_topics([TOPICS.changelog])
        self.admin.create_topics(TOPICS.plans(1))

    def table(self) -> dict[bytes, bytes]:
        """What the changelog says."""
        return fold_changelog(read_partition(self.client, CHANGELOG))

    def stored(self) -> dict[bytes, bytes]:
        """What the store says."""
        store = self.stores.open(Ledger.table, 0)
        try:
            return rows_of(store)
        finally:
            store.close()

    def books(self) -> list[str]:
        """What is wrong with the ledger."""
        return faults(read_books(self.client, TOPICS, 1))

    def verdict(self) -> LogkeelError | None:
        """Of a diagnosis."""
        with self.repair() as repair:
            return repair.diagnose(0).error


@pytest.fixture
def site() -> Site:
    """After five deposits."""
    site = Site()
    site.deposit(5)
    site.work()
    return site


def rebuild(repair: Repair) -> Any:
    return repair.rebuild_changelog(0)


def accept(repair: Repair) -> Any:
    return repair.accept_loss(0)


def test_nothing_is_done_to_what_fits(site: Site) -> None:
    before = site.table()
    assert site.verdict() is None
    assert site.repaired(rebuild) is None
    assert site.repaired(accept) is None
    assert site.table() == before == site.stored()


def test_a_replaced_changelog_is_rebuilt_from_the_store_and_the_work_goes_on(site: Site) -> None:
    site.replace_changelog()
    with pytest.raises(ChangelogReplaced):
        site.work()
    assert isinstance(site.verdict(), ChangelogReplaced)
    assert site.repaired(rebuild).rows > 0
    assert site.verdict() is None
    assert site.table() == site.stored()
    site.deposit(3)
    site.work()
    assert site.books() == []
    elsewhere = MemoryStoreDirectory()
    site.deposit(2)
    site.work(elsewhere, slot=1)
    assert site.books() == [], "a store made from the rebuilt changelog knows everything"


def test_a_rebuild_that_is_repeated_changes_nothing(site: Site) -> None:
    site.replace_changelog()
    site.repaired(rebuild)
    before = site.table()
    assert site.repaired(rebuild) is None
    assert site.table() == before


def test_a_rebuild_that_was_killed_between_commit_and_store_is_done_again(site: Site) -> None:
    store = site.stores.open(Ledger.table, 0)
    old = store.get(MARKS_KEY)
    store.close()
    site.replace_changelog()
    site.repaired(rebuild)
    store = site.stores.open(Ledger.table, 0)
    store.write({MARKS_KEY: old, VOUCH_KEY: None})
    store.close()
    site.repaired(rebuild)
    site.deposit(1)
    site.work()
    assert site.books() == []


def test_a_stale_store_does_not_become_the_changelog(site: Site) -> None:
    elsewhere = MemoryStoreDirectory()
    site.deposit(4)
    site.work(elsewhere, slot=1)
    site.replace_changelog()
    with pytest.raises(StoreStale, match="newer store is elsewhere"):
        site.repaired(rebuild)
    assert site.table() == {}
    site.repaired(rebuild, elsewhere, slot=1)
    site.deposit(1)
    site.work()
    assert site.books() == []
    assert [place[:2] for place in site.stores.aside] == [(Ledger.table, 0)], "kept, though nobody needs it"


def test_a_store_that_lacks_a_timer_is_stale_though_no_input_moved(site: Site) -> None:
    elsewhere = MemoryStoreDirectory()
    site.deposit(1, settle_after_ms=30_000)
    site.work()
    site.work(elsewhere, slot=1)
    site.replace_changelog()
    with pytest.raises(StoreStale, match="was reached elsewhere"):
        site.repaired(rebuild)
    assert site.table() == {}
    site.repaired(rebuild, elsewhere, slot=1)
    site.deposit(1)
    site.work()
    assert site.books() == [], "the timer does not fire again"


def truncated_and_rebuilt(site: Site) -> None:
    """The changelog loses its beginning, is rebuilt from the site's store, and the work goes on."""
    site.admin.delete_records({CHANGELOG: 3})
    with pytest.raises(ChangelogTruncated):
        site.work()
    site.repaired(rebuild)
    site.deposit(2)
    site.work()


def test_a_truncated_changelog_is_rebuilt_and_whole_for_everybody(site: Site) -> None:
    truncated_and_rebuilt(site)
    site.deposit(2)
    site.work(MemoryStoreDirectory(), slot=1)
    assert site.books() == []


def test_an_older_store_is_good_enough_if_the_changelog_still_has_what_it_lacks(site: Site) -> None:
    """The newest store was lost, and then the changelog's beginning: neither is whole, both together are."""
    site.deposit(4, settle_after_ms=1)
    site.work(MemoryStoreDirectory(), slot=1)
    truncated_and_rebuilt(site)
    assert site.books() == []
    site.work(MemoryStoreDirectory(), slot=1)
    assert site.books() == []


def test_an_older_store_that_the_changelog_does_not_reach_stays_stale(site: Site) -> None:
    site.deposit(4)
    site.work(MemoryStoreDirectory(), slot=1)
    site.admin.delete_records({CHANGELOG: site.cluster.log(CHANGELOG).end})
    with pytest.raises(StoreStale, match="lost records that this store never saw"):
        site.repaired(rebuild)


def test_keys_that_the_store_does_not_know_are_deleted(site: Site) -> None:
    site.replace_changelog()
    site.client.producer().produce(OutputRecord(TOPICS.changelog, b"\x10account/stranger", b"99", 0))
    site.repaired(rebuild)
    assert site.table() == site.stored()


def test_a_lost_state_is_accepted_and_the_group_goes_on_behind_what_it_did(site: Site) -> None:
    site.replace_changelog()
    site.stores.destroy(Ledger.table, 0)
    with pytest.raises(StateLost):
        site.work()
    done = site.repaired(accept)
    assert done.positions[TOPICS.deposits] == 5
    assert site.repaired(accept) is None
    site.deposit(2)
    site.work()
    receipts = read_books(site.client, TOPICS, 1).receipts[0]
    assert [receipt.id for receipt in receipts] == [f"p{n}" for n in range(1, 8)], "nothing was done twice or left out"


def test_an_input_that_was_made_again_is_read_from_its_start(site: Site) -> None:
    site.admin.delete_topics([TOPICS.deposits])
    site.admin.create_topics(TOPICS.plans(1))
    with pytest.raises(PositionOutOfRange):
        site.work()
    assert isinstance(site.verdict(), PositionOutOfRange)
    assert site.repaired(accept).positions[TOPICS.deposits] == 0
    site.deposit(2)
    site.work()
    receipts = read_books(site.client, TOPICS, 1).receipts[0]
    assert [receipt.id for receipt in receipts] == [f"p{n}" for n in range(1, 8)]


def test_accepting_the_loss_of_a_replaced_changelog_keeps_the_store_aside(site: Site) -> None:
    rows = site.stored()
    site.replace_changelog()
    done = site.repaired(accept)
    assert done.set_aside
    (kept,) = site.stores.aside
    assert {key: value for key, value in kept[2].items() if key in rows} == rows
    site.deposit(1)
    site.work()
    assert site.verdict() is None


def test_a_running_engine_forbids_a_repair(site: Site) -> None:
    site.replace_changelog()
    loop = site.engine(MemoryStoreDirectory(), slot=1)
    loop.turn()
    with site.repair() as repair, pytest.raises(EnginesRunning, match="sim-0001"):
        repair.join()
    assert site.table() == {}
    loop.close()


def test_an_engine_that_joins_meanwhile_makes_the_repair_abort(site: Site) -> None:
    site.replace_changelog()
    with site.repair() as repair:
        repair.join()
        loop = site.engine(MemoryStoreDirectory(), slot=1)
        loop.turn()
        with pytest.raises(EnginesRunning):
            repair.rebuild_changelog(0)
    assert site.table() == {}
    loop.close()


def test_the_store_follows_the_rebuilt_changelog(site: Site) -> None:
    site.replace_changelog()
    site.repaired(rebuild)
    store = site.stores.open(Ledger.table, 0)
    row = store.get(MARKS_KEY)
    store.close()
    assert row is not None
    marks = LocalMarks.decode(row)
    assert marks.offset <= site.admin.end_offsets([CHANGELOG], committed_only=False)[CHANGELOG]
    assert marks.topic_id == site.admin.describe_topics([TOPICS.changelog])[TOPICS.changelog].topic_id
