"""Temporal: a workflow of activities, one worker process, the development server with its state in a SQLite file."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from tests.bench.peers.adapters.contract import setting, step

QUEUE = "bench"
CONCURRENT = 1_000
NEVER = "never"


@activity.defn
async def one_step(spec: dict[str, Any], index: int, value: str) -> str:
    """A recorded activity."""
    return await step(spec, index, value)


@workflow.defn
class Chain:
    """Activities one after the other."""

    @workflow.run
    async def run(self, spec: dict[str, Any], value: str) -> str:
        """Runs them."""
        timeout = timedelta(seconds=spec["step_timeout_s"])
        for index in range(spec["steps"]):
            value = await workflow.execute_activity(one_step, args=[spec, index, value], start_to_close_timeout=timeout)
        return "done"


@workflow.defn
class Wait:
    """Holds a value and waits."""

    @workflow.run
    async def run(self, value: str) -> str:
        """Waits for what does not come."""
        await workflow.wait_condition(lambda: False)
        return value


async def _connect() -> Client:
    for _ in range(200):
        try:
            return await Client.connect(setting("ADDRESS"))
        except RuntimeError:
            await asyncio.sleep(0.05)
    return await Client.connect(setting("ADDRESS"))


class Temporal:
    """Asks through a client."""

    async def open(self) -> None:
        """Connect."""
        self._client = await _connect()

    async def run(self, spec: Mapping[str, Any]) -> None:
        """Start, or attach to, the workflow and wait for its result."""
        lean = {**spec, "value": "", "step_timeout_s": float(setting("STEP_TIMEOUT_S"))}
        await self._client.execute_workflow(
            Chain.run,
            args=[lean, spec["value"]],
            id=spec["run_id"],
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Start; it is durable when the server has answered."""
        await self._client.start_workflow(Wait.run, spec["value"], id=spec["run_id"], task_queue=QUEUE)

    async def close(self) -> None:
        """Nothing to close."""


def adapter() -> Temporal:
    """For the driver."""
    return Temporal()


async def _serve() -> None:
    client = await _connect()
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Chain, Wait],
        activities=[one_step],
        max_concurrent_activities=CONCURRENT,
        max_concurrent_workflow_tasks=CONCURRENT,
    ):
        await asyncio.Event().wait()


def serve() -> None:
    """The worker."""
    asyncio.run(_serve())
