"""The chains as logkeel workflows. Served by `logkeel worker` (or `logkeel serve`).

A payload has at most 256 KiB inline and a record 1 MB, so the megabyte of W6 is four fields of a quarter each, written
by four steps one after the other: twelve steps for the three of the other systems, and counted as three.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.flow_workflows import agent_code, agent_loop, approval, fan_out_each, sleeper
from tests.bench.peers import workloads
from tests.bench.peers.adapters.contract import act
from tests.chaos.outside import LEDGER, read

from logkeel.workflow import CHECKED, IDEMPOTENT, KEYED, ONCE, State, StepContext, Workflow

FILE = workloads.load()
TIMEOUT = f"{FILE.race.step_timeout_s:.0f}s"


class Value(State):
    """One value goes through."""

    value: str


class Megabyte(State):
    """A quarter comes in; each of the four is written from the one before it."""

    value: str
    a: str | None = None
    b: str | None = None
    c: str | None = None
    d: str | None = None


def _chain(name: str, steps: int) -> "Workflow[Value]":
    workflow = Workflow(name, state=Value)

    async def hand_on(value: str) -> str:
        return value

    writes: Callable[[Any], Any] = lambda s: s.value  # noqa: E731 - recorded by a proxy
    made = [
        workflow.step(writes=writes, effect=IDEMPOTENT, timeout=TIMEOUT, name=f"s{index}")(hand_on)
        for index in range(steps)
    ]
    workflow.flow(*made)
    return workflow


def _megabyte(name: str, steps: int) -> "Workflow[Megabyte]":
    workflow = Workflow(name, state=Megabyte)

    async def hand_on(value: str) -> str:
        return value

    quarters: list[Callable[[Any], Any]] = [lambda s: s.a, lambda s: s.b, lambda s: s.c, lambda s: s.d]
    made = [
        workflow.step(writes=writes, effect=IDEMPOTENT, timeout=TIMEOUT, name=f"s{index}{quarter}")(hand_on)
        for index in range(steps)
        for quarter, writes in zip("abcd", quarters, strict=True)
    ]
    workflow.flow(*made)
    return workflow


def _race(name: str, effect: Any) -> "Workflow[Value]":
    workflow = Workflow(name, state=Value)

    def one(index: int) -> Any:
        async def call(value: str, step: StepContext) -> str:
            await act(step.run_id, index, FILE.race.step_ms, key=step.idempotency_key, effect=effect.kind)
            return value

        made = workflow.step(writes=lambda s: s.value, effect=effect, timeout=TIMEOUT, name=f"s{index}")(call)
        if effect.kind == "CHECKED":

            @made.check
            async def happened(value: str, step: StepContext) -> str | None:
                return value if _happened(step.run_id, index) else None

        return made

    workflow.flow(*(one(index) for index in range(FILE.race.steps)))
    return workflow


def _waiting(name: str) -> "Workflow[Value]":
    workflow = Workflow(name, state=Value)

    @workflow.step(writes=lambda s: s.value, effect=ONCE, timeout=TIMEOUT)
    async def ask(value: str) -> str:
        """In doubt at once, so a human is asked, who does not answer."""
        raise RuntimeError("in doubt")

    workflow.flow(ask)
    return workflow


def _happened(run_id: str, index: int) -> bool:
    lines = read(Path(os.environ[LEDGER]))
    return any(line["what"] == "effect" and (line["run"], line["step"]) == (run_id, index) for line in lines)


w1 = _chain("W1", FILE.chains["W1"].steps)
w2 = _chain("W2", FILE.chains["W2"].steps)
w6 = _chain("W6-100KB", FILE.chains["W6-100KB"].steps)
w6_megabyte = _megabyte("W6-1MB", FILE.chains["W6-1MB"].steps)
race_idempotent = _race("race-IDEMPOTENT", IDEMPOTENT)
race_keyed = _race("race-KEYED", KEYED)
race_checked = _race("race-CHECKED", CHECKED(settle="100ms"))
race_once = _race("race-ONCE", ONCE)
waiting = _waiting("wait")
__all__ = ["agent_code", "agent_loop", "approval", "fan_out_each", "sleeper"]
