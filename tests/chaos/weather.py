"""The moves of a siege that meet brokers, the network before them, and what the cluster keeps for the application."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from tests.chaos.attacks import Steps
from tests.chaos.camp import COMMIT_TIMEOUT_MS, Camp
from tests.chaos.plan import Move

from logkeel.testing.frames import END_TXN

LATE_S: Final = COMMIT_TIMEOUT_MS / 1_000 + 2.0
IN_STEP_S: Final = 180.0
NETWORK_S: Final = 3.0


class Weather:
    """Does what the plan says. `rough` is set while the network is disturbed, so that no human answers."""

    def __init__(self, camp: Camp, done: Counter[str], faults: list[str], tell: Callable[[str], None]) -> None:
        self._camp, self._done, self._faults, self._tell = camp, done, faults, tell
        self._pool = ThreadPoolExecutor(3, thread_name_prefix="broker")
        self._admin = AdminClient({"bootstrap.servers": camp.settings.bootstrap_servers, "log_level": 0})
        self.rough = 0

    def kill_broker(self, node: int, move: Move) -> Steps:
        """kill -9; it stays away for a while, comes back and catches up."""
        self._camp.cluster.nodes[node].kill()
        self._done["broker kills"] += 1
        self._tell(f"broker {node} killed")
        yield move.luck * 6
        yield from self._start(node)
        self._tell(f"broker {node} is back")
        yield from self._in_step()

    def roll(self, move: Move) -> Steps:
        """Every broker restarted in order, one at a time."""
        for node in self._camp.cluster.plan.ids:
            self._tell(f"broker {node} is stopped")
            stop = self._pool.submit(self._camp.cluster.nodes[node].stop)
            while not stop.done():
                yield 0.2
            stop.result()
            yield from self._start(node)
            yield from self._in_step()
        self._done["rolling restarts"] += 1
        self._tell("all brokers restarted")

    def doubt(self, move: Move) -> Steps:
        """Something happens to one of the next commits, so that its producer does not learn how it ended."""
        proxies, proxy = self._camp.proxies, move.target
        match int(move.luck * 5):
            case 0:
                proxies.do(proxy, "delay_response", api_key=END_TXN, seconds=LATE_S)
            case 1:
                proxies.do(proxy, "delay_request", api_key=END_TXN, seconds=LATE_S)
            case _:
                proxies.do(proxy, "drop_response", api_key=END_TXN)
        self._done["answers to a commit kept back"] += 1
        yield 0.0

    def disturb(self, what: str, move: Move) -> Steps:
        """One proxy cuts, delays, swallows or refuses for some seconds."""
        proxies, proxy = self._camp.proxies, move.target
        self._tell(f"proxy {proxy}: {what}")
        self._done[f"network: {what}"] += 1
        proxies.do(proxy, what)
        if what == "cut":
            yield 0.0
            return
        self.rough += 1
        yield NETWORK_S + move.luck * 3
        proxies.do(proxy, "heal")
        if what == "drop_answers":
            proxies.do(proxy, "cut")  # what was swallowed is lost: the clients shall ask again
        yield 3.0
        self.rough -= 1

    def heal(self) -> None:
        """No rule and no disturbance is left."""
        for proxy in range(len(self._camp.proxies.addresses)):
            self._camp.proxies.do(proxy, "heal")

    def _start(self, node: int) -> Steps:
        start = self._pool.submit(self._camp.cluster.nodes[node].start)
        while not start.done():
            yield 0.2
        start.result()

    def _in_step(self) -> Steps:
        """Until every replica is in step again: the next broker may go."""
        deadline = time.monotonic() + IN_STEP_S
        while time.monotonic() < deadline:
            check = self._pool.submit(self._behind)
            while not check.done():
                yield 0.2
            if not check.result():
                return
            yield 0.5
        self._faults.append(f"replicas are not in step after {IN_STEP_S:.0f} s")

    def _behind(self) -> bool:
        try:
            topics = self._admin.list_topics(timeout=5).topics.values()
        except KafkaException:
            return True
        return any(len(each.isrs) < len(each.replicas) for topic in topics for each in topic.partitions.values())
