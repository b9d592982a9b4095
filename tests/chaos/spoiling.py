"""The moves of a siege that an operator has to repair, and those that take the group's offsets away.

A changelog that was truncated or made again stops the engines by a named error; nothing is lost, as they keep their
stores, and `logkeel state rebuild-changelog` brings it back.
"""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.chaos.attacks import Steps
from tests.chaos.camp import Camp
from tests.chaos.plan import Move
from tests.chaos.processes import Victim

from logkeel.cli.provisioning import apply_application
from logkeel.errors import LogkeelError
from logkeel.log import TopicPartition

GONE_S: Final = 40.0
OPERATOR_ERROR: Final = 15
REPAIR_S: Final = 180.0


class Spoiling:
    """Does what the plan says."""

    def __init__(self, camp: Camp, done: Counter[str], faults: list[str], tell: Callable[[str], None]) -> None:
        self._camp, self._done, self._faults, self._tell = camp, done, faults, tell

    def expire_offsets(self, members: list[Victim], group: str, move: Move) -> Steps:
        """All members leave, the group is deleted, and they come back."""
        self._tell(f"{group} loses its offsets")
        yield from self._end(members)
        yield from self._until(lambda: self._deleted(group), f"group {group} cannot be deleted")
        self._done["groups whose offsets expired"] += 1
        for member in members:
            member.start()
        yield 2.0

    def truncate(self, move: Move) -> Steps:
        """Half of a changelog partition is deleted, as if a retention had been set."""
        engines, topic = self._camp.engines, self._camp.settings.names.run_state
        yield from self._end(engines)
        self._camp.changelog.catch_up()
        admin = self._camp.client.admin()
        place = TopicPartition(topic, move.target)
        middle = admin.end_offsets([place], committed_only=False)[place] // 2
        admin.alter_topic_config(topic, {"cleanup.policy": "compact,delete"})
        yield 2.0
        admin.delete_records({place: middle})
        admin.alter_topic_config(topic, {"cleanup.policy": "compact"})
        self._tell(f"{topic}-{move.target} is truncated to {middle}")
        self._done["changelogs truncated"] += 1
        yield from self._refused_and_repaired("changelog_truncated")

    def recreate(self, move: Move) -> Steps:
        """The changelog is deleted and made again, empty."""
        engines, topic = self._camp.engines, self._camp.settings.names.run_state
        yield from self._end(engines)
        self._camp.changelog.catch_up()
        admin = self._camp.client.admin()
        admin.delete_topics([topic])
        yield from self._until(lambda: topic not in admin.describe_topics([topic]), f"{topic} stays")
        yield 2.0
        apply_application(admin, self._camp.settings, ["default"])
        self._camp.changelog.start_over()
        self._tell(f"{topic} is deleted and made again")
        self._done["changelogs made again"] += 1
        yield from self._refused_and_repaired("changelog_replaced")

    def _refused_and_repaired(self, code: str) -> Steps:
        """The engines stop by that error; `rebuild-changelog` of each slot; then they run."""
        before = {engine.name: len(engine.log.read_bytes()) for engine in self._camp.engines}
        for engine in self._camp.engines:
            engine.start()
        yield from self._until(lambda: any(not engine.alive for engine in self._camp.engines), "no engine stops")
        yield 2.0
        said = "".join(
            engine.log.read_bytes()[before[engine.name] :].decode(errors="replace") for engine in self._camp.engines
        )
        if code not in said:
            self._faults.append(f"no engine stopped by {code}: {said[-2_000:]}")
        self._done["engines stopped by a named error"] += sum(not engine.alive for engine in self._camp.engines)
        yield from self._end([engine for engine in self._camp.engines if engine.alive])
        for engine in self._camp.engines:
            yield from self._rebuild(engine)
        for engine in self._camp.engines:
            engine.start()
        self._tell("the engines are started again")
        yield 5.0

    def _rebuild(self, engine: Victim) -> Steps:
        settings = self._camp.settings
        command = [sys.executable, "-m", "logkeel.cli.main", "state", "rebuild-changelog", "-o", "json"]
        command += ["--bootstrap-servers", settings.bootstrap_servers, "--prefix", settings.prefix]
        command += ["--state-dir", str(self._camp.state_dir(engine)), "--slot", engine.arguments[5]]
        with engine.log.open("ab") as log:
            repair = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + REPAIR_S
        while repair.poll() is None and time.monotonic() < deadline:
            yield 0.2
        repair.kill()
        repair.wait()
        self._done["repairs by command"] += repair.returncode == 0
        self._tell(f"rebuild-changelog of {engine.name} ended with {repair.returncode}: {engine.tail()[-300:]!r}")

    def _end(self, members: list[Victim]) -> Steps:
        for member in members:
            if member.handle is not None and member.alive:
                member.handle.terminate()
        yield from self._until(lambda: not any(member.alive for member in members), "members do not leave")

    def _deleted(self, group: str) -> bool:
        """Whether it is gone. Members whose sessions last keep it for a while."""
        command = [sys.executable, "-m", "tests.chaos.forgetting", self._camp.settings.bootstrap_servers, group]
        try:
            return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def _until(self, met: Callable[[], bool], fault: str) -> Steps:
        deadline = time.monotonic() + GONE_S
        while time.monotonic() < deadline:
            try:
                if met():
                    return
            except LogkeelError:
                self._tell("the cluster does not answer")
            yield 0.5
        self._faults.append(fault)
