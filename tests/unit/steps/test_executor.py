"""User code beside the polling thread: outcomes, time-outs, blocking code."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Queue
from typing import Annotated

import msgspec
import pytest
import structlog
from tests.unit.steps.commands import SOURCE, command

from logkeel.kafka import SystemClock
from logkeel.records import Effect, StepCommand, StepFailed, StepRefused, StepSucceeded
from logkeel.steps.attempt import Attempt
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.execution import Outcome
from logkeel.steps.executor import StepExecutor
from logkeel.steps.machine.messages import StartStep
from logkeel.workflow import CHECKED, NONE, ONCE, Resource, State, Workflow

release = threading.Event()
opened: list[str] = []


@asynccontextmanager
async def open_mailer() -> AsyncIterator[str]:
    opened.append("open")
    yield "mailer"
    opened.append("closed")


class Empty(State):
    """No fields."""


def workflow() -> "Workflow[Empty]":
    it = Workflow("payments", state=Empty)
    happened = iter((False, True))

    @it.step(effect=ONCE)
    async def hang() -> None:
        await asyncio.sleep(60)

    @it.step(effect=ONCE)
    def stuck() -> None:
        release.wait(20)

    @it.step(effect=NONE)
    async def block() -> None:
        release.wait(20)

    @it.step(effect=CHECKED)
    async def mail(mailer: Annotated[str, Resource(open_mailer)]) -> None:
        opened.append(mailer)

    @mail.check
    async def mailed() -> bool:
        return next(happened)

    it.flow(hang, stuck, block, mail)
    return it


class Bench:
    """An executor and what it reports."""

    def __init__(self) -> None:
        it = workflow()
        self.digest = it.definition().digest
        self.reports: Queue[tuple[Outcome | None, bool]] = Queue()
        self.freed = threading.Event()
        self.executor = StepExecutor(StepCatalog([it]), SystemClock(), holder="me", concurrency=2, threaded=True)
        self.executor.open(self.report, self.freed.set)

    def report(self, attempt: Attempt, outcome: Outcome | None, *, slot_free: bool) -> None:
        self.reports.put((outcome, slot_free))

    def command(self, step: str, effect: Effect = "ONCE", **changes: object) -> StepCommand:
        plain = command(0, effect=effect)
        identity = msgspec.structs.replace(plain.identity, step=step)
        return msgspec.structs.replace(plain, identity=identity, **{"definition_digest": self.digest, **changes})

    def start(self, what: StepCommand, *, age_s: float = 0.0) -> StartStep:
        start = StartStep(SOURCE, 0, what, claimed=what.effect in ("ONCE", "CHECKED"))
        self.executor.submit([start], claimed_at_s=time.monotonic() - age_s)
        return start

    def outcome(self) -> tuple[Outcome | None, bool]:
        self.enforce_until(lambda: not self.reports.empty())
        return self.reports.get_nowait()

    def enforce_until(self, done: Callable[[], bool], timeout_s: float = 10.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline_s
            self.executor.enforce()
            threading.Event().wait(0.01)


@pytest.fixture
def bench() -> Iterator[Bench]:
    release.clear()
    opened.clear()
    it = Bench()
    yield it
    release.set()
    it.executor.close()


def test_an_async_step_is_cancelled_at_its_deadline(bench: Bench) -> None:
    bench.start(bench.command("hang", timeout_ms=50))
    outcome, slot_free = bench.outcome()
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.kind, outcome.in_doubt, slot_free) == ("timeout", True, True)


def test_a_thread_is_reported_at_its_deadline_and_keeps_its_slot(bench: Bench) -> None:
    bench.start(bench.command("stuck", timeout_ms=50))
    outcome, slot_free = bench.outcome()
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.kind, outcome.in_doubt, slot_free) == ("timeout", True, False)
    assert not bench.freed.is_set()
    release.set()
    assert bench.freed.wait(5)
    assert bench.reports.empty()


def test_a_step_that_blocks_the_loop_is_named_and_reported(bench: Bench) -> None:
    with structlog.testing.capture_logs() as logs:
        bench.start(bench.command("block", "NONE", timeout_ms=1_000))
        outcome, slot_free = bench.outcome()
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.kind, slot_free) == ("timeout", False)
    named = [line for line in logs if line["event"] == "step_blocks_the_loop"]
    assert [line["step"] for line in named] == ["block"]
    assert Path(__file__).name in named[0]["stack"]
    release.set()
    assert bench.freed.wait(5)


def test_an_old_claim_is_not_used(bench: Bench) -> None:
    bench.start(bench.command("hang"), age_s=60.0)
    assert bench.outcome() == (None, True)


def test_a_forgotten_step_reports_nothing(bench: Bench) -> None:
    start = bench.start(bench.command("hang"))
    bench.enforce_until(lambda: bench.executor.forget(Attempt(start, 0.0, 0).key))
    assert bench.freed.wait(5)
    assert bench.reports.empty()


def test_another_version_is_refused(bench: Bench) -> None:
    bench.start(bench.command("hang", definition_digest="other"))
    assert isinstance(bench.outcome()[0], StepRefused)


def test_the_check_decides_whether_the_step_runs(bench: Bench) -> None:
    asked = bench.command("mail", "CHECKED", check_first=True)
    bench.start(asked)
    first, _ = bench.outcome()
    bench.start(asked)
    second, _ = bench.outcome()
    assert isinstance(first, StepSucceeded)
    assert isinstance(second, StepSucceeded)
    assert [first.from_check, second.from_check] == [False, True]
    bench.executor.close()
    assert opened == ["open", "mailer", "closed"]
