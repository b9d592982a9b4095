"""An application on a secured broker: users have the rights of `logkeel.cli.access`, less what a test takes away."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
from examples.research.secured import SETTLE_S, admin_of, change
from tests.integration.security.greetings import greetings

from logkeel.broker import SecuredBroker
from logkeel.cli.access import Acl, Role, acls_of
from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect, make_engine, make_worker
from logkeel.client import Client
from logkeel.errors import LogkeelError
from logkeel.exactly_once import take_slot
from logkeel.kafka import KafkaAdmin
from logkeel.records.topics import TopicNames
from logkeel.steps import publish_definitions

LIVENESS_S = 60.0


class SecuredSite:
    """One application, under a prefix of its own, whose users all exist on the broker."""

    def __init__(self, broker: SecuredBroker, directory: Path) -> None:
        self.broker, self.directory = broker, directory
        self.prefix = f"s{uuid4().hex[:8]}"
        self.names = TopicNames(self.prefix)
        self._rights = admin_of(broker)
        for role in Role:
            change(self._rights, role, acls_of(role, self.names, ["default"]))
        time.sleep(SETTLE_S)
        apply_application(connect(self.settings(Role.OPERATOR)).admin(), self.settings(Role.OPERATOR), ["default"])

    def settings(self, role: Role) -> Settings:
        """As a process of this role has them; the user is the role's, whatever the prefix."""
        return Settings(
            bootstrap_servers=self.broker.bootstrap_servers,
            prefix=self.prefix,
            partitions=2,
            state_dir=str(self.directory / role),
            kafka=dict(self.broker.client_properties(role)),
        )

    def change(self, role: Role, acls: Sequence[Acl], *, granted: bool = True) -> None:
        """Grant or take away, and wait until the broker knows."""
        change(self._rights, role, acls, granted=granted)
        time.sleep(SETTLE_S)

    def run(self) -> None:
        """A run from its start to its end, as a client may ask for it."""
        with Client(connect(self.settings(Role.CLIENT)), prefix=self.prefix) as client:
            assert client.start(greetings, name="Ada").wait(LIVENESS_S).status == "succeeded"

    def ask(self) -> None:
        """Ask for a run and wait for nothing."""
        with Client(connect(self.settings(Role.CLIENT)), prefix=self.prefix) as client:
            client.start(greetings, name="Ada")

    @contextmanager
    def running(self, role: Role) -> Iterator["Running"]:
        """An engine or a worker on a thread of its own, which keeps the error that ended it."""
        process = Running(self, role)
        process.thread.start()
        try:
            yield process
        finally:
            process.stop.set()
            process.thread.join(LIVENESS_S)


class Running:
    """A role on a thread."""

    def __init__(self, site: SecuredSite, role: Role) -> None:
        self.stop = threading.Event()
        self.error: LogkeelError | None = None
        self.thread = threading.Thread(target=self._run, args=(site, role), daemon=True)

    def until_ended(self) -> LogkeelError | None:
        """What ended it, by itself."""
        self.thread.join(LIVENESS_S)
        assert not self.thread.is_alive(), "it goes on"
        return self.error

    def _run(self, site: SecuredSite, role: Role) -> None:
        settings = site.settings(role)
        client = connect(settings)
        try:
            if role is Role.ENGINE:
                lock = take_slot(Path(settings.state_dir) / "engines")
                try:
                    make_engine(client, settings, lock).run(self.stop)
                finally:
                    lock.release()
            else:
                publish_definitions(client, site.names, [greetings])
                make_worker(client, settings, [greetings], drain_s=1.0).run(self.stop)
        except LogkeelError as error:
            self.error = error


def admin_as(broker: SecuredBroker, user: str, **changed: str) -> KafkaAdmin:
    """The admin client of a user, with options changed."""
    settings = Settings(bootstrap_servers=broker.bootstrap_servers, kafka={**broker.client_properties(user), **changed})
    return connect(msgspec.structs.replace(settings)).admin()
