"""Observers: each of several hears everything; what a worker gives back has its end, too; restores count down."""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.ledger.ledger import Ledger, LedgerTopics, Posting
from tests.unit.observe.application import WatchedApplication

from logkeel.exactly_once import LoopPorts, LoopSettings, Observer, SeveralObservers, TransactionalLoop, Unobserved
from logkeel.log import OutputRecord
from logkeel.records import StartRun
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster
from logkeel.steps import StepObserver, StepWorker, WorkerOptions
from logkeel.steps.attempt import Attempt
from logkeel.steps.bound import RunnableWorkflow
from logkeel.steps.execution import Outcome
from logkeel.steps.logged import outcome_of
from logkeel.steps.observing import SeveralStepObservers, Unwatched
from logkeel.workflow import NONE, State, Workflow


def methods(port: type) -> dict[str, int]:
    """Names of a port's methods, and how many arguments they take."""
    found = inspect.getmembers(port, inspect.isfunction)
    return {name: len(inspect.signature(each).parameters) - 1 for name, each in found if not name.startswith("_")}


class Noted:
    """Notes every call."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        def note(*arguments: Any) -> Any:
            self.heard.append((name, arguments))
            return Unwatched().calling(*arguments) if name == "calling" else None

        return note


@pytest.mark.parametrize(("port", "several"), [(Observer, SeveralObservers), (StepObserver, SeveralStepObservers)])
def test_each_of_several_hears_everything(port: type, several: Any) -> None:
    first, second = Noted(), Noted()
    both = several((first, second))
    expected = []
    for name, count in methods(port).items():
        arguments = tuple(object() for _ in range(count))
        result = getattr(both, name)(*arguments)
        if name == "calling":
            with result:
                pass
        expected.append((name, arguments))
    assert first.heard == second.heard == expected != []


class Empty(State):
    """No fields."""


slow = Workflow("slow", state=Empty)


@slow.step(effect=NONE, timeout="60s")
async def hang() -> None:
    await asyncio.sleep(30)


slow.flow(hang)


class Ends(Unwatched):
    """What became of executions."""

    def __init__(self) -> None:
        self.happened: list[str] = []

    def began(self, attempt: Attempt) -> None:
        self.happened.append("began")

    def ended(self, attempt: Attempt, outcome: Outcome | None, now_ms: int) -> None:
        self.happened.append(outcome_of(outcome))


class Draining(WatchedApplication):
    """Its worker has no time to drain."""

    def _make_worker(
        self, workflows: Sequence[RunnableWorkflow], directory: Path, options: WorkerOptions
    ) -> StepWorker:
        return super()._make_worker(workflows, directory, replace(options, drain_s=0.0))


def test_an_execution_that_is_given_back_at_the_end_of_a_drain_has_an_end() -> None:
    ends = Ends()
    with Draining([slow], observers=(ends,)) as application:
        application.send(StartRun(workflow="slow", run_id="r"), key="r")
        assert application.run_until(lambda: ends.happened == ["began"])
        (worker,) = application._workers
        worker.request_drain()
        assert application.run_until(lambda: worker.drained)
    assert ends.happened == ["began", "released"]


class Restoring(Unobserved):
    """What was left, after each bite."""

    def __init__(self) -> None:
        self.left: list[int] = []

    def restoring(self, remaining: Mapping[int, int]) -> None:
        self.left.append(sum(remaining.values()))


def test_what_is_left_of_a_restore_goes_down_to_nothing() -> None:
    topics, cluster, stores = LedgerTopics("sim"), SimulatedCluster(), MemoryStoreDirectory()
    cluster.client().admin().create_topics(topics.plans(1))
    settings = LoopSettings(application="sim", group_id="sim", background_threads=False, restore_bite_ms=0)
    watch = Restoring()
    for life in range(2):
        for number in range(40):
            posting = Posting(id=f"{life}-{number}", target="0-a", amount=1)
            record = OutputRecord(topics.deposits, b"a", msgspec.json.encode(posting), 0)
            cluster.client().producer().produce(record)
        watch = Restoring()
        ports = LoopPorts(cluster.client(), cluster.clock, stores)
        loop = TransactionalLoop(ports, Ledger(topics), settings, observer=watch)
        loop.start()
        for _ in range(60):
            if not loop.turn():
                cluster.advance(100)
        loop.close()
        stores.destroy(Ledger.table, 0)
    assert watch.left[-1] == 0
    assert watch.left == sorted(watch.left, reverse=True)
