"""A cluster that outlives the process which started it: `logkeel broker start --brokers 3` and what belongs to it.

Each node is a detached broker in a directory of its own; the plan in the cluster's directory ties them together.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from logkeel.broker import detached
from logkeel.broker.detached import BrokerStatus
from logkeel.broker.launch import LaunchRequest
from logkeel.broker.membership import ClusterPlan

STOP_PATIENCE_S = 30.0
"""A node hands its partitions over one after the other; tens of them take a second."""


def start(plan: ClusterPlan, wanted: LaunchRequest, nodes: Sequence[int] = ()) -> BrokerStatus:
    """Start these nodes (default: all) at once; those that run are left as they are. Returns the cluster's status.

    Raises: ArtifactsUnavailable, PortTaken, DiskFull, BrokerLocked, BrokerDied.
    """
    requests = [plan.request(node, wanted) for node in nodes or plan.ids]
    with ThreadPoolExecutor(len(requests)) as pool:
        starts = [pool.submit(detached.start, request) for request in requests]
    for each in starts:
        each.result()
    return detached.status(plan.data_dir)


def stop(plan: ClusterPlan, nodes: Sequence[int] = ()) -> bool:
    """Stop these nodes (default: all) one after the other; False if none of them ran.

    Nodes that would have no majority left to hand their partitions to are killed: they would wait for it.
    Raises: BrokerLocked.
    """
    majority = len(plan.ids) // 2 + 1
    stopped = False
    for node in nodes or plan.ids:
        living = sum(detached.status(plan.directory(each)).running for each in plan.ids)
        patience_s = STOP_PATIENCE_S if living >= majority else 0.0
        stopped = detached.stop(plan.directory(node), patience_s=patience_s) or stopped
    return stopped
