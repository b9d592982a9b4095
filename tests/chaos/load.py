"""Keeps runs in flight, follows them, and is the human who is asked about ONCE steps in doubt."""

import json
import time
from pathlib import Path
from typing import Any

from tests.chaos.outside import read

from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord, TopicPartition
from logkeel.records import RequestRejected, RunCompleted, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.wire import decode

ANSWER_AFTER_S = 3.0
"""A holder that was stopped has woken and reported by then: the human asks around before answering."""


class Load:
    """Reads completions and history with read_committed; `history` keeps every event in the order of the log."""

    def __init__(self, bootstrap: str, names: TopicNames, ledger: Path, partitions: int) -> None:
        client = KafkaLogClient(bootstrap)
        self._names = names
        self._ledger = ledger
        self._producer = client.producer()
        self._reader = client.reader("read_committed")
        self._reader.assign(
            {TopicPartition(t, p): 0 for t in (names.run_completions, names.run_events) for p in range(partitions)}
        )
        self.sent = 0
        self.completions: list[RunCompleted] = []
        self.rejections: list[RequestRejected] = []
        self.history: dict[str, list[RunEvent]] = {}
        self.asked = 0
        self._doubts: dict[tuple[str, str, int], tuple[float, str]] = {}

    @property
    def unfinished(self) -> int:
        """Runs requested and not completed."""
        return self.sent - len(self.completions)

    def request(self, count: int) -> None:
        """Start runs."""
        for _ in range(count):
            run_id = f"run-{self.sent}"
            self._send(run_id, {"workflow": "chaos", "run_id": run_id, "input": {"number": self.sent}})
            self.sent += 1

    def poll(self, *, may_answer: bool = True) -> None:
        """Read what is there; answer what has been in doubt for long enough."""
        for record in self._reader.fetch(5_000, 0.05).records:
            message = decode(record.value or b"")
            if isinstance(message, RunCompleted):
                self.completions.append(message)
            elif isinstance(message, RequestRejected):
                self.rejections.append(message)
            elif isinstance(message, RunEvent):
                self.history.setdefault(message.run_id, []).append(message)
                self._watch(message)
        self._producer.poll(0)
        if may_answer:
            self._answer()

    def flush(self) -> None:
        """Wait until every request is on the log."""
        self._producer.flush(30)

    def _watch(self, event: RunEvent) -> None:
        key = (event.run_id, event.path or "", event.dispatch or 0)
        if event.kind == "step_in_doubt" and event.due_ms is None:
            self._doubts[key] = (time.monotonic(), event.incarnation)
        elif event.kind in ("step_succeeded", "step_resolved"):
            self._doubts.pop(key, None)

    def _answer(self) -> None:
        due = [key for key, (since, _) in self._doubts.items() if time.monotonic() - since > ANSWER_AFTER_S]
        if not due:
            return
        effects = {(e["run"], e["path"]) for e in read(self._ledger) if e["what"] == "effect"}
        for run_id, path, dispatch in due:
            del self._doubts[run_id, path, dispatch]
            self.asked += 1
            decision = "did" if (run_id, path) in effects else "did_not"
            request_id = f"answer-{run_id}-{path}-{dispatch}"
            request = {"type": "ResolveStep", "run_id": run_id, "path": path, "decision": decision}
            self._send(run_id, {**request, "dispatch": dispatch, "request_id": request_id})

    def _send(self, run_id: str, request: dict[str, Any]) -> None:
        self._producer.produce(OutputRecord(self._names.run_requests, run_id.encode(), json.dumps(request).encode()))
