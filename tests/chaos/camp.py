"""What a siege is laid to: a cluster of three behind proxies; an application on it, its engines and workers."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from tests.chaos import outside
from tests.chaos.damage import Disk, NoLongerFiles, SmallDisk, mount_small_disk, unmount
from tests.chaos.engine import COMMIT_TIMEOUT
from tests.chaos.load import Load
from tests.chaos.processes import Victim
from tests.chaos.proxies import Proxies
from tests.chaos.table import Changelog

from logkeel.broker import EmbeddedCluster
from logkeel.broker.membership import NODES, plan_cluster
from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.kafka import KafkaLogClient

PARTITIONS: Final = 6
SLOTS: Final = (0, 1, 2)
COMMIT_TIMEOUT_MS: Final = 3_000
SLOWER: Final = 4.0
START_S: Final = 60.0
ANSWER_AFTER_S: Final = 8.0
"""Beyond a step's time-out: the human asks around until the holder, if it lives, must have ended."""


class Camp:
    """Everything that runs. `mounting`: each engine may have a disk of its own. Use as a context."""

    def __init__(self, directory: Path, seed: int, *, mounting: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.ledger = directory / outside.LEDGER_FILE
        self.ledger.touch()
        self._stack = ExitStack()
        plan = plan_cluster(directory / "kafka", NODES)
        self.proxies = self._stack.enter_context(Proxies([plan.listener(node) for node in plan.ids]))
        addresses = dict(zip(plan.ids, self.proxies.addresses, strict=True))
        self.cluster = EmbeddedCluster(directory / "kafka", advertised=addresses)
        self._stack.enter_context(self.cluster)
        self.settings = Settings(
            bootstrap_servers=self.cluster.bootstrap_servers,
            prefix=f"siege-{seed}",
            partitions=PARTITIONS,
            replication_factor=len(plan.ids),
        )
        _await_coordinator(self.settings.bootstrap_servers)
        self.client: KafkaLogClient = connect(self.settings)
        apply_application(self.client.admin(), self.settings, ["default"])
        names = self.settings.names
        bootstrap = self.settings.bootstrap_servers
        load = Load(bootstrap, names, self.ledger, PARTITIONS, answer_after_s=ANSWER_AFTER_S)
        self.load = self._stack.enter_context(closing(load))
        self.changelog = self._stack.enter_context(closing(Changelog(bootstrap, names, PARTITIONS)))
        self.disks: dict[str, Disk] = {}
        self.engines = [self._engine(slot, mounting=mounting) for slot in SLOTS]
        self.workers = [self._worker(slot) for slot in SLOTS]

    @property
    def victims(self) -> Sequence[Victim]:
        """Engines and workers."""
        return (*self.engines, *self.workers)

    def state_dir(self, engine: Victim) -> Path:
        """Each engine has a directory of its own, which may be a disk of its own."""
        return Path(engine.arguments[4])

    def tables(self, engine: Victim) -> Path:
        """The folder of its stores."""
        return self.state_dir(engine) / "engines" / f"slot-{int(engine.arguments[5]):04d}" / "tables"

    def _engine(self, slot: int, *, mounting: bool) -> Victim:
        name = f"engine-{slot}"
        place, state = self.directory / f"place-{slot}", self.directory / f"state-{slot}"
        place.write_bytes(b"\0")
        mounted = mounting and slot > 0 and mount_small_disk(state)
        if mounted:
            self._stack.callback(unmount, state)
        self.disks[name] = SmallDisk(state) if mounted else NoLongerFiles()
        settings = self.settings
        arguments = [settings.bootstrap_servers, settings.prefix, str(state), str(slot), str(place)]
        return Victim(
            name,
            ["-m", "tests.chaos.engine", *arguments],
            self.directory / f"{name}.log",
            {COMMIT_TIMEOUT: str(COMMIT_TIMEOUT_MS)},
        )

    def _worker(self, slot: int) -> Victim:
        name = f"worker-{slot}"
        environment = {
            outside.LEDGER: str(self.ledger),
            "CHAOS_SLOWER": str(SLOWER),
            "LOGKEEL_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "LOGKEEL_PREFIX": self.settings.prefix,
            "LOGKEEL_STATE_DIR": str(self.directory / "workers"),
            "LOGKEEL_CONCURRENCY": "64",
            "LOGKEEL_LOG_LEVEL": "warning",
        }
        command = ["-m", "logkeel.cli.main", "worker", "tests.chaos.workflow:chaos", "--slot", str(slot)]
        return Victim(name, command, self.directory / f"{name}.log", environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for victim in self.victims:
            if victim.alive:
                victim.kill()
        self._stack.close()


def _await_coordinator(bootstrap_servers: str) -> None:
    """The first group of a fresh cluster waits for the topic of offsets to be made."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "first", "log_level": 0})
    deadline = time.monotonic() + START_S
    try:
        while True:
            try:
                consumer.committed([TopicPartition("none", 0)], 5.0)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return
    finally:
        consumer.close()
