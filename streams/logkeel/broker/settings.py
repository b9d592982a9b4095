"""The configuration of the one-node broker as text; pure.

Defaults fit development and tests on one machine: one replica of everything, few partitions of internal topics, no
waiting for more group members. What a guarantee rests on keeps Kafka's own default (e.g. the interval at which timed
out transactions are aborted), so that a test on this broker shows what a production broker does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
NODE_ID: Final = 1

_DEFAULTS: Final[Mapping[str, str]] = {
    "auto.create.topics.enable": "false",
    "delete.topic.enable": "true",
    "num.partitions": "4",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "500",
    # Sized for a heap of 512 MB on two cores.
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "background.threads": "2",
    "group.coordinator.threads": "1",
}


_SHORT_SESSION: Final[Mapping[str, str]] = {"broker.session.timeout.ms": "3000"}
"""Where another node is to take over; and after kill -9 a node of a cluster may register again only when its former
session has ended. One that is alone is fenced before it starts (see `fencing`), and has Kafka's own time-out: being
fenced amid its work would lose markers."""

_FENCING: Final[Mapping[str, str]] = {
    "process.roles": "controller",
    "broker.heartbeat.interval.ms": "50",
    "broker.session.timeout.ms": "100",
    # Its idle records tell that what came before is on the disk.
    "metadata.max.idle.interval.ms": "50",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """The three listeners, all on 127.0.0.1: clients, the node with itself, the controller.

    The node's own traffic has a listener of its own, so that a proxy before the clients' listener is never between
    the transaction coordinator and the partitions.
    """

    client: int
    internal: int
    controller: int


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a cluster. `controllers` are the controllers' ports by node id, this node's own among them."""

    node_id: int
    cluster_id: str
    controllers: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """What a broker is started with; `advertised` is `host:port` as clients are told to connect.

    `member` None: a cluster of one.
    """

    data_dir: Path
    ports: Ports
    advertised: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    member: Member | None = None

    @property
    def log_dir(self) -> Path:
        """Directory of Kafka's partitions."""
        return self.data_dir / "kafka"

    def properties(self) -> dict[str, str]:
        """All properties; the overrides win."""
        ports = self.ports
        controllers = self.member.controllers if self.member else {NODE_ID: ports.controller}
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.member.node_id if self.member else NODE_ID),
            "controller.quorum.voters": ",".join(f"{node}@{HOST}:{port}" for node, port in controllers.items()),
            "listeners": f"CLIENT://{HOST}:{ports.client},INTERNAL://{HOST}:{ports.internal},"
            f"CONTROLLER://{HOST}:{ports.controller}",
            "advertised.listeners": f"CLIENT://{self.advertised},INTERNAL://{HOST}:{ports.internal}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INTERNAL",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.log_dir),
            **_DEFAULTS,
            **(_SHORT_SESSION if self.member else {}),
            **replication(len(controllers)),
            **self.overrides,
        }

    def text(self) -> str:
        """The properties as a Java properties file."""
        return _as_file(self.properties())

    def controller_text(self) -> str:
        """The same for the node's controller alone, which fences the broker that does not come."""
        properties = self.properties()
        for name in ("advertised.listeners", "inter.broker.listener.name"):
            properties.pop(name, None)
        alone = {"listeners": f"CONTROLLER://{HOST}:{self.ports.controller}"}
        return _as_file({**properties, **alone, **_FENCING})


def replication(nodes: int) -> dict[str, str]:
    """How often Kafka's own topics and those made without a wish are kept: three times, of which one may be away."""
    replicas = min(nodes, 3)
    insync = max(1, replicas - 1)
    return {
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(insync),
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(insync),
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(insync),
    }


def container_environment(advertised: str) -> dict[str, str]:
    """The same defaults for the image `apache/kafka-native`, as `KAFKA_*` variables; clients' port is 9092 inside."""
    inside = {
        "node.id": str(NODE_ID),
        "process.roles": "broker,controller",
        "controller.quorum.voters": f"{NODE_ID}@localhost:9094",
        "listeners": "CLIENT://:9092,INTERNAL://:9093,CONTROLLER://:9094",
        "advertised.listeners": f"CLIENT://{advertised},INTERNAL://localhost:9093",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
        **_DEFAULTS,
        **_SHORT_SESSION,
        **replication(1),
    }
    return {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in inside.items()}


def _as_file(properties: Mapping[str, str]) -> str:
    return "".join(f"{name}={_escape(value)}\n" for name, value in properties.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
