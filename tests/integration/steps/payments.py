"""A workflow whose only step leaves a line in a ledger outside of Kafka: what really happened."""

import asyncio
import os
from pathlib import Path

from logkeel.workflow import CHECKED, IDEMPOTENT, KEYED, NONE, ONCE, EffectDeclaration, State, StepContext, Workflow

EFFECTS: dict[str, EffectDeclaration] = {
    "NONE": NONE,
    "IDEMPOTENT": IDEMPOTENT,
    "KEYED": KEYED,
    "CHECKED": CHECKED,
    "ONCE": ONCE,
}


class Payment(State):
    """What is paid."""

    amount: int


def enter(ledger: Path, entry: str) -> None:
    """The effect: one line, there once this returns."""
    with ledger.open("a") as lines:
        lines.write(f"{entry}\n")


def entries(ledger: Path) -> list[str]:
    """What has happened."""
    return ledger.read_text().splitlines() if ledger.exists() else []


def payments(
    effect: str, ledger: Path, *, stop_after_call: bool = False, name: str = "payments", queue: str = "default"
) -> "Workflow[Payment]":
    """The workflow with its step declared as `effect`; it may die right after its effect."""
    workflow = Workflow(name, state=Payment, queue=queue)

    @workflow.step(effect=EFFECTS[effect], timeout="10s")
    async def charge(amount: int, step: StepContext) -> None:
        enter(ledger, f"{step.idempotency_key} {amount}")
        if stop_after_call:
            os.kill(os.getpid(), 9)
        await asyncio.sleep(0)

    if effect == "CHECKED":

        @charge.check
        async def charged(amount: int, step: StepContext) -> bool:
            return f"{step.idempotency_key} {amount}" in entries(ledger)

    workflow.flow(charge)
    return workflow
