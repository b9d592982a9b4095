"""Life and death of a cluster of three: any node may go and come back, data survive, no child stays."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.integration.broker.test_life import PATIENCE_S, gone, read, write

from logkeel.broker import EmbeddedCluster
from logkeel.errors import ConfigInvalid
from logkeel.testing.proxy import TcpProxy

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

OWNER = """
import sys, time
from logkeel.broker import EmbeddedCluster
cluster = EmbeddedCluster().start()
print(cluster.plan.data_dir, *(node.pid for node in cluster.nodes.values()), flush=True)
time.sleep(600)
"""


def replicas(bootstrap_servers: str, topic: str) -> set[int]:
    """How often the partitions of a topic are kept in step."""
    topics = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=PATIENCE_S).topics
    return {len(partition.replicas) for partition in topics[topic].partitions.values()}


def test_each_node_may_go_and_come_back_behind_its_own_proxy(tmp_path: Path) -> None:
    with TcpProxy() as one, TcpProxy() as two, TcpProxy() as three:
        proxies = {1: one, 2: two, 3: three}
        cluster = EmbeddedCluster(tmp_path, advertised={node: proxy.address for node, proxy in proxies.items()})
        for node, proxy in proxies.items():
            proxy.target = cluster.listeners[node]
        with cluster:
            address = cluster.bootstrap_servers
            assert address == ",".join(proxy.address for proxy in proxies.values())
            admin = AdminClient({"bootstrap.servers": address})
            admin.create_topics([NewTopic("kept", 1)])["kept"].result(PATIENCE_S)
            for node, end in ((1, "kill"), (2, "stop")):
                write(address, "kept", f"before the end of {node}".encode())
                pid = cluster.nodes[node].pid
                getattr(cluster.nodes[node], end)()
                assert gone(pid)
                write(address, "kept", f"without {node}".encode())
                cluster.nodes[node].start()
            assert replicas(address, "kept") == replicas(address, "__transaction_state") == {3}
        assert cluster.running == ()
        with cluster:
            write(cluster.bootstrap_servers, "kept", b"after all")
            assert len(read(cluster.bootstrap_servers, "kept", 5)) == 5
    with pytest.raises(ConfigInvalid, match="has 3 nodes, not 5"):
        EmbeddedCluster(tmp_path, nodes=5)


def test_no_node_stays_when_the_owner_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout as told:
        place, *pids = told.readline().split()
    assert len(pids) == 3
    supervisors = [psutil.Process(int(pid)).ppid() for pid in pids]
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    assert all(gone(int(pid)) for pid in (*pids, *supervisors))
    assert not Path(place).exists()


def test_a_detached_cluster_by_its_commands(tmp_path: Path) -> None:
    def broker(*arguments: str) -> Any:
        command = [sys.executable, "-m", "logkeel.cli.main", "broker", *arguments, "--data-dir", str(tmp_path)]
        done = subprocess.run([*command, "-o", "json"], capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    try:
        first = broker("start", "--brokers", "3")
        assert [psutil.pid_exists(node["pid"]) for node in first["nodes"]] == [True] * 3
        assert broker("start") == first
        os.kill(first["nodes"][1]["pid"], signal.SIGKILL)
        assert gone(first["nodes"][1]["pid"])
        assert [node["running"] for node in broker("status")["nodes"]] == [True, False, True]
        write(first["bootstrap_servers"], "kept", b"without node 2")
        second = broker("start", "--node", "2")
        assert second["bootstrap_servers"] == first["bootstrap_servers"]
        assert any("Kafka Server started" in line for line in broker("logs", "--node", "2"))
        stopped = broker("stop", "--node", "3")
        assert (stopped["stopped"], [node["running"] for node in stopped["nodes"]]) == (True, [True, True, False])
    finally:
        ended = broker("stop")
    assert (ended["stopped"], ended["running"]) == (True, False)
    assert all(gone(node["pid"]) for node in (*first["nodes"], second["nodes"][1]))
