"""An agent of many turns whose every call leaves a line outside of Kafka, and a worker process that runs it.

Run as a module: bootstrap prefix state_dir ledger.
"""

import sys
import threading
from pathlib import Path
from typing import Any

from tests.integration.steps.payments import enter

from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.records.topics import TopicNames
from logkeel.steps import StepWorker, WorkerOptions
from logkeel.workflow import StepContext, Workflow, durable


def agent(ledger: Path) -> "Workflow[Any]":
    """`call n` is written by the call, `known n` by the code once the call has returned, replayed or not."""

    @durable(name="agent")
    async def code(step: StepContext, turns: int) -> int:
        async def model(turn: int) -> int:
            enter(ledger, f"call {turn}")
            return turn

        said = 0
        for turn in range(turns):
            said += await step.run("model", model, turn)
            enter(ledger, f"known {turn}")
        await step.sleep("1s")
        return said

    return code


def main() -> None:
    """Work until killed."""
    bootstrap, prefix, state_dir, ledger = sys.argv[1:]
    worker = StepWorker(
        KafkaLogClient(bootstrap),
        [agent(Path(ledger))],
        names=TopicNames(prefix),
        clock=SystemClock(),
        state_dir=Path(state_dir),
        options=WorkerOptions(slot=0),
    )
    worker.run(threading.Event())


if __name__ == "__main__":
    main()
