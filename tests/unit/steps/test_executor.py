"""User code beside the polling thread: outcomes, time-outs, blocking code."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import Annotated

import msgspec
import pytest
import structlog
from tests.unit.steps.commands import SOURCE, command

from logkeel.kafka import SystemClock
from logkeel.records import Effect, StepCommand, StepFailed, StepRefused, StepSucceeded
from logkeel.steps.attempt import Attempt, new_attempt
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.execution import Outcome
from logkeel.steps.executor import StepExecutor
from logkeel.steps.machine.messages import StartStep, key_of
from logkeel.workflow import CHECKED, NONE, ONCE, Resource, State, Workflow

release = threading.Event()
opened: list[str] = []
hanging = threading.Event()


@asynccontextmanager
async def open_mailer() -> AsyncIterator[str]:
    opened.append("open")
    yield "mailer"
    opened.append("closed")


@asynccontextmanager
async def open_stubborn() -> AsyncIterator[str]:
    """Hangs while `hanging` is set, and does not end when it is told to."""
    opened.append("tried")
    while hanging.is_set() and not release.is_set():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)
    yield "stubborn"
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
    def slow() -> None:
        release.wait(20)

    @it.step(effect=NONE)
    async def block() -> None:
        release.wait(20)

    @it.step(effect=ONCE)
    async def block_once() -> None:
        release.wait(20)

    @it.step(effect=ONCE)
    async def needs(thing: Annotated[str, Resource(open_stubborn)]) -> None:
        opened.append(thing)

    @it.step(effect=CHECKED)
    async def looked_for() -> None:
        await asyncio.sleep(60)

    @looked_for.check
    async def look() -> None:
        await asyncio.sleep(0.3)

    @it.step(effect=CHECKED)
    async def mail(mailer: Annotated[str, Resource(open_mailer)]) -> None:
        opened.append(mailer)

    @mail.check
    async def mailed() -> bool:
        return next(happened)

    it.flow(hang, stuck, slow, block, block_once, needs, looked_for, mail)
    return it


class Bench:
    """An executor and what it reports."""

    def __init__(self) -> None:
        it = workflow()
        self.digest = it.definition().digest
        self.reports: Queue[tuple[Outcome | None, bool]] = Queue()
        self.freed = threading.Event()
        self.executor = StepExecutor(StepCatalog([it]), SystemClock(), holder="me", concurrency=2)
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
    hanging.clear()
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


def test_a_deadline_needs_no_polling_thread(bench: Bench) -> None:
    bench.start(bench.command("hang", timeout_ms=50))
    outcome, _ = bench.reports.get(timeout=10)
    assert isinstance(outcome, StepFailed)
    assert outcome.error.kind == "timeout"


def test_one_deadline_covers_check_and_call(bench: Bench) -> None:
    started = bench.start(bench.command("looked_for", "CHECKED", check_first=True, timeout_ms=500))
    attempt = bench.executor.attempt(key_of(started.command.identity))
    assert attempt is not None
    began = (attempt.started_at_ms, attempt.deadline_s)
    outcome, _ = bench.outcome()
    assert isinstance(outcome, StepFailed)
    assert attempt.called
    assert (attempt.started_at_ms, attempt.deadline_s) == began
    assert outcome.started_at_ms == began[0]


def test_a_claim_made_again_keeps_the_deadline_and_a_check_that_waits_begins_later() -> None:
    asked = msgspec.structs.replace(command(0, effect="CHECKED"), timeout_ms=1_000)
    again = StartStep(SOURCE, 0, asked, claimed=True, since_ms=9_800)
    first = new_attempt(again, claimed_at_s=0.0, now_ms=10_000, now_s=50.0)
    assert (first.started_at_ms, first.deadline_s) == (9_800, 50.8)
    later = msgspec.structs.replace(asked, check_first=True, check_not_before_ms=10_500)
    waiting = new_attempt(StartStep(SOURCE, 0, later, claimed=True), claimed_at_s=0.0, now_ms=10_000, now_s=50.0)
    assert (waiting.started_at_ms, waiting.deadline_s) == (10_500, 51.5)


def test_an_opener_that_hangs_is_cut_and_hangs_nobody_else(bench: Bench) -> None:
    hanging.set()
    bench.start(bench.command("needs", timeout_ms=100))
    outcome, slot_free = bench.outcome()
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.kind, outcome.in_doubt, slot_free) == ("not_done", False, True)
    hanging.clear()
    bench.start(bench.command("needs", timeout_ms=5_000))
    assert isinstance(bench.outcome()[0], StepSucceeded)
    release.set()
    bench.executor.close()
    assert opened == ["tried", "tried", "stubborn", "closed", "closed"]


@pytest.mark.parametrize("step", ["stuck", "block_once"])
def test_a_claimed_effect_reports_what_it_did_once_its_code_has_ended(bench: Bench, step: str) -> None:
    """P35: reported at its deadline, it could be checked, asked about or tried again before its effect."""
    with structlog.testing.capture_logs() as logs:
        bench.start(bench.command(step, timeout_ms=50))
        bench.enforce_until(lambda: any(line["event"] == "step_outlives_its_end" for line in logs))
    assert bench.reports.empty()
    release.set()
    outcome, slot_free = bench.outcome()
    assert isinstance(outcome, StepSucceeded)
    assert slot_free


def test_a_thread_is_reported_at_its_deadline_and_keeps_its_slot(bench: Bench) -> None:
    bench.start(bench.command("slow", "NONE", timeout_ms=50))
    outcome, slot_free = bench.outcome()
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.kind, outcome.in_doubt, slot_free) == ("timeout", False, False)
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
    bench.enforce_until(lambda: bench.executor.forget(Attempt(start, 0.0, 0).key) is not None)
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
