"""What the run processor itself costs: `python -m tests.bench.engine`. No broker and no worker; one core. `--metrics`:

with somebody who counts.

The production processor on the production batch, in the order of the loop, on RocksDB; without the broker's client.
Nothing waits here, so it compares two states of the code on any machine; absolute figures are the machine's.
"""

import argparse
import gc
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from tests.bench.application import NUMBER
from tests.bench.workflow import noop

from logkeel.cli.garbage import settle
from logkeel.exactly_once.batch import Batch
from logkeel.exactly_once.cache import RowCache
from logkeel.exactly_once.changelog import add_position_rows
from logkeel.exactly_once.collecting import Collector
from logkeel.exactly_once.committing import follow
from logkeel.exactly_once.observer import BatchCounts, Unobserved
from logkeel.exactly_once.partition import PartitionState
from logkeel.exactly_once.port import SideEvent
from logkeel.exactly_once.settings import LoopSettings
from logkeel.log import Record
from logkeel.observe.engine import EngineMetrics
from logkeel.observe.registry import Metrics
from logkeel.records import FieldReference, FieldWrite, Payload, StartRun, StepCommand, StepSucceeded
from logkeel.records.topics import TopicNames
from logkeel.runs.processor.definitions import PUBLISHED, READY
from logkeel.runs.processor.run_processor import RunProcessor
from logkeel.runs.rows.ledger import awaited_workflow
from logkeel.simulation import SimulatedClock
from logkeel.tables import RocksStoreDirectory
from logkeel.wire import decode, encode

NAMES = TopicNames("bench")
BATCH_RECORDS = 250
STEPS = 3


@dataclass
class Engine:
    """One partition of a run processor. `took_s`: processor time spent in it."""

    folder: Path
    watch: EngineMetrics | None = None
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    took_s: float = 0.0
    completed: int = 0

    def __post_init__(self) -> None:
        self.processor = RunProcessor(NAMES, partitions=1, observer=self.watch)
        settings = LoopSettings(application="bench", group_id="bench")
        self.collector = Collector(self.processor, settings, self.clock, Unobserved())
        store = RocksStoreDirectory(self.folder).open(self.processor.table, 0)
        self.state = PartitionState(0, store, RowCache(settings.cache_rows))
        self.state.positions = dict.fromkeys(self.processor.inputs, 0)
        self.state.active = True
        batch = Batch()
        definition = SideEvent(PUBLISHED, noop.definition())
        ready = SideEvent(READY, awaited_workflow(noop.name, None))
        self.collector.ready(batch, self.state, self.clock.now_ms(), [definition, ready])
        self._commit(batch)

    def play(self, values: list[bytes], topic: str) -> list[StepCommand]:
        """Process these records; the commands that came of them."""
        begin = self.state.positions[topic]
        now_ms = self.clock.now_ms()
        records = [Record(topic, 0, begin + place, now_ms, None, value) for place, value in enumerate(values)]
        commands: list[StepCommand] = []
        while records:
            began = time.process_time()
            batch = Batch()
            taken = self.collector.records(batch, records[:BATCH_RECORDS], {0: self.state}, now_ms)
            self._commit(batch)
            self.took_s += time.process_time() - began
            records = records[taken:]
            for output in batch.outputs:
                if output.topic == NAMES.run_completions:
                    self.completed += 1
                elif output.topic == NAMES.step_commands("default"):
                    command = decode(output.value or b"")
                    assert isinstance(command, StepCommand)
                    commands.append(command)
        return commands

    def _commit(self, batch: Batch) -> None:
        for part in batch.touched.values():
            add_position_rows(part)
            part.state.store.write(part.rows)
            follow(part)
        if self.watch is not None:
            self.watch.batch_committed(
                BatchCounts(
                    records=batch.records,
                    timers=batch.timers,
                    outputs=len(batch.outputs),
                    rows=sum(len(part.rows) for part in batch.touched.values()),
                    poison=batch.poison,
                    process_s=0.0,
                    commit_s=0.0,
                )
            )


def answer(command: StepCommand) -> bytes:
    """A worker's answer: hands its input on."""
    (value,) = command.inputs
    written = {"one": "first", "two": "second", "three": "third"}[command.identity.step]
    return encode(
        StepSucceeded(
            identity=command.identity,
            holder="worker-00",
            started_at_ms=command.dispatched_at_ms,
            finished_at_ms=command.dispatched_at_ms,
            writes=(FieldWrite(field=written, payload=Payload(encoding="json", data=b"7")),),
            reads=(FieldReference(field=value.field, revision=value.revision),),
        )
    )


def measure(runs: int, width: int, *, metrics: bool = False) -> float:
    """Microseconds of processor time per step over `runs` runs, `width` at once."""
    gc.collect()
    with tempfile.TemporaryDirectory(prefix="logkeel-bench-") as folder:
        watch = EngineMetrics(Metrics(), lambda: 0) if metrics else None
        return _measure(Engine(Path(folder), watch), runs, width)


def _measure(engine: Engine, runs: int, width: int) -> float:
    for first in range(0, runs, width):
        ids = [UUID(int=number + 1).hex for number in range(first, first + width)]
        starts = [
            encode(StartRun(workflow="noop", run_id=run_id, request_id=run_id, inputs=(NUMBER,))) for run_id in ids
        ]
        commands = engine.play(starts, NAMES.run_requests)
        while commands:
            commands = engine.play([answer(command) for command in commands], NAMES.step_results)
    assert engine.completed >= runs, f"{engine.completed} of {runs} runs have ended"
    return engine.took_s * 1e6 / (STEPS * engine.completed)


def main() -> None:
    """Print one line per round."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine", description=__doc__)
    parser.add_argument("--runs", type=int, default=5_000)
    parser.add_argument("--width", type=int, default=250, help="runs at once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--metrics", action="store_true", help="count as an engine with --metrics-port does")
    options = parser.parse_args()
    settle()
    times = sorted(measure(options.runs, options.width, metrics=options.metrics) for _ in range(options.rounds))
    print(f"{times[0]:.1f} - {times[len(times) // 2]:.1f} - {times[-1]:.1f} us of the run processor per step")


if __name__ == "__main__":
    main()
