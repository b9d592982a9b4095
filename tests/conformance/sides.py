"""The two clusters that the suite runs on, behind one face: what a test may ask of either.

`Side.clock` lets time pass: on the simulated cluster by moving its clock, on the real one by waiting. An `Outsider` is
a group member in a process of its own, which may be killed, stopped and woken.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from tests.conformance.members import SESSION_TIMEOUT_MS, Member

from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.log import Clock, LogClient, TopicPlan
from logkeel.simulation import Conditions, SimulatedClient, SimulatedCluster

STEP_S = 0.02


class Outsider(Protocol):
    """A member in another process. Its events are `assigned`, `revoked` and `lost`, each with partition numbers."""

    def events(self) -> list[str]:
        """What its listener heard so far."""
        ...

    def kill(self) -> None:
        """End it as by kill -9."""
        ...

    def stop(self) -> None:
        """Stop it as by SIGSTOP."""
        ...

    def wake(self) -> None:
        """Let it go on, as by SIGCONT."""
        ...


class Side(Protocol):
    """A cluster under test."""

    client: LogClient
    clock: Clock
    is_simulated: bool

    def outsider(self, group_id: str, topic: str, instance_id: str) -> Outsider:
        """Start a static member elsewhere; what it hears comes with time."""
        ...

    def end(self) -> None:
        """End all outsiders."""
        ...


class SimulatedOutsider:
    """A member of a client of its own."""

    def __init__(self, process: SimulatedClient, member: Member) -> None:
        self._process = process
        self._member = member

    def events(self) -> list[str]:
        if self._process.state == "running":
            self._member.fetch()
        return list(self._member.events)

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        self._process.freeze()

    def wake(self) -> None:
        self._process.thaw()


class SimulatedSide:
    """Implements `Side` in memory."""

    is_simulated = True

    def __init__(self, conditions: Conditions | None = None) -> None:
        cluster = SimulatedCluster(conditions=conditions)
        self.clock: Clock = cluster.clock
        self.client: LogClient = cluster.client()
        self._cluster = cluster

    def outsider(self, group_id: str, topic: str, instance_id: str) -> SimulatedOutsider:
        process = self._cluster.client()
        return SimulatedOutsider(process, Member(process, group_id, [topic], instance_id=instance_id))

    def end(self) -> None:
        """Nothing runs by itself."""


class OutsiderProcess:
    """A child process; its lines are its events."""

    def __init__(self, bootstrap: str, output: Path, arguments: list[str]) -> None:
        self._output = output
        with output.open("wb") as lines:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.conformance.outsider", bootstrap, *arguments],
                cwd=Path(__file__).parents[2],
                stdout=lines,
                stderr=subprocess.STDOUT,
            )

    def events(self) -> list[str]:
        return self._output.read_text().splitlines()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)


class KafkaSide:
    """Implements `Side` on a real broker."""

    is_simulated = False

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self.client: LogClient = KafkaLogClient(bootstrap)
        self.clock: Clock = SystemClock()
        self._bootstrap = bootstrap
        self._directory = directory
        self._outsiders: list[OutsiderProcess] = []

    def outsider(self, group_id: str, topic: str, instance_id: str) -> OutsiderProcess:
        output = self._directory / f"outsider-{len(self._outsiders)}"
        started = OutsiderProcess(self._bootstrap, output, [group_id, topic, instance_id, str(SESSION_TIMEOUT_MS)])
        self._outsiders.append(started)
        return started

    def end(self) -> None:
        for each in self._outsiders:
            each.kill()


def new_topic(side: Side, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
    """A topic of a name that nobody has, which serves as group id and transactional id too."""
    name = f"conformance-{uuid4().hex[:10]}"
    admin = side.client.admin()
    admin.create_topics([TopicPlan(name, partitions, config=config or {})])
    admin.close()
    return name


def eventually(side: Side, met: Callable[[], bool], what: str, *, patience_s: float = 30) -> None:
    """Let time pass until `met`. The patience is a limit of liveness, not a measurement."""
    deadline_s = side.clock.monotonic_s() + patience_s
    while not met():
        assert side.clock.monotonic_s() < deadline_s, f"not within {patience_s} s: {what}"
        side.clock.sleep(STEP_S)


def wait_until_owning(side: Side, wanted: Mapping[Member, list[int]]) -> None:
    """Let all fetch until each owns partitions of these numbers."""

    def met() -> bool:
        for member in wanted:
            member.fetch()
        return all(member.numbers == numbers for member, numbers in wanted.items())

    eventually(side, met, f"assignment {list(wanted.values())}")


def both_own_one(*members: Member) -> bool:
    """Whether, after a fetch of each, two members share two partitions."""
    for member in members:
        member.fetch()
    return sorted(member.numbers or [] for member in members) == [[0], [1]]
