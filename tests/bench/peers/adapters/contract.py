"""What an adapter is. Runs in the environment of the system that it adapts, so: standard library only.

Two programs use it. The *driver* asks for runs and waits for their ends; the *worker* runs steps. A library that runs
steps inside the process that asks for them (LangGraph, DBOS) has no worker apart: its driver is what is measured and
what is killed.
"""

import asyncio
import base64
import os
import random
from collections.abc import Mapping
from typing import Any, Protocol

from tests.chaos.outside import note


class Adapter(Protocol):
    """Asks for runs. All methods run on one event loop."""

    async def open(self) -> None:
        """Connect; after this runs may be asked for."""

    async def run(self, spec: Mapping[str, Any]) -> None:
        """One run from request to known end. The same `run_id` again must attach to that run, never start another.

        `spec`: `run_id`, `shape`, `steps`, `value`, `step_ms`, `outside` (whether the steps write to the outside
        ledger). Shapes: `chain` of `steps`; `fan-out` to `width`; `sleeper` until `until_ms`, by the clock of the
        machine; `agent-code` and `agent-loop` of `turns`.
        """

    async def ask(self, spec: Mapping[str, Any]) -> None:
        """Start one run that asks a human; return when the client knows of the question."""

    async def answer(self, spec: Mapping[str, Any]) -> None:
        """Approve; return when the run, which has one more step, is known to have ended."""

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Bring one run, which holds `value`, to a durable wait; return when it is known to wait."""

    async def close(self) -> None:
        """Disconnect."""


async def step(spec: Mapping[str, Any], index: int, value: str) -> str:
    """What each step of each system does: nothing, or take its time and have an effect outside."""
    if spec["outside"]:
        await act(spec["run_id"], index, spec["step_ms"])
    return value


async def spread(value: str, width: int) -> list[str]:
    """The first step of a fan-out: the items."""
    return [value] * width


async def merge(results: list[str]) -> int:
    """Its last one."""
    return len(results)


async def reply(messages: list[str]) -> str:
    """The model of an agent: a message of the size of the first one, which no compression makes small."""
    noise = random.Random(len(messages)).randbytes(len(messages[0]))
    return base64.b64encode(noise).decode()[: len(messages[0])]


async def act(run_id: str, index: int, step_ms: float, **more: str) -> None:
    """Begin, take the time, have the effect. `more` goes into the ledger, e.g. the key that the outside system gets."""
    note("begin", run=run_id, step=index, **more)
    await asyncio.sleep(step_ms / 1_000)
    note("effect", run=run_id, step=index, **more)


def setting(name: str) -> str:
    """What the harness passes on to the processes of a system."""
    return os.environ[f"PEER_{name}"]
