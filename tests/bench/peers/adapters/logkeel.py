"""logkeel: requests to a topic, completions from a topic. Engine and worker are processes of their own."""

import asyncio
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.peers.adapters.contract import setting
from tests.chaos.outside import LEDGER, read

from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import AnswerQuestion, FieldWrite, Payload, RunCompleted, RunEvent, StartRun
from logkeel.records.topics import TopicNames
from logkeel.wire import decode, encode

LIMIT_BYTES = 250_000
WORKFLOWS = {"fan-out": "fan-out-each", "sleeper": "sleeper", "agent-code": "agent-code", "agent-loop": "agent-loop"}
"""For each shape but a chain, which is named as its workload is."""

GIVEN = {"fan-out": ("width",), "sleeper": ("until_ms",), "agent-code": ("turns",), "agent-loop": ("turns",)}
"""What a run of that shape is given beside its value."""


class Logkeel:
    """A producer of requests and a thread that reads completions; history too, once it is needed."""

    def __init__(self) -> None:
        client = KafkaLogClient(setting("BOOTSTRAP"))
        self._names = TopicNames(setting("PREFIX"))
        self._partitions = int(setting("PARTITIONS"))
        self._producer = client.producer()
        self._reader = client.reader("read_committed")
        self._loop = asyncio.get_running_loop()
        self._ends: dict[str, asyncio.Future[None]] = {}
        self._values: dict[str, str] = {}
        self._doubts: dict[str, asyncio.Future[None]] = {}
        self._questions: dict[str, asyncio.Future[RunEvent]] = {}
        self._stop = threading.Event()

    async def open(self) -> None:
        """Begin to read."""
        topics = [self._names.run_completions]
        if setting("HISTORY"):
            topics.append(self._names.run_events)
        places = {TopicPartition(topic, n): 0 for topic in topics for n in range(self._partitions)}
        self._reader.assign(places)
        threading.Thread(target=self._read, daemon=True).start()

    async def run(self, spec: Mapping[str, Any]) -> None:
        """Request, and wait for the completion event."""
        ended = self._ends[spec["run_id"]] = self._loop.create_future()
        if spec["outside"]:
            self._values[spec["run_id"]] = spec["value"]
        self._request(spec, WORKFLOWS.get(spec["shape"], spec["workload"]), *GIVEN.get(spec["shape"], ()))
        await ended

    async def ask(self, spec: Mapping[str, Any]) -> None:
        """Request, and wait until the history has the question."""
        asked = self._questions[spec["run_id"]] = self._loop.create_future()
        self._request(spec, "approval")
        await asked

    async def answer(self, spec: Mapping[str, Any]) -> None:
        """Answer, and wait for the completion event."""
        run_id = spec["run_id"]
        question = self._questions.pop(run_id).result()
        ended = self._ends[run_id] = self._loop.create_future()
        answer = AnswerQuestion(
            run_id=run_id,
            path=question.path or "",
            verb="approve",
            question=question.revision,
            request_id=f"answer-{run_id}",
        )
        self._send(run_id, encode(answer))
        await ended

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Request, and wait until the history says that a human is asked."""
        asked = self._doubts[spec["run_id"]] = self._loop.create_future()
        self._request(spec, "wait")
        await asked

    async def close(self) -> None:
        """Stop reading."""
        self._stop.set()

    def _request(self, spec: Mapping[str, Any], workflow: str, *given: str) -> None:
        run_id, value = spec["run_id"], spec["value"]
        if len(value) > LIMIT_BYTES:
            value = value[: len(value) // 4]
        fields = {"value": value, **{name: spec[name] for name in given}}
        inputs = tuple(
            FieldWrite(field=name, payload=Payload(encoding="json", data=json.dumps(field).encode()))
            for name, field in fields.items()
        )
        request = StartRun(workflow=workflow, run_id=run_id, request_id=run_id, inputs=inputs)
        self._send(run_id, encode(request))

    def _send(self, run_id: str, request: bytes) -> None:
        key = run_id.encode()
        home = partition_for(key, self._partitions)
        self._producer.produce(OutputRecord(self._names.run_requests, key, request, home))
        self._producer.poll(0.0)

    def _read(self) -> None:
        while not self._stop.is_set():
            records = self._reader.fetch(5_000, 0.05).records
            if records:
                messages = [decode(record.value or b"") for record in records]
                self._loop.call_soon_threadsafe(self._take, messages)

    def _take(self, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, RunCompleted):
                ended = self._ends.pop(message.run_id, None)
                if ended is not None and message.status == "succeeded":
                    ended.set_result(None)
                elif ended is not None:
                    ended.set_exception(RuntimeError(f"{message.run_id} {message.status}: {message.error}"))
            elif isinstance(message, RunEvent) and message.kind == "question_asked":
                if message.run_id in self._questions:
                    self._questions[message.run_id].set_result(message)
            elif isinstance(message, RunEvent) and message.kind == "step_in_doubt" and message.due_ms is None:
                self._doubt(message)

    def _doubt(self, event: RunEvent) -> None:
        asked = self._doubts.pop(event.run_id, None)
        if asked is not None:
            asked.set_result(None)
        elif event.run_id in self._ends:
            self._answer(event)

    def _answer(self, event: RunEvent) -> None:
        """The human of the race looks into the outside ledger; the former holder was killed, so that is the truth."""
        index = int((event.path or "s0").removeprefix("s"))
        lines = read(Path(os.environ[LEDGER]))
        did = any(line["what"] == "effect" and (line["run"], line["step"]) == (event.run_id, index) for line in lines)
        request: dict[str, Any] = {
            "type": "ResolveStep",
            "run_id": event.run_id,
            "path": event.path,
            "dispatch": event.dispatch,
            "decision": "did" if did else "did_not",
            "writes": {"value": self._values[event.run_id]} if did else {},
            "request_id": f"answer-{event.run_id}-{event.path}-{event.dispatch}",
        }
        self._send(event.run_id, json.dumps(request).encode())


def adapter() -> Logkeel:
    """For the driver."""
    return Logkeel()
