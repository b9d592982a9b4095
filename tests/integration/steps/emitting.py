"""A step that streams words, slowly, and a worker process that runs it. Run as a module: bootstrap prefix state_dir."""

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.records.topics import TopicNames
from logkeel.steps import StepWorker, WorkerOptions
from logkeel.workflow import State, StepContext, Workflow

WORDS = 60


class Talk(State):
    """How much is said."""

    words: int
    said: str | None = None


def talking() -> "Workflow[Any]":
    """One word every 50 ms."""
    workflow = Workflow("talking", state=Talk, returns="said")

    @workflow.step(writes=lambda s: s.said)
    async def talk(words: int, step: StepContext) -> str:
        for number in range(words):
            step.emit(f"word {number}")
            await asyncio.sleep(0.05)
        return f"{words} words"

    workflow.flow(talk)
    return workflow


def main() -> None:
    """Work until killed."""
    bootstrap, prefix, state_dir = sys.argv[1:]
    worker = StepWorker(
        KafkaLogClient(bootstrap),
        [talking()],
        names=TopicNames(prefix),
        clock=SystemClock(),
        state_dir=Path(state_dir),
        options=WorkerOptions(slot=0),
    )
    worker.run(threading.Event())


if __name__ == "__main__":
    main()
