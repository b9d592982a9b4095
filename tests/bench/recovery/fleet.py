"""Engines and workers as processes, a steady load, and when which partition last completed a run."""

import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from tests.bench.application import NUMBER, size_of
from tests.chaos.processes import Victim

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.log import OutputRecord, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import RunCompleted, StartRun
from logkeel.wire import decode, encode

LIVENESS_S = 180.0
NOBODY_STARTS_WITHIN_S = 0.2
"""What comes earlier behind the start of a process is its predecessor's."""
ROWS_PER_FLUSH = 50_000
FILLER = b"\xf0filler/"


class Fleet:
    """One application under a load of `rate` runs per second, spread evenly over the partitions."""

    def __init__(self, bootstrap: str, directory: Path, *, partitions: int = 4, rate: float = 60.0) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.partitions, self.directory = partitions, directory
        self._settings = Settings(
            bootstrap_servers=bootstrap,
            prefix=f"bench{uuid4().hex[:6]}",
            state_dir=str(directory),
            partitions=partitions,
        )
        self.names = self._settings.names
        self.client = connect(self._settings)
        self.admin = self.client.admin()
        apply_application(self.admin, self._settings, ["default"])
        self._environment = {
            "LOGKEEL_BOOTSTRAP_SERVERS": bootstrap,
            "LOGKEEL_PREFIX": self._settings.prefix,
            "LOGKEEL_STATE_DIR": str(directory),
        }
        self._producer = self.client.producer()
        self._reader = self.client.reader("read_committed")
        topics = (self.names.run_completions, self.names.run_events)
        self._reader.assign({TopicPartition(topic, n): 0 for topic in topics for n in range(partitions)})
        self._interval_s = 1 / rate
        self._next_s = time.perf_counter()
        self._turn = 0
        self.sent = self.completed = 0
        self.last = dict.fromkeys(range(partitions), 0.0)
        self._sent_at: dict[str, float] = {}
        self._since_s = float("inf")
        self._moved: dict[int, float] = {}
        self._committed: dict[int, float] = {}
        self._victims: list[Victim] = []

    @property
    def session_s(self) -> float:
        """The session time-out of engines and workers."""
        return self._settings.session_timeout_ms / 1_000

    def engine(self, slot: int) -> Victim:
        """An engine, not started."""
        return self._victim(f"engine-{slot}", ["engine", "--slot", str(slot)])

    def worker(self, slot: int) -> Victim:
        """A worker, not started."""
        return self._victim(f"worker-{slot}", ["worker", "tests.bench.workflow", "--slot", str(slot)])

    def _victim(self, name: str, command: list[str]) -> Victim:
        arguments = ["-m", "logkeel.cli.main", *command]
        victim = Victim(name, arguments, self.directory / f"{name}.log", self._environment)
        self._victims.append(victim)
        return victim

    def tables(self, slot: int) -> Path:
        """The stores of an engine, by partition."""
        return self.directory / "engines" / f"slot-{slot:04d}" / "tables"

    def owned(self, group: str, slot: int) -> list[int]:
        """The partitions that a member of that slot owns now."""
        for member in self.admin.group_members(group):
            if (member.instance_id or "").endswith(f"-{slot:04d}"):
                wanted = {self.names.run_requests, self.names.step_commands("default")}
                return sorted(each.partition for each in member.assignment if each.topic in wanted)
        return []

    def share_of(self, group: str, slot: int) -> list[int]:
        """The same, of a member that owns something by now."""
        self.until(lambda: bool(self.owned(group, slot)), f"slot {slot} of {group} owns nothing")
        return self.owned(group, slot)

    def poll(self, timeout_s: float = 0.01) -> None:
        """Send what is due, take what came."""
        now_s = time.perf_counter()
        while self._next_s <= now_s:
            self._next_s += self._interval_s
            self._send()
        self._producer.poll(0.0)
        for record in self._reader.fetch(5_000, timeout_s).records:
            if record.topic == self.names.run_events:
                if (heard_s := time.perf_counter()) > self._since_s + NOBODY_STARTS_WITHIN_S:
                    self._committed.setdefault(record.partition, heard_s)
                continue
            message = decode(record.value or b"")
            assert isinstance(message, RunCompleted), message
            assert message.status == "succeeded", message
            self.completed += 1
            self.last[record.partition] = now_s = time.perf_counter()
            if self._sent_at.pop(message.run_id, 0.0) > self._since_s:
                self._moved.setdefault(record.partition, now_s)

    def _send(self) -> None:
        wanted = self._turn = (self._turn + 1) % self.partitions
        run_id = uuid4().hex
        while partition_for(run_id.encode(), self.partitions) != wanted:
            run_id = uuid4().hex
        request = StartRun(workflow="noop", run_id=run_id, request_id=run_id, inputs=(NUMBER,))
        self._producer.produce(OutputRecord(self.names.run_requests, run_id.encode(), encode(request), wanted))
        self._sent_at[run_id] = time.perf_counter()
        self.sent += 1

    def start_waiting(self, count: int) -> None:
        """Start runs whose only step fails at once and is tried again in a day."""
        for number in range(count):
            run_id = uuid4().hex
            request = StartRun(workflow="patient", run_id=run_id, request_id=run_id, inputs=(NUMBER,))
            self._producer.produce(OutputRecord(self.names.run_requests, run_id.encode(), encode(request)))
            if number % 10_000 == 0:
                self._producer.flush(60)
        self._producer.flush(60)

    def lag(self) -> int:
        """Records that the engines have not processed yet."""
        topics = (self.names.run_requests, self.names.step_results)
        places = [TopicPartition(topic, number) for topic in topics for number in range(self.partitions)]
        ends = self.admin.end_offsets(places, committed_only=False)
        offsets = self.admin.group_offsets(self.names.engine_group, places)
        return sum(end - offsets.get(place, (0, ""))[0] for place, end in ends.items())

    def until(self, met: Callable[[], bool], what: str) -> None:
        """Go on until it is met."""
        deadline_s = time.monotonic() + LIVENESS_S
        while not met():
            self.poll()
            assert time.monotonic() < deadline_s, f"{what}\n" + "\n".join(each.tail() for each in self._victims)

    def run_for(self, seconds: float) -> None:
        """Let it work."""
        until_s = time.perf_counter() + seconds
        while time.perf_counter() < until_s:
            self.poll()

    def settle(self) -> None:
        """Until nearly everything sent has completed, and each partition completed something just now."""

        def met() -> bool:
            young = time.perf_counter() - min(self.last.values()) < 0.5
            return young and self.sent - self.completed < 20

        self.until(met, "it does not settle")

    def gap_after(self, since_s: float, partitions: list[int]) -> float:
        """Seconds from `since_s` until every one of these partitions has completed a run that was asked for since.

        An earlier one may have been on its way.
        """
        self._since_s, self._moved, self._committed = since_s, {}, {}
        self.until(lambda: self._moved.keys() >= set(partitions), f"partitions {partitions} do not go on")
        return max(self._moved[partition] for partition in partitions) - since_s

    @property
    def first_commit_s(self) -> float:
        """Of the last `gap_after`, for processes that were dead by then: until something was committed everywhere."""
        return max(self._committed[partition] for partition in range(self.partitions)) - self._since_s

    def fill(self, partition: int, size_bytes: int, row_bytes: int) -> int:
        """Write rows into a changelog partition; how many. Call while no engine runs."""
        producer = self.client.producer()
        count = size_bytes // row_bytes
        value = bytes(range(256)) * (row_bytes // 256 + 1)
        for number in range(count):
            key = FILLER + number.to_bytes(8, "big")
            head = number.to_bytes(8, "little")
            row = head + value[number % 256 :][: row_bytes - len(key) - 8]
            producer.produce(OutputRecord(self.names.run_state, key, row, partition))
            if number % ROWS_PER_FLUSH == 0:
                producer.flush(60)
        producer.flush(60)
        producer.close()
        return count

    def stop(self) -> None:
        """End everything."""
        for victim in reversed(self._victims):
            if victim.alive:
                victim.stop()


__all__ = ["FILLER", "Fleet", "size_of"]
