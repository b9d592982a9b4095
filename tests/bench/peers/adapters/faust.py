"""Faust in exactly-once mode: one stream of steps; each event carries a run and the index of its next step.

This is how a chain is written with Faust: the agent does the step and sends the run on to the same topic, input
position and output in one transaction. Defaults but for: a commit each 100 ms instead of each 2.8 s, and the shortest
session time-out that the broker allows (6 s instead of 60 s), so that a killed worker's partitions come back soon.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tests.bench.peers.adapters.contract import setting, step

STEPS, ENDS = "faust-steps", "faust-ends"
PARTITIONS = 4
CONCURRENCY = 64


class Faust:
    """A producer and a consumer of Kafka."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Future[None]] = {}

    async def open(self) -> None:
        """Make the topics and begin to read ends."""
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic

        bootstrap = setting("BOOTSTRAP")
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in (STEPS, ENDS)])
        await admin.close()
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
        options = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "fetch_max_wait_ms": 50}
        self._consumer = AIOKafkaConsumer(ENDS, bootstrap_servers=bootstrap, **options)
        await self._producer.start()
        await self._consumer.start()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for record in self._consumer:
            ended = self._ends.pop(record.key.decode(), None)
            if ended is not None:
                ended.set_result(None)

    async def run(self, spec: Mapping[str, Any]) -> None:
        """Send the run to its first step and wait for its end."""
        ended = self._ends[spec["run_id"]] = asyncio.get_running_loop().create_future()
        event = json.dumps({"spec": dict(spec), "index": 0}).encode()
        await self._producer.send_and_wait(STEPS, event, key=spec["run_id"].encode())
        await ended

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Not to be had."""
        raise NotImplementedError("a stream has no waiting runs")

    async def ask(self, spec: Mapping[str, Any]) -> None:
        """Not to be had."""
        raise NotImplementedError("a stream has no questions")

    async def answer(self, spec: Mapping[str, Any]) -> None:
        """Not to be had."""
        raise NotImplementedError("a stream has no questions")

    async def close(self) -> None:
        """Disconnect."""
        self._reading.cancel()
        await self._producer.stop()
        await self._consumer.stop()


def adapter() -> Faust:
    """For the driver."""
    return Faust()


def serve() -> None:
    """The worker."""
    import faust

    app = faust.App(
        "bench",
        broker=f"kafka://{setting('BOOTSTRAP')}",
        processing_guarantee="exactly_once",
        broker_commit_interval=0.1,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        datadir=f"{setting('DIRECTORY')}/faust",
        web_enabled=False,
    )
    steps = app.topic(STEPS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    ends = app.topic(ENDS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(steps, concurrency=CONCURRENCY)
    async def do_step(stream: Any) -> None:
        async for key, value in _items(stream):
            event = json.loads(value)
            spec, index = event["spec"], event["index"]
            await step(spec, index, spec["value"])
            if index + 1 < spec["steps"]:
                await steps.send(key=key, value=json.dumps({"spec": spec, "index": index + 1}).encode())
            else:
                await ends.send(key=key, value=b"{}")

    worker = faust.Worker(app, loglevel="ERROR")
    worker.execute_from_commandline()


def _items(stream: Any) -> AsyncIterator[tuple[bytes, bytes]]:
    items: AsyncIterator[tuple[bytes, bytes]] = stream.items()
    return items
