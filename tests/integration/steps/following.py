"""Runs of `scaling`: asked for, and followed on the log."""

import json
import time
from collections import Counter
from collections.abc import Callable

from tests.integration.runs.application import Application

from logkeel.log import OutputRecord, TopicPartition
from logkeel.records import RunCompleted, RunEvent
from logkeel.wire import decode

LIVENESS_S = 150.0


class Followed:
    """What the log says, counted as it comes."""

    def __init__(self, application: Application) -> None:
        self._reader = application.client.reader("read_committed")
        self._application = application
        names, partitions = application.names, application.settings.partitions
        topics = (names.run_completions, names.run_events)
        self._read = {TopicPartition(topic, number): 0 for topic in topics for number in range(partitions)}
        self._reader.assign(self._read)
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()

    def until(self, met: Callable[[], bool]) -> None:
        """Read until it is met."""
        deadline_s = time.monotonic() + LIVENESS_S
        while not met():
            assert time.monotonic() < deadline_s, (self.kinds, self.statuses, self._standing())
            fetched = self._reader.fetch(5_000, 0.05)
            self._read |= fetched.ends
            for record in fetched.records:
                message = decode(record.value or b"")
                if isinstance(message, RunEvent):
                    self.kinds[message.kind] += 1
                elif isinstance(message, RunCompleted):
                    self.statuses[message.status] += 1

    def _standing(self) -> str:
        """Where each partition is: read, readable and written."""
        names = self._application.names
        numbers = range(self._application.settings.partitions)
        asked = (names.run_requests, names.step_results, names.run_state)
        places = [*self._read, *(TopicPartition(topic, number) for topic in asked for number in numbers)]
        admin = self._application.client.admin()
        stable, written = (admin.end_offsets(places, committed_only=only) for only in (True, False))
        return "; ".join(
            f"{each.topic} {each.partition}: {self._read.get(each)} of {stable[each]} of {written[each]}"
            for each in places
        )

    @property
    def done(self) -> int:
        """Completed runs."""
        return self.statuses.total()


def request_orders(application: Application, count: int, workflow: str = "scaling") -> None:
    """Ask for so many runs."""
    producer = application.client.producer()
    for number in range(count):
        run_id = f"order-{number}"
        request = {"workflow": workflow, "run_id": run_id, "input": {"number": number}}
        producer.produce(OutputRecord(application.names.run_requests, run_id.encode(), json.dumps(request).encode()))
    producer.flush(30)
    producer.close()
