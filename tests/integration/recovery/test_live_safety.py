"""What goes wrong around an engine: it says so by name, loses nothing, and goes on when it is put right."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from tests.integration.recovery.site import Site
from tests.ledger.ledger import Ledger

from logkeel.broker import EmbeddedBroker
from logkeel.errors import AuthorizationFailed, StoreCorrupt, TransactionsUnavailable
from logkeel.kafka import SystemClock

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

DAY_S = 24 * 3600


class LaterClock(SystemClock):
    """The wall clock some days on: the engine was away for so long."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return super().now_ms() + 2 * DAY_S * 1000


def test_a_full_disk_ends_the_engine_by_name_and_nothing_is_lost(site: Site) -> None:
    """No file of the process may grow beyond 4 KiB, which is what a full disk does to a store."""
    site.deposit(200)
    arguments = [sys.executable, "-m", "tests.ledger.process", site.bootstrap, site.prefix, "0", str(site.directory)]
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 4; exec "$@" | cat', "bash", *arguments, "8000"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = limited.stdout + limited.stderr
    assert "StoreUnavailable" in said
    assert "free disk space" in said
    site.work()


def test_a_store_that_was_away_longer_than_tombstones_live_is_made_anew(site: Site) -> None:
    site.deposit(50)
    site.work()
    site.deposit(50)
    site.work(slot=1)
    site.deposit(10)
    with site.engine(clock=LaterClock()) as engine:
        site.judge(engine)
    replaced = [error for where, error in engine.watched.errors if where == "replace store"]
    assert len(replaced) == 1
    assert "too long ago" in str(replaced[0])


@pytest.mark.parametrize("damage", ["MANIFEST-*", "CURRENT"])
def test_a_damaged_store_is_made_anew_from_its_changelog(site: Site, damage: str) -> None:
    site.deposit(100)
    site.work()
    (victim,) = (site.tables() / Ledger.table / "00000").glob(damage)
    victim.write_bytes(b"\xff" * victim.stat().st_size)
    site.deposit(10)
    with site.engine() as engine:
        site.judge(engine)
    assert any(isinstance(error, StoreCorrupt) for _, error in engine.watched.errors)


def test_a_broker_that_takes_no_transactions_is_named_and_waited_for(
    embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path
) -> None:
    folder = tmp_path / "kafka"
    broker = embedded_broker(folder, config={"transaction.state.log.replication.factor": "3"})
    site = Site(broker.bootstrap_servers, tmp_path, init_timeout_ms=1_500)
    site.deposit(5)
    with site.engine() as engine:
        site.until(
            lambda: any(isinstance(error, TransactionsUnavailable) for _, error in engine.watched.errors),
            lambda: f"it met {engine.watched.errors}",
        )
        assert engine.ended_by is None
        (said, *_) = [error for _, error in engine.watched.errors if isinstance(error, TransactionsUnavailable)]
        assert "logkeel doctor" in str(said)
        port = int(broker.bootstrap_servers.rpartition(":")[2])
        broker.stop()
        embedded_broker(folder, port=port)
        site.judge(engine)


DENIED = [
    (ResourceType.TRANSACTIONAL_ID, "{prefix}", ResourcePatternType.PREFIXED, AclOperation.WRITE),
    (ResourceType.TOPIC, "{prefix}.deposits", ResourcePatternType.LITERAL, AclOperation.READ),
    (ResourceType.TOPIC, "{prefix}.receipts", ResourcePatternType.LITERAL, AclOperation.WRITE),
    (ResourceType.TOPIC, "{prefix}.accounts", ResourcePatternType.LITERAL, AclOperation.WRITE),
    (ResourceType.GROUP, "{prefix}", ResourcePatternType.LITERAL, AclOperation.READ),
]


def test_a_missing_right_ends_the_engine_by_name_and_nothing_is_lost(
    embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path
) -> None:
    broker = embedded_broker(
        config={
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
        }
    )
    site = Site(broker.bootstrap_servers, tmp_path)
    rights = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for kind, name, pattern, operation in DENIED:
        what = (kind, name.format(prefix=site.prefix), pattern, "User:ANONYMOUS", "*", operation)
        for future in rights.create_acls([AclBinding(*what, AclPermissionType.DENY)]).values():
            future.result(30)
        time.sleep(0.5)  # the authorizer follows its log; there is nothing to ask
        site.deposit(5)
        with site.engine() as engine:
            error = engine.until_ended()
        assert isinstance(error, AuthorizationFailed), (kind, name, error)
        assert "grant the right" in error.message
        for future in rights.delete_acls([AclBindingFilter(*what, AclPermissionType.DENY)]).values():
            future.result(30)
        time.sleep(0.5)
    site.work()
