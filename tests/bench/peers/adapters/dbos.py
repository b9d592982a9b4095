"""DBOS Transact on PostgreSQL: a workflow function whose steps are recorded; recovery starts with `DBOS.launch()`."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from tests.bench.peers.adapters import contract
from tests.bench.peers.adapters.contract import setting, step

FOREVER_S = 86_400.0


@DBOS.step()
async def one_step(spec: dict[str, Any], index: int, value: str) -> str:
    """A recorded step."""
    return await step(spec, index, value)


@DBOS.workflow()
async def chain(spec: dict[str, Any], value: str) -> str:
    """Steps one after the other."""
    for index in range(spec["steps"]):
        value = await one_step(spec, index, value)
    return value


spread = DBOS.step()(contract.spread)
merge = DBOS.step()(contract.merge)
reply = DBOS.step()(contract.reply)


@DBOS.step()
async def now_s() -> float:
    """The time, recorded."""
    return time.time()


@DBOS.workflow()
async def fan_out(spec: dict[str, Any], value: str) -> int:
    """Steps side by side, begun in one order."""
    items = await spread(value, spec["width"])
    results = await asyncio.gather(*(one_step(spec, n, item) for n, item in enumerate(items)))
    return int(await merge(list(results)))


@DBOS.workflow()
async def sleeper(spec: dict[str, Any], value: str) -> str:
    """Sleeps until that moment."""
    await DBOS.sleep_async(max(0.0, spec["until_ms"] / 1_000 - await now_s()))
    return value


@DBOS.workflow()
async def agent(spec: dict[str, Any], value: str) -> int:
    """A recorded call for each turn."""
    messages = [value]
    for _ in range(spec["turns"]):
        messages.append(await reply(messages))
    return len(messages)


@DBOS.workflow()
async def approval(spec: dict[str, Any], value: str) -> str:
    """Ask, wait for the answer, go on."""
    await DBOS.set_event_async("asked", "approve?")
    await DBOS.recv_async("answer", timeout_seconds=FOREVER_S)
    return str(await one_step(spec, 0, value))


SHAPES = {"chain": chain, "fan-out": fan_out, "sleeper": sleeper, "agent-code": agent}


@DBOS.workflow()
async def wait(value: str) -> str:
    """Wait for a message."""
    return str(await DBOS.recv_async("answer", timeout_seconds=FOREVER_S))


class Dbos:
    """Driver and worker in one."""

    def __init__(self) -> None:
        self._asking: dict[str, Any] = {}

    async def open(self) -> None:
        """Launch; what was pending is recovered."""
        config: DBOSConfig = {
            "name": "bench",
            "system_database_url": setting("DATABASE"),
            "application_version": "1",
            "executor_id": "bench",
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()

    async def run(self, spec: Mapping[str, Any]) -> None:
        """Start in this process and wait; a known id attaches."""
        with SetWorkflowID(spec["run_id"]):
            handle = await DBOS.start_workflow_async(SHAPES[spec["shape"]], {**spec, "value": ""}, spec["value"])
        await handle.get_result()

    async def ask(self, spec: Mapping[str, Any]) -> None:
        """Start, and wait for its event."""
        with SetWorkflowID(spec["run_id"]):
            handle = await DBOS.start_workflow_async(approval, {**spec, "value": ""}, spec["value"])
        self._asking[spec["run_id"]] = handle
        await DBOS.get_event_async(spec["run_id"], "asked")

    async def answer(self, spec: Mapping[str, Any]) -> None:
        """Send, and wait for the result by the handle of the start: one that is looked up asks once a second."""
        await DBOS.send_async(spec["run_id"], "approve", "answer")
        await self._asking.pop(spec["run_id"]).get_result()

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Start; it is recorded as pending when the handle is there."""
        with SetWorkflowID(spec["run_id"]):
            await DBOS.start_workflow_async(wait, spec["value"])

    async def close(self) -> None:
        """Stop."""
        DBOS.destroy()


def adapter() -> Dbos:
    """For the driver."""
    return Dbos()
