"""DBOS Transact on PostgreSQL: a workflow function whose steps are recorded; recovery starts with `DBOS.launch()`."""

from collections.abc import Mapping
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
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


@DBOS.workflow()
async def wait(value: str) -> str:
    """Wait for a message."""
    return str(await DBOS.recv_async("answer", timeout_seconds=FOREVER_S))


class Dbos:
    """Driver and worker in one."""

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
            handle = await DBOS.start_workflow_async(chain, {**spec, "value": ""}, spec["value"])
        await handle.get_result()

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
