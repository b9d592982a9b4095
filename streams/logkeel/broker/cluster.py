"""A cluster of real brokers that lives as long as its owner: every node a controller and a broker (KRaft).

Each record is kept three times and acknowledged by two, so that one node may be away. Nodes are ended and started one
by one through `nodes`; data survive stop, kill and restart of any of them. No node outlives the owner's process.
"""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from logkeel.broker.block import RunsInBlock
from logkeel.broker.embedded import EmbeddedBroker
from logkeel.broker.launch import LaunchRequest
from logkeel.broker.membership import HEAP_MB, NODES, ClusterPlan, plan_cluster


class EmbeddedCluster(RunsInBlock):
    """Real Apache Kafka, several nodes, owned by this process. Not thread-safe; different nodes may be used by threads.

    `data_dir` None: a temporary one, removed on leaving the context. `advertised`: by node id, where clients are told
    to connect, e.g. to a proxy before each node; `listeners` has the proxies' targets, also before the start.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        nodes: int = NODES,
        advertised: Mapping[int, str] | None = None,
        heap_mb: int = HEAP_MB,
        config: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        self._temporary = data_dir is None
        place = Path(tempfile.mkdtemp(prefix="logkeel-cluster-")) if data_dir is None else data_dir.resolve()
        self.plan: ClusterPlan = plan_cluster(place, nodes)
        told = ",".join(advertised[node] for node in self.plan.ids) if advertised else None
        wanted = LaunchRequest(place, 0, told, heap_mb, dict(config or {}), tuple(java_options))
        self.nodes: Mapping[int, EmbeddedBroker] = {
            node: EmbeddedBroker.of(self.plan.request(node, wanted), remove=place if self._temporary else None)
            for node in self.plan.ids
        }

    @property
    def listeners(self) -> Mapping[int, str]:
        """`host:port` of each node itself."""
        return {node: self.plan.listener(node) for node in self.plan.ids}

    @property
    def bootstrap_servers(self) -> str:
        """Every node's address for clients, as advertised."""
        return ",".join(node.bootstrap_servers for node in self.nodes.values())

    @property
    def running(self) -> tuple[int, ...]:
        """Ids of the nodes whose processes live."""
        return tuple(node for node, broker in self.nodes.items() if broker.is_running)

    def start(self) -> Self:
        """Start the nodes that do not run, at once, and wait until each takes work.

        Raises: ArtifactsUnavailable, PortTaken, DiskFull, BrokerLocked, BrokerDied. A node that came up stays up.
        """
        atexit.register(self.close)
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            starts = [pool.submit(broker.start) for broker in self.nodes.values()]
        for start in starts:
            start.result()
        return self

    def stop(self) -> None:
        """Stop in order, one after the other; the data stay.

        Nodes that would have no majority left to hand their partitions to are killed: they would wait for it.
        """
        majority = len(self.nodes) // 2 + 1
        for node in self.running:
            if len(self.running) >= majority:
                self.nodes[node].stop()
            else:
                self.nodes[node].kill()

    def close(self) -> None:
        """Stop, and remove the data directory if it is a temporary one. May be called twice."""
        if self._temporary:
            for broker in self.nodes.values():
                broker.kill()
        else:
            self.stop()
        for broker in self.nodes.values():
            broker.close()
        atexit.unregister(self.close)
        if self._temporary:
            shutil.rmtree(self.plan.data_dir, ignore_errors=True)
