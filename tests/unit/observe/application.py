"""An application in memory whose engine and workers are watched, and workflows that wait in every way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from logkeel.exactly_once import LoopPorts, LoopSettings, SeveralObservers, TransactionalLoop
from logkeel.exactly_once.batch import Overlay, PartitionBatch
from logkeel.observe.engine import EngineMetrics
from logkeel.observe.registry import Metrics
from logkeel.observe.standing import Standing, survey_of
from logkeel.observe.worker import StepMetrics
from logkeel.runs import DefinitionReader, RunProcessor, RunSettings
from logkeel.runs.rows.ledger import Ledger
from logkeel.runs.rows.run_rows import load_run
from logkeel.simulation import MemoryStoreDirectory
from logkeel.steps import StepObserver, StepWorker, WorkerOptions
from logkeel.steps.bound import RunnableWorkflow
from logkeel.testing.memory import MemoryApplication
from logkeel.workflow import Append, Fail, State, StepContext, Workflow, each, human, parallel, rescue


class Desk(State):
    """What is worked on."""

    folder: str
    documents: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    length: int | None = None
    lengths: Annotated[list[int], Append] = []  # noqa: RUF012  # pydantic copies defaults
    left: str | None = None
    right: str | None = None
    decision: Literal["approve", "reject"] | None = None


desk = Workflow("desk", state=Desk, returns="decision")


@desk.step(writes=lambda s: s.documents, timeout="5s")
def find(folder: str) -> list[str]:
    return folder.split(",")


@desk.step(writes=lambda s: s.length, timeout="5s")
def read(document: str, step: StepContext) -> int:
    step.used(tokens=10)
    if document == "torn" and step.attempt == 1:
        raise OSError("torn")
    return len(document)


@desk.step(writes=lambda s: s.left, timeout="5s")
def go_left() -> str:
    return "left"


@desk.step(writes=lambda s: s.right, timeout="5s")
def go_right() -> str:
    raise Fail("no_way")


@desk.step(writes=lambda s: s.right, timeout="5s")
def turn_back() -> str:
    return "back"


desk.flow(
    find,
    each("documents", read, item="document", value="length", collect="lengths", concurrency=2),
    parallel(go_left, rescue(go_right, on={"no_way": turn_back})),
    human("approve", shows=["left"], writes="decision", timeout="48h", on_timeout="reject"),
)


class WatchedApplication(MemoryApplication):
    """With metrics; `observers`: who else watches the worker. Commands say which execution led to them."""

    def __init__(
        self,
        workflows: "Sequence[Workflow[Any]]",
        *,
        observers: tuple[StepObserver, ...] = (),
        resources: Mapping[Any, Any] | None = None,
    ) -> None:
        self.metrics = Metrics()
        self._observers = observers
        self._stores = MemoryStoreDirectory()
        super().__init__(workflows, resources=resources, settings=RunSettings(traces_causes=True))

    def _make_engine(self, settings: RunSettings | None) -> TransactionalLoop:
        self.watch = EngineMetrics(self.metrics, self.cluster.clock.now_ms)
        return TransactionalLoop(
            LoopPorts(self.client, self.cluster.clock, self._stores),
            RunProcessor(self.names, partitions=1, settings=settings, observer=self.watch),
            LoopSettings(application="memory", group_id=self.names.engine_group, background_threads=False),
            side_source=DefinitionReader(
                self.client.reader("read_committed"), self.client.admin(), self.names.workflow_definitions
            ),
            observer=SeveralObservers((self.watch,)),
        )

    def restart_engine(self) -> None:
        """Another engine, with metrics of its own, goes on where this one stops."""
        self._engine.close()
        self.metrics = Metrics()
        self._engine = self._make_engine(None)
        self._engine.start()

    def _make_worker(
        self, workflows: Sequence[RunnableWorkflow], directory: Path, options: WorkerOptions
    ) -> StepWorker:
        observers = (StepMetrics(self.metrics, options.queue), *self._observers)
        return super()._make_worker(workflows, directory, replace(options, observers=observers))

    def surveyed(self) -> Standing | None:
        """Where the runs stand by the rows themselves; None while no partition runs."""
        state = self._engine._owned.states.get(0)
        if state is None or not state.active:
            return None
        rows = Overlay(PartitionBatch(state), 0, 1 << 30)
        standing = Standing()
        for run_id in Ledger(rows).open_runs("", 1_000):
            run = load_run(rows, run_id)
            if run is not None:
                standing.apply(survey_of(run))
        return standing

    def values(self) -> dict[str, float]:
        """What a scrape sees, by series."""
        lines = [line.rsplit(" ", 1) for line in self.metrics.text().decode().splitlines() if line[:1] != "#"]
        return {name: float(value) for name, value in lines}
