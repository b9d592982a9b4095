"""Changelogs that were replaced or cut, states that were lost: stopped by name, repaired on the real broker."""

from pathlib import Path

import pytest
from tests.integration.recovery.site import Site
from tests.ledger.ledger import Ledger
from tests.ledger.verify import fold_changelog, read_books, read_partition, rows_of

from logkeel.errors import (
    ChangelogReplaced,
    ChangelogTruncated,
    EnginesRunning,
    PositionOutOfRange,
    StateLost,
    StoreStale,
)
from logkeel.tables import RocksStoreDirectory

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def stopped_by(site: Site, slot: int = 0) -> Exception:
    """What stops an engine that starts now."""
    with site.engine(slot) as engine:
        return engine.until_ended()


def test_a_changelog_that_was_made_again_is_rebuilt_from_the_store(site: Site) -> None:
    site.deposit(200)
    site.work()
    site.replace_changelog()
    error = stopped_by(site)
    assert isinstance(error, ChangelogReplaced)
    assert "logkeel state rebuild-changelog" in error.message
    with site.repair() as repair:
        done = repair.rebuild_changelog(0)
        assert done is not None
        assert done.rows > 200
        assert repair.rebuild_changelog(0) is None
    store = RocksStoreDirectory(site.tables()).open(Ledger.table, 0)
    assert rows_of(store) == fold_changelog(read_partition(site.client, site.changelog()))
    store.close()
    site.deposit(20)
    site.work()
    site.deposit(20)
    site.work(slot=1)


def test_a_changelog_that_lost_its_beginning_is_rebuilt_and_whole_for_everybody(site: Site) -> None:
    site.deposit(50)
    site.work()
    site.truncate_changelog(20)
    assert isinstance(stopped_by(site), ChangelogTruncated)
    with site.repair() as repair:
        repair.rebuild_changelog(0)
    site.deposit(5)
    site.work()
    site.deposit(5)
    site.work(slot=1)


def test_an_older_store_is_refused_and_the_newest_one_taken(site: Site) -> None:
    site.deposit(20)
    site.work()
    site.deposit(20)
    site.work(slot=1)
    site.replace_changelog()
    with site.repair() as repair, pytest.raises(StoreStale):
        repair.rebuild_changelog(0)
    with site.repair(slot=1) as repair:
        repair.rebuild_changelog(0)
    site.deposit(5)
    site.work()


def test_a_lost_state_is_accepted_and_nothing_is_done_twice(site: Site) -> None:
    site.deposit(20)
    site.work()
    site.replace_changelog()
    RocksStoreDirectory(site.tables()).destroy(Ledger.table, 0)
    assert isinstance(stopped_by(site), StateLost)
    with site.repair() as repair:
        assert repair.accept_loss(0) is not None
        assert repair.accept_loss(0) is None
    site.deposit(5)
    with site.engine() as engine:
        site.until(lambda: len(read_books(site.client, site.topics, 1).receipts[0]) == 25, lambda: "no receipts")
        assert engine.ended_by is None
    receipts = read_books(site.client, site.topics, 1).receipts[0]
    assert [receipt.id for receipt in receipts] == [f"p{number}" for number in range(1, 26)]


def test_an_input_that_was_made_again_is_named_and_read_from_its_start(site: Site) -> None:
    site.deposit(20)
    site.work()
    site.admin.delete_topics([site.topics.deposits])
    site.until(lambda: not site.admin.describe_topics([site.topics.deposits]), lambda: "it does not go away")
    site.admin.create_topics(site.topics.plans(1))
    assert isinstance(stopped_by(site), PositionOutOfRange)
    with site.repair() as repair:
        assert repair.accept_loss(0) is not None
    site.deposit(5)
    with site.engine():
        site.until(lambda: len(read_books(site.client, site.topics, 1).receipts[0]) == 25, lambda: "no receipts")


def test_a_repair_beside_an_engine_changes_nothing(kafka_bootstrap: str, tmp_path: Path) -> None:
    site = Site(kafka_bootstrap, tmp_path, partitions=2)
    for partition in range(2):
        site.deposit(20, partition=partition)
    site.work()
    with site.engine(slot=1) as engine:
        site.until(lambda: engine.loop.active_partitions == (0, 1), lambda: "it does not run")
        with pytest.raises(EnginesRunning, match=f"{site.prefix}-0001"), site.repair():
            pass
        site.deposit(5, partition=0)
        site.deposit(5, partition=1)
        site.judge(engine)
