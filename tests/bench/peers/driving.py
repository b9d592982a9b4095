"""The load: closed loop, open loop and the crash race, the same for every system. Standard library only."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from tests.bench.peers.adapters.contract import Adapter
from tests.chaos.outside import note

Spec = Mapping[str, Any]
RETRY_S = 0.1
"""How soon a client asks again for a run when the system did not answer."""

SAMPLE = 64
LEAD = 1.2
LEAST_LEAD_S = 3.0
"""How far ahead timers are due: so many times what their start would take at the pace of a sample, and this."""

BUDGET_S = 30.0


def spec_of(command: Spec, run_id: str) -> dict[str, Any]:
    """What an adapter is told of a run."""
    return {
        "run_id": run_id,
        "workload": command["workload"],
        "shape": command.get("shape", "chain"),
        "width": command.get("width", 0),
        "turns": command.get("turns", 0),
        "until_ms": command.get("until_ms", 0),
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


async def several(adapter: Adapter, command: Spec) -> dict[str, Any]:
    """`runs` runs, `in_flight` at a time: the time of each."""
    times: list[float] = []
    began = time.perf_counter()

    async def one(number: int) -> None:
        asked = time.perf_counter()
        await adapter.run(spec_of(command, uuid4().hex))
        times.append(time.perf_counter() - asked)

    await _at_a_time(command["runs"], command["in_flight"], one)
    return {"seconds": time.perf_counter() - began, "times_ms": _in_ms(times)}


async def approvals(adapter: Adapter, command: Spec) -> dict[str, Any]:
    """`runs` runs, `in_flight` at a time, that ask and are answered at once."""
    asked: list[float] = []
    gone_on: list[float] = []

    async def one(number: int) -> None:
        spec = spec_of(command, uuid4().hex)
        began = time.perf_counter()
        await adapter.ask(spec)
        known = time.perf_counter()
        await adapter.answer(spec)
        asked.append(known - began)
        gone_on.append(time.perf_counter() - known)

    await _at_a_time(command["runs"], command["in_flight"], one)
    return {"asked_ms": _in_ms(asked), "gone_on_ms": _in_ms(gone_on)}


async def timers(adapter: Adapter, command: Spec) -> dict[str, Any]:
    """`runs` runs that sleep until one moment: seconds from then to the end of the first, half and all of them.

    The moment is so far ahead that all can sleep by then, by the pace of the first `SAMPLE` of them. There are fewer
    `runs` if all of them would take longer than `BUDGET_S` to start.
    """
    now_ms = int(time.time() * 1_000)

    async def asleep_at_once(_: int) -> None:
        await adapter.run({**spec_of(command, uuid4().hex), "until_ms": now_ms})

    await _at_a_time(SAMPLE, SAMPLE, asleep_at_once)
    began = time.perf_counter()
    await _at_a_time(SAMPLE, SAMPLE, asleep_at_once)
    pace = SAMPLE / (time.perf_counter() - began)
    runs = max(1, min(command["runs"], int(pace * BUDGET_S)))
    due_s = time.time() + LEAST_LEAD_S + LEAD * runs / pace
    late: list[float] = []

    async def one(_: int) -> None:
        await adapter.run({**spec_of(command, uuid4().hex), "until_ms": int(due_s * 1_000)})
        late.append(time.time() - due_s)

    await _at_a_time(runs, runs, one)
    return {"runs": runs, "first_s": late[0], "half_s": late[len(late) // 2], "all_s": late[-1]}


async def _at_a_time(runs: int, in_flight: int, one: Callable[[int], Awaitable[None]]) -> None:
    pending = iter(range(runs))

    async def one_after_the_other() -> None:
        for number in pending:
            await one(number)

    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))


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
