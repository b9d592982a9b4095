"""Steps that outlast any patience, for `logkeel worker`: each leaves a line in the ledger named by LEDGER."""

import asyncio
import os
import time
from pathlib import Path

from tests.integration.steps.payments import Payment, enter

from logkeel.workflow import KEYED, ONCE, StepContext, Workflow

SECONDS = 120.0
LEDGER = Path(os.environ.get("LEDGER", "ledger"))

keyed: "Workflow[Payment]" = Workflow("keyed", state=Payment)
once: "Workflow[Payment]" = Workflow("once", state=Payment)
handed: "Workflow[Payment]" = Workflow("handed", state=Payment)


def outlast(step: StepContext) -> None:
    """The first execution sleeps on; a later one returns at once."""
    enter(LEDGER, f"{step.step} {step.dispatch}")
    if step.dispatch == 1:
        time.sleep(SECONDS)


@keyed.step(effect=KEYED, timeout=None)
def pay_with_key(amount: int, step: StepContext) -> None:
    """A plain function."""
    outlast(step)


@once.step(effect=ONCE, timeout=None)
def pay_once(amount: int, step: StepContext) -> None:
    """A plain function that may not be repeated."""
    outlast(step)


@handed.step(effect=KEYED, timeout=None)
async def hand_over(amount: int, step: StepContext) -> None:
    """On a thread that Python joins when it ends."""
    await asyncio.to_thread(outlast, step)


keyed.flow(pay_with_key)
once.flow(pay_once)
handed.flow(hand_over)
