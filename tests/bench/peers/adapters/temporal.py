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
    from tests.bench.peers.adapters import contract
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


@activity.defn
async def spread(value: str, width: int) -> list[str]:
    """The items of a fan-out."""
    return await contract.spread(value, width)


@activity.defn
async def merge(results: list[str]) -> int:
    """Its end."""
    return await contract.merge(results)


@activity.defn
async def reply(messages: list[str]) -> str:
    """A turn of an agent."""
    return await contract.reply(messages)


@workflow.defn
class FanOut:
    """Activities side by side."""

    @workflow.run
    async def run(self, spec: dict[str, Any], value: str) -> int:
        """Runs them."""
        timeout = timedelta(seconds=spec["step_timeout_s"])
        given = [value, spec["width"]]
        items = await workflow.execute_activity(spread, args=given, start_to_close_timeout=timeout)
        begun = (
            workflow.execute_activity(one_step, args=[spec, n, item], start_to_close_timeout=timeout)
            for n, item in enumerate(items)
        )
        results = list(await asyncio.gather(*begun))
        return int(await workflow.execute_activity(merge, results, start_to_close_timeout=timeout))


@workflow.defn
class Sleeper:
    """Sleeps until a moment."""

    @workflow.run
    async def run(self, spec: dict[str, Any], value: str) -> str:
        """Sleeps."""
        await workflow.sleep(max(0.0, spec["until_ms"] / 1_000 - workflow.now().timestamp()))
        return value


@workflow.defn
class Agent:
    """An activity for each turn; its input, which is all messages, is part of the history."""

    @workflow.run
    async def run(self, spec: dict[str, Any], value: str) -> int:
        """Takes turns."""
        timeout = timedelta(seconds=spec["step_timeout_s"])
        messages = [value]
        for _ in range(spec["turns"]):
            messages.append(await workflow.execute_activity(reply, messages, start_to_close_timeout=timeout))
        return len(messages)


@workflow.defn
class Approval:
    """Asks, waits for the answer, goes on."""

    def __init__(self) -> None:
        self._asked = False
        self._answer = ""

    @workflow.run
    async def run(self, spec: dict[str, Any], value: str) -> str:
        """Asks."""
        self._asked = True
        await workflow.wait_condition(lambda: bool(self._answer))
        timeout = timedelta(seconds=spec["step_timeout_s"])
        return str(await workflow.execute_activity(one_step, args=[spec, 0, value], start_to_close_timeout=timeout))

    @workflow.update
    async def asked(self) -> None:
        """Returns once it is asked."""
        await workflow.wait_condition(lambda: self._asked)

    @workflow.signal
    def answer(self, verb: str) -> None:
        """The answer."""
        self._answer = verb


SHAPES: dict[str, Any] = {"chain": Chain, "fan-out": FanOut, "sleeper": Sleeper, "agent-code": Agent}


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
        await self._client.execute_workflow(
            SHAPES[spec["shape"]].run,
            args=_arguments(spec),
            id=spec["run_id"],
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def ask(self, spec: Mapping[str, Any]) -> None:
        """Start, and wait until it has asked: an update, which is Temporal's call with an answer."""
        run_id = spec["run_id"]
        handle = await self._client.start_workflow(Approval.run, args=_arguments(spec), id=run_id, task_queue=QUEUE)
        await handle.execute_update(Approval.asked)

    async def answer(self, spec: Mapping[str, Any]) -> None:
        """Signal, and wait for the result."""
        handle = self._client.get_workflow_handle(spec["run_id"])
        await handle.signal(Approval.answer, "approve")
        await handle.result()

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Start; it is durable when the server has answered."""
        await self._client.start_workflow(Wait.run, spec["value"], id=spec["run_id"], task_queue=QUEUE)

    async def close(self) -> None:
        """Nothing to close."""


def _arguments(spec: Mapping[str, Any]) -> list[Any]:
    return [{**spec, "value": "", "step_timeout_s": float(setting("STEP_TIMEOUT_S"))}, spec["value"]]


def adapter() -> Temporal:
    """For the driver."""
    return Temporal()


async def _serve() -> None:
    client = await _connect()
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[*SHAPES.values(), Approval, Wait],
        activities=[one_step, spread, merge, reply],
        max_concurrent_activities=CONCURRENT,
        max_concurrent_workflow_tasks=CONCURRENT,
    ):
        await asyncio.Event().wait()


def serve() -> None:
    """The worker."""
    asyncio.run(_serve())
