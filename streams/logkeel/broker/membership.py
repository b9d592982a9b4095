"""The plan of a cluster: which nodes it has, and the ports on which they find each other. One small JSON file.

Invariant: once written, a cluster's plan stays: every node is started with the controllers' ports of all of them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from logkeel.broker import ports as tcp
from logkeel.broker.launch import LaunchRequest
from logkeel.broker.runtime import kafka_id
from logkeel.broker.settings import HOST, Member, Ports
from logkeel.errors import ConfigInvalid

NODES: Final = 3
HEAP_MB: Final = 384
"""Of each node of a cluster; the nodes share the machine."""

_FILE: Final = "cluster.json"


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """The nodes of a cluster in `data_dir`, each with a data directory of its own below it."""

    data_dir: Path
    cluster_id: str
    ports: Mapping[int, Ports]

    @property
    def ids(self) -> tuple[int, ...]:
        """1, 2, 3 …"""
        return tuple(self.ports)

    def directory(self, node_id: int) -> Path:
        """The data directory of a node. Raises `ConfigInvalid` for a node that does not exist."""
        if node_id not in self.ports:
            known = ", ".join(map(str, self.ports))
            raise ConfigInvalid(f"the cluster in {self.data_dir} has no node {node_id}: choose one of {known}")
        return self.data_dir / f"node-{node_id}"

    def listener(self, node_id: int) -> str:
        """`host:port` on which a node takes clients: the target of a proxy before it."""
        return f"{HOST}:{self.ports[node_id].client}"

    def request(self, node_id: int, wanted: LaunchRequest) -> LaunchRequest:
        """How to start a node: as wanted, but in its place. `wanted.advertised` holds one address per node."""
        advertised = addresses(wanted.advertised, self.ids)
        return LaunchRequest(
            self.directory(node_id),
            advertised=advertised.get(node_id),
            heap_mb=wanted.heap_mb,
            config=wanted.config,
            java_options=wanted.java_options,
            member=Member(node_id, self.cluster_id, {each: ports.controller for each, ports in self.ports.items()}),
            ports=self.ports[node_id],
        )


def addresses(text: str | None, node_ids: Sequence[int]) -> dict[int, str]:
    """`host:port,host:port,…` by node id. Raises `ConfigInvalid` unless there is one for each node, or none."""
    if not text:
        return {}
    found = text.split(",")
    if len(found) != len(node_ids):
        raise ConfigInvalid(f"{len(found)} advertised addresses for {len(node_ids)} nodes: give one for each of them")
    return dict(zip(node_ids, found, strict=True))


def plan_cluster(data_dir: Path, nodes: int, *, port: int = 0) -> ClusterPlan:
    """The plan of the directory, made if there is none. `port`: of the first node's clients; the next ones follow.

    Raises: ConfigInvalid when the directory holds a single broker, or a cluster of another size.
    """
    if (data_dir / "kafka").exists():
        raise ConfigInvalid(f"{data_dir} holds a single broker: choose another --data-dir for a cluster")
    plan = read_plan(data_dir)
    if plan is None:
        plan = ClusterPlan(data_dir, kafka_id(), _choose_ports(nodes, port))
        _write(plan)
    if len(plan.ports) != nodes:
        raise ConfigInvalid(f"the cluster in {data_dir} has {len(plan.ports)} nodes, not {nodes}: start it as it is")
    return plan


def read_plan(data_dir: Path) -> ClusterPlan | None:
    """The plan of the cluster in a directory; None if it holds none."""
    try:
        content = json.loads((data_dir / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    ports = {int(node_id): Ports(**each) for node_id, each in content["ports"].items()}
    return ClusterPlan(data_dir, content["cluster_id"], ports)


def _write(plan: ClusterPlan) -> None:
    plan.data_dir.mkdir(parents=True, exist_ok=True)
    content = {"cluster_id": plan.cluster_id, "ports": {node: asdict(each) for node, each in plan.ports.items()}}
    partial = plan.data_dir / f"{_FILE}.partial"
    partial.write_text(json.dumps(content) + "\n", encoding="utf-8")
    partial.replace(plan.data_dir / _FILE)


def _choose_ports(nodes: int, port: int) -> dict[int, Ports]:
    clients = {node: port + node - 1 for node in range(1, nodes + 1)} if port else {}
    taken = set(clients.values())
    chosen = {}
    for node in range(1, nodes + 1):
        three = []
        for wanted in (clients.get(node, 0), 0, 0):
            three.append(wanted or tcp.pick(excluding=frozenset(taken)))
            taken.add(three[-1])
        chosen[node] = Ports(*three)
    return chosen
