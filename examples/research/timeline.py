"""Requests a run and follows it on the log, as any client of Kafka could: history, completions, and our own remarks."""

import json
import time
import uuid
from collections import Counter
from operator import itemgetter
from pathlib import Path
from typing import Any

from logkeel.cli.settings import load_settings
from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord, TopicPartition
from logkeel.records import RunCompleted, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.wire import decode

WORDS = {
    "run_started": "run accepted",
    "block_entered": "branches begin",
    "block_left": "branches joined",
    "step_dispatched": "sent to a worker",
    "step_started": "is running",
    "step_succeeded": "done",
    "step_failed": "failed",
    "step_retry_scheduled": "will be tried again",
    "step_in_doubt": "in doubt: it will be checked first",
    "step_reclaimed": "its worker is gone",
    "run_completed": "run ended",
}


class Timeline:
    """One run's way. Reads what is there whenever it is asked; nothing runs in the background."""

    def __init__(self, bootstrap_servers: str, kafka_config: Path | None = None) -> None:
        settings = load_settings(
            {"bootstrap_servers": bootstrap_servers, "kafka_config": kafka_config and str(kafka_config)}
        )
        self._client = KafkaLogClient(settings.bootstrap_servers, settings.kafka)
        self._names = TopicNames()
        self._reader: Any = None
        self._events: list[RunEvent] = []
        self._completions: Counter[str] = Counter()
        self._lines: list[tuple[float, str]] = []

    def start_run(self, workflow: str, state: dict[str, Any]) -> str:
        """Produce a run request, in JSON; returns the run id."""
        self._follow()
        run_id = f"{workflow}-{uuid.uuid4().hex[:8]}"
        request = {"type": "StartRun", "workflow": workflow, "run_id": run_id, "input": state}
        producer = self._client.producer()
        producer.produce(OutputRecord(self._names.run_requests, run_id.encode(), json.dumps(request).encode()))
        producer.flush(10)
        producer.close()
        self.remark(f"run {run_id} requested")
        return run_id

    def remark(self, text: str) -> None:
        """Something that happened outside of the log, now."""
        self._lines.append((time.time(), f"** {text}"))

    def completions(self) -> Counter[str]:
        """How many completions each run has, read with read_committed."""
        self._poll()
        return self._completions

    def succeeded(self, step: str) -> bool:
        """Whether that step is done."""
        self._poll()
        return any(event.kind == "step_succeeded" and event.step == step for event in self._events)

    def print(self) -> None:
        """Everything, in the order of time."""
        self._poll()
        lines = [*((event.at_ms / 1000, _told(event)) for event in self._events), *self._lines]
        lines.sort(key=itemgetter(0))
        begin = lines[0][0] if lines else 0.0
        for at, text in lines:
            print(f"  {at - begin:7.2f} s  {text}")

    def close(self) -> None:
        """Stop reading."""
        if self._reader is not None:
            self._reader.close()

    def _follow(self) -> None:
        topics = (self._names.run_events, self._names.run_completions)
        admin = self._client.admin()
        found = admin.describe_topics(topics)
        partitions = [TopicPartition(name, number) for name in topics for number in range(found[name].partitions)]
        self._reader = self._client.reader("read_committed")
        self._reader.assign(dict(admin.end_offsets(partitions, committed_only=True)))

    def _poll(self) -> None:
        if self._reader is None:
            return
        for record in self._reader.fetch(1_000, 0.01).records:
            message = decode(record.value)
            if isinstance(message, RunEvent):
                self._events.append(message)
            elif isinstance(message, RunCompleted):
                self._completions[message.run_id] += 1


def _told(event: RunEvent) -> str:
    words = WORDS.get(event.kind, event.kind)
    subject = event.step or event.path or ""
    attempt = f" (attempt {event.attempt})" if event.attempt and event.attempt > 1 else ""
    because = f": {event.error.message}" if event.error else ""
    status = f" as {event.status}" if event.status else ""
    return f"{subject:17} {words}{attempt}{status}{because}".rstrip()
