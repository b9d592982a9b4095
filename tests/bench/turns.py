"""W7 by the turn: what each call of the model leaves on the log. In memory, by the production engine and worker.

Nothing here takes a time, so it says the same on any machine, busy or not.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.bench.application import size_of
from tests.bench.flow_workflows import Model, agent_code, agent_loop, open_model

from logkeel.log import TopicPartition
from logkeel.records import RunCompleted, StartRun
from logkeel.testing.memory import MemoryApplication

AGENTS = {"code": agent_code, "loop": agent_loop}
RUN_ID = "talk"


@dataclass(frozen=True)
class Turn:
    """Records and bytes (key and value) that one turn added, by the name of the topic."""

    records: Mapping[str, int]
    size_bytes: Mapping[str, int]

    def total(self, *, without: str | None = None) -> tuple[int, int]:
        """(records, bytes) on all topics, or on all but one."""
        names = [name for name in self.records if name != without]
        return sum(self.records[name] for name in names), sum(self.size_bytes[name] for name in names)


COMMANDS = "commands"
"""What asks a worker to execute a step: carries what the step reads."""


def turns_of(form: str, turns: int, message_bytes: int) -> list[Turn]:
    """Play the agent; what was added from each call of its model to the next one, so one turn less than were made.

    A heartbeat or a start of a run falls into no turn of a run in memory. Raises AssertionError if the run fails.
    """
    workflow, marks = AGENTS[form], list[dict[str, tuple[int, int]]]()

    class Watched(Model):
        async def reply(self, messages: list[str]) -> str:
            marks.append(written())
            return await super().reply(messages)

    @asynccontextmanager
    async def open_watched() -> AsyncIterator[Model]:
        yield Watched()

    with MemoryApplication([workflow], resources={open_model: open_watched}) as application:
        names, cluster = application.names, application.cluster
        topics = {
            COMMANDS: names.step_commands("default"),
            "answers": names.step_results,
            "events": names.run_events,
            "changelog": names.run_state,
        }

        def written() -> dict[str, tuple[int, int]]:
            return {name: _records_and_bytes(cluster, topic) for name, topic in topics.items()}

        inputs = workflow.encode_input({"value": "x" * message_bytes, "turns": turns})
        start = StartRun(workflow=workflow.name, version="1", run_id=RUN_ID, request_id=RUN_ID, inputs=inputs)
        application.send(start, key=RUN_ID)
        application.run_until(lambda: application.outcome(RUN_ID) is not None)
        outcome = application.outcome(RUN_ID)
    assert isinstance(outcome, RunCompleted), outcome
    assert outcome.status == "succeeded", outcome
    assert len(marks) == turns, f"{len(marks)} calls of the model"
    return [_between(before, after) for before, after in pairwise(marks)]


def _records_and_bytes(cluster: Any, topic: str) -> tuple[int, int]:
    records = [entry.record for entry in cluster.log(TopicPartition(topic, 0)).entries if entry.record is not None]
    return len(records), sum(map(size_of, records))


def _between(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> Turn:
    return Turn(
        {name: after[name][0] - before[name][0] for name in after},
        {name: after[name][1] - before[name][1] for name in after},
    )
