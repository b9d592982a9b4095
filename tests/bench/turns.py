"""W7 by the turn: what each call of the model leaves on the log. In memory, by the production engine and worker.

Nothing here takes a time, so it says the same on any machine, busy or not.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

from tests.bench.application import size_of
from tests.bench.flow_workflows import Model, agent_code, agent_loop, open_model

from logkeel.log import Record, TopicPartition
from logkeel.records import RunCompleted, StartRun, StepHeartbeat
from logkeel.simulation.partition_log import PartitionLog
from logkeel.testing.memory import MemoryApplication
from logkeel.wire import decode

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

    Heartbeats, which come by the clock, do not count. Engine and worker go on side by side, so the engine's records of
    a turn may stand in the next one: look at several together. Raises AssertionError if the run fails.
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
        names = application.names
        topics = {
            COMMANDS: names.step_commands("default"),
            "answers": names.step_results,
            "events": names.run_events,
            "changelog": names.run_state,
        }

        meters = {name: _Meter(application.cluster.log(TopicPartition(topic, 0))) for name, topic in topics.items()}

        def written() -> dict[str, tuple[int, int]]:
            return {name: meter.read() for name, meter in meters.items()}

        inputs = workflow.encode_input({"value": "x" * message_bytes, "turns": turns})
        start = StartRun(workflow=workflow.name, version="1", run_id=RUN_ID, request_id=RUN_ID, inputs=inputs)
        application.send(start, key=RUN_ID)
        application.run_until(lambda: application.outcome(RUN_ID) is not None)
        outcome = application.outcome(RUN_ID)
    assert isinstance(outcome, RunCompleted), outcome
    assert outcome.status == "succeeded", outcome
    assert len(marks) == turns, f"{len(marks)} calls of the model"
    return [_between(before, after) for before, after in pairwise(marks)]


class _Meter:
    """Records and bytes of a partition so far, heartbeats left out."""

    def __init__(self, log: PartitionLog) -> None:
        self._log = log
        self._seen = self._records = self._size_bytes = 0

    def read(self) -> tuple[int, int]:
        """Look at what is new."""
        for entry in self._log.entries[self._seen :]:
            if entry.record is not None and not _is_heartbeat(entry.record):
                self._records += 1
                self._size_bytes += size_of(entry.record)
        self._seen = len(self._log.entries)
        return self._records, self._size_bytes


def _is_heartbeat(record: Record) -> bool:
    return record.topic.endswith("step-results") and isinstance(decode(record.value or b""), StepHeartbeat)


def _between(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> Turn:
    return Turn(
        {name: after[name][0] - before[name][0] for name in after},
        {name: after[name][1] - before[name][1] for name in after},
    )
