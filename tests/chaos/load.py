"""Keeps runs in flight, follows them, and is the human who is asked about ONCE steps in doubt."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos.outside import Follower

from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord, TopicPartition
from logkeel.records import RequestRejected, RunCompleted, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.wire import decode

ANSWER_AFTER_S = 3.0
"""A holder that was stopped has woken and reported by then: the human asks around before answering."""

CATCH_UP_S = 120.0


class Load:
    """Reads completions and history with read_committed. The human answers after `answer_after_s`."""

    def __init__(
        self,
        bootstrap: str,
        names: TopicNames,
        ledger: Path,
        partitions: int,
        *,
        answer_after_s: float = ANSWER_AFTER_S,
    ) -> None:
        self._answer_after_s = answer_after_s
        client = KafkaLogClient(bootstrap)
        self._names = names
        self._ledger = Follower(ledger)
        self._effects: set[tuple[str, str]] = set()
        self._producer = client.producer()
        self._reader = client.reader("read_committed")
        self._admin = client.admin()
        topics = (names.run_completions, names.run_events)
        self._position = {TopicPartition(topic, number): 0 for topic in topics for number in range(partitions)}
        self._reader.assign(self._position)
        self.sent = 0
        self.completions: list[RunCompleted] = []
        self.rejections: list[RequestRejected] = []
        self._events: dict[str, list[bytes]] = {}
        self.asked = 0
        self._doubts: dict[tuple[str, str, int], tuple[float, str]] = {}

    def close(self) -> None:
        """Leave the brokers. What was heard stays."""
        self._reader.close()
        self._producer.close()
        self._admin.close()

    @property
    def unfinished(self) -> int:
        """Runs requested and not completed."""
        return self.sent - len(self.completions)

    def histories(self) -> Iterator[tuple[str, list[RunEvent]]]:
        """Every run's events in the order of the log."""
        for run_id, events in self._events.items():
            yield run_id, [message for event in events if isinstance(message := decode(event), RunEvent)]

    def request(self, count: int) -> None:
        """Start runs."""
        for _ in range(count):
            run_id = f"run-{self.sent}"
            self._send(run_id, {"workflow": "chaos", "run_id": run_id, "input": {"number": self.sent}})
            self.sent += 1

    def poll(self, *, may_answer: bool = True) -> None:
        """Read what is there; answer what has been in doubt for long enough."""
        fetched = self._reader.fetch(5_000, 0.05)
        for record in fetched.records:
            self._position[record.source] = record.offset + 1
            message = decode(record.value or b"")
            if isinstance(message, RunCompleted):
                self.completions.append(message)
            elif isinstance(message, RequestRejected):
                self.rejections.append(message)
            elif isinstance(message, RunEvent):
                self._events.setdefault(message.run_id, []).append(record.value or b"")
                self._watch(message)
        self._position.update(fetched.ends)
        self._producer.poll(0)
        if may_answer:
            self._answer()

    def catch_up(self) -> None:
        """Read what is committed by now: a run's completion may be seen before the last events of its history."""
        ends = self._admin.end_offsets(list(self._position), committed_only=True)
        deadline = time.monotonic() + CATCH_UP_S
        while any(self._position[place] < end for place, end in ends.items()):
            if time.monotonic() > deadline:
                raise AssertionError(f"completions and events could not be read to {ends}")
            self.poll(may_answer=False)

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
        due = [key for key, (since, _) in self._doubts.items() if time.monotonic() - since > self._answer_after_s]
        if not due:
            return
        self._effects |= {(e["run"], e["path"]) for e in self._ledger.lines() if e["what"] == "effect"}
        for run_id, path, dispatch in due:
            del self._doubts[run_id, path, dispatch]
            self.asked += 1
            decision = "did" if (run_id, path) in self._effects else "did_not"
            request_id = f"answer-{run_id}-{path}-{dispatch}"
            request = {"type": "ResolveStep", "run_id": run_id, "path": path, "decision": decision}
            self._send(run_id, {**request, "dispatch": dispatch, "request_id": request_id})

    def _send(self, run_id: str, request: dict[str, Any]) -> None:
        self._producer.produce(OutputRecord(self._names.run_requests, run_id.encode(), json.dumps(request).encode()))
