"""An example in a process of its own on a real broker: started, killed -9 in the middle of a run, started again."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from tests.chaos.processes import Victim

from logkeel.cli.provisioning import apply_application
from logkeel.cli.serving import queues_of
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.client import Client
from logkeel.projection import HistoryReader, RunView
from logkeel.records import RunEvent
from logkeel.workflow import Workflow

LIVENESS_S = 120.0
POLL_S = 0.05
T = TypeVar("T")


class Agent:
    """One workflow, the process that runs it, and a client."""

    def __init__(
        self, bootstrap: str, directory: Path, target: str, workflow: "Workflow[Any]", surroundings: Mapping[str, str]
    ) -> None:
        self.workflow = workflow
        self.settings = Settings(bootstrap_servers=bootstrap, prefix=f"agent{uuid4().hex[:6]}", partitions=2)
        self.log = connect(self.settings)
        apply_application(self.log.admin(), self.settings, queues_of([workflow]))
        environment = {
            "LOGKEEL_BOOTSTRAP_SERVERS": bootstrap,
            "LOGKEEL_PREFIX": self.settings.prefix,
            "LOGKEEL_STATE_DIR": str(directory / "state"),
            "LOGKEEL_LOG_LEVEL": "warning",
            **surroundings,
        }
        command = ["-m", "logkeel.cli.main", "serve", target]
        self.process = Victim("agent", command, directory / "agent.log", environment)
        self.client = Client(self.log, prefix=self.settings.prefix)
        self.history = HistoryReader(self.log, self.settings.names)

    def view(self, run_id: str) -> RunView:
        """The run as it is now; it must be in the history."""
        self.history.poll(POLL_S)
        return self.history.projection.get(run_id)

    def events(self, run_id: str) -> list[RunEvent]:
        """Its whole history, with what belongs to a completion that was seen."""
        self.history.aim()
        self.history.catch_up()
        return list(self.history.projection.history(run_id))

    def until(self, found: Callable[[], T | None]) -> T:
        """Poll until something is found."""
        deadline = time.monotonic() + LIVENESS_S
        while True:
            self.history.poll(POLL_S)
            answer = found()
            if answer:
                return answer
            assert time.monotonic() < deadline, self.process.tail()

    def kill_and_start(self) -> None:
        """kill -9, and a successor."""
        self.process.kill()
        self.process.start()


@contextmanager
def agent(
    bootstrap: str, directory: Path, target: str, workflow: "Workflow[Any]", **surroundings: str
) -> Iterator[Agent]:
    """It runs in the block and has ended behind it. `surroundings`: what the example finds in its environment."""
    made = Agent(bootstrap, directory, target, workflow, surroundings)
    made.process.start()
    try:
        yield made
    finally:
        if made.process.alive:
            made.process.kill()
        made.history.close()
        made.client.close()


def repeated_steps(events: list[RunEvent]) -> list[str]:
    """Steps that were sent again although they had succeeded: there must be none."""
    done: set[str] = set()
    found = []
    for event in events:
        if event.kind == "step_dispatched" and event.path in done:
            found.append(event.path)
        if event.kind == "step_succeeded" and event.path is not None:
            done.add(event.path)
    return found
