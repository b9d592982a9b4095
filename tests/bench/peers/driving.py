"""The load: closed loop, open loop and the crash race, the same for every system. Standard library only."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from tests.bench.peers.adapters.contract import Adapter
from tests.chaos.outside import note

Spec = Mapping[str, Any]
RETRY_S = 0.1
"""How soon a client asks again for a run when the system did not answer."""


def spec_of(command: Spec, run_id: str) -> dict[str, Any]:
    """What an adapter is told of a run."""
    return {
        "run_id": run_id,
        "workload": command["workload"],
        "steps": command.get("steps", 0),
        "value": "x" * command.get("payload_bytes", 0),
        "step_ms": command.get("step_ms", 0),
        "outside": command.get("outside", False),
    }


async def closed_loop(adapter: Adapter, command: Spec) -> dict[str, Any]:
    """`in_flight` runs at any time; counted is what ends within `seconds`, after `warm_up_s`. Lets all end.

    When fewer than `in_flight` end within that time, which says too little, everything counts, over the whole time.
    """
    began = time.perf_counter() + command["warm_up_s"]
    until = began + command["seconds"]
    within: list[float] = []
    everything: list[float] = []

    async def one_after_the_other() -> None:
        while (asked := time.perf_counter()) < until:
            await adapter.run(spec_of(command, uuid4().hex))
            ended = time.perf_counter()
            everything.append(ended - asked)
            if began <= ended < until:
                within.append(ended - asked)

    started = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(command["in_flight"])))
    counted, seconds = within, command["seconds"]
    if len(within) < command["in_flight"]:
        counted, seconds = everything, time.perf_counter() - started
    return {"runs": len(counted), "all_runs": len(everything), "seconds": seconds, "times_ms": _in_ms(counted)}


async def open_loop(adapter: Adapter, command: Spec) -> dict[str, Any]:
    """`runs_per_s` are asked for whether or not earlier ones have ended. A time counts from when it was due."""
    count = int(command["runs_per_s"] * command["seconds"])
    began = time.perf_counter()
    times: list[float] = []

    async def one(number: int) -> None:
        due = began + number / command["runs_per_s"]
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await adapter.run(spec_of(command, uuid4().hex))
        times.append(time.perf_counter() - due)

    await asyncio.gather(*(one(number) for number in range(count)))
    return {"runs": len(times), "seconds": time.perf_counter() - began, "times_ms": _in_ms(times)}


async def race(adapter: Adapter, command: Spec) -> dict[str, Any]:
    """Ask for the runs that are not known to have ended, `in_flight` at a time; ask again for what got no answer."""
    pending = iter(command["run_ids"])
    errors: list[str] = []

    async def one_after_the_other() -> None:
        for run_id in pending:
            while True:
                try:
                    note("asked", run=run_id)
                    await adapter.run(spec_of(command, run_id))
                    note("done", run=run_id)
                    break
                except Exception as error:  # noqa: BLE001 - a client whose system was killed asks again
                    errors.append(f"{type(error).__name__}: {error}"[:200])
                    await asyncio.sleep(RETRY_S)

    await asyncio.gather(*(one_after_the_other() for _ in range(command["in_flight"])))
    return {"errors": len(errors), "first_errors": errors[:3]}


async def bring_to_wait(adapter: Adapter, command: Spec) -> dict[str, Any]:
    """Bring `runs` runs to a durable wait, `in_flight` at a time."""
    pending = iter(range(command["runs"]))
    began = time.perf_counter()

    async def one_after_the_other() -> None:
        for _ in pending:
            await adapter.wait(spec_of(command, uuid4().hex))

    await asyncio.gather(*(one_after_the_other() for _ in range(command["in_flight"])))
    return {"seconds": time.perf_counter() - began}


async def until_answered(adapter: Adapter, command: Spec) -> dict[str, Any]:
    """Ask for one run, again and again until it ends: the end of a restart."""
    run_id = uuid4().hex
    began = time.perf_counter()
    while True:
        try:
            await adapter.run(spec_of(command, run_id))
            return {"seconds": time.perf_counter() - began}
        except Exception:  # noqa: BLE001 - it is not up yet
            await asyncio.sleep(0.02)


def _in_ms(times: list[float]) -> list[float]:
    return [round(seconds * 1_000, 2) for seconds in times]
