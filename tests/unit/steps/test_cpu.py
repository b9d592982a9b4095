"""`cpu=True`: steps in processes of their own, which can be ended."""

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Annotated, Any

import msgspec
import psutil  # type: ignore[import-untyped]
import pytest
from tests.unit.steps import computing
from tests.unit.steps.commands import SOURCE, command
from tests.unit.steps.computing import PickyError, Point, sums

from logkeel.errors import DefinitionError, Fail, StepProcessDied, StepSignatureError
from logkeel.kafka import SystemClock
from logkeel.records import Effect, FieldValue, Payload, StepFailed, StepSucceeded
from logkeel.steps.attempt import Attempt
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.cpu import CpuCall, CpuProcesses, cpu_call, processes_at_once
from logkeel.steps.execution import Outcome
from logkeel.steps.executor import StepExecutor
from logkeel.steps.machine.messages import StartStep, key_of
from logkeel.workflow import StepContext, Workflow

WAIT_S = 60.0
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def processes() -> Iterator[CpuProcesses]:
    pool = CpuProcesses(2)
    yield pool
    pool.close()


def calling(what: str, points: list[Any] | None = None) -> CpuCall:
    return cpu_call(computing.add.function, {"what": what, "points": points or []})


def ended(process_id: int) -> bool:
    try:
        return bool(psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def until(met: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not met():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.01)


def test_a_call_is_made_in_another_process_that_is_used_again(processes: CpuProcesses) -> None:
    assert processes.submit(calling("sum", [Point(x=3), Point(x=4)])).result(WAIT_S) == 7
    first = processes.submit(calling("pid")).result(WAIT_S)
    assert first != os.getpid()
    assert processes.submit(calling("pid")).result(WAIT_S) == first


def test_errors_come_back_with_their_place(processes: CpuProcesses) -> None:
    with pytest.raises(Fail) as failed:
        processes.submit(calling("fail")).result(WAIT_S)
    assert failed.value.details["failure_code"] == "overflow"
    assert "computing.py" in str(failed.value.__cause__)
    with pytest.raises(RuntimeError, match="PickyError: not made again"):
        processes.submit(calling("picky")).result(WAIT_S)
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(PickyError(3, "x")))  # noqa: S301 - what makes it picky


@pytest.mark.parametrize(("what", "said"), [("exit", "exit code 7"), ("killed", "signal 9; .* out of memory")])
def test_a_process_that_dies_is_an_error_of_its_call_alone(processes: CpuProcesses, what: str, said: str) -> None:
    with pytest.raises(StepProcessDied, match=said):
        processes.submit(calling(what)).result(WAIT_S)
    assert processes.submit(calling("sum")).result(WAIT_S) == 0


def test_what_cannot_be_pickled_is_named(processes: CpuProcesses) -> None:
    with pytest.raises(StepSignatureError, match="the result of add cannot be sent"):
        processes.submit(calling("lock")).result(WAIT_S)
    with pytest.raises(StepSignatureError, match="an argument of add cannot be sent"):
        processes.submit(calling("sum", [threading.Lock()])).result(WAIT_S)


def test_a_killed_call_has_ended_when_kill_returns(processes: CpuProcesses, tmp_path: Path) -> None:
    call = calling(f"busy:{tmp_path}")
    future = processes.submit(call)
    until((tmp_path / "began").exists)
    until(lambda: (tmp_path / "began").read_text() != "")
    call.kill()
    assert ended(int((tmp_path / "began").read_text()))
    with pytest.raises(StepProcessDied, match="it was killed"):
        future.result(WAIT_S)


def test_closing_ends_what_runs_and_refuses_more(tmp_path: Path) -> None:
    pool = CpuProcesses(1)
    running = pool.submit(calling(f"busy:{tmp_path}"))
    waiting = pool.submit(calling("sum"))
    until(lambda: (tmp_path / "began").exists() and (tmp_path / "began").read_text() != "")
    pool.close()
    pool.close()
    with pytest.raises(StepProcessDied):
        running.result(WAIT_S)
    assert waiting.cancelled()
    assert ended(int((tmp_path / "began").read_text()))


def test_there_are_no_more_processes_than_steps_or_cores() -> None:
    assert processes_at_once(1) == 1
    assert 1 <= processes_at_once(10_000) <= (os.cpu_count() or 1)


ORPHAN = """
import os, sys
from tests.unit.steps.test_cpu import calling
from logkeel.steps.cpu import CpuProcesses

if __name__ == "__main__":
    CpuProcesses(1).submit(calling("busy:" + sys.argv[1]))
    sys.stdin.read()
    {ending}
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "sys.exit()", "os._exit(0)"])
def test_a_process_ends_with_its_worker_however_that_ends(tmp_path: Path, ending: str) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN.format(ending=ending))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE
    ) as worker:
        until(lambda: (tmp_path / "began").exists() and (tmp_path / "began").read_text() != "")
        child = int((tmp_path / "began").read_text())
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(WAIT_S)
    until(lambda: ended(child))


class Bench:
    """An executor and what it reports."""

    def __init__(self) -> None:
        self.reports: Queue[tuple[Outcome | None, bool]] = Queue()
        self.freed = threading.Event()
        self.executor = StepExecutor(StepCatalog([sums]), SystemClock(), holder="me", concurrency=1)
        self.executor.open(self.report, self.freed.set)

    def report(self, attempt: Attempt, outcome: Outcome | None, *, slot_free: bool) -> None:
        self.reports.put((outcome, slot_free))

    def start(self, what: str, step: str = "add", effect: Effect = "IDEMPOTENT", **changes: Any) -> StartStep:
        """Begin one."""
        plain = command(0, effect=effect)
        identity = msgspec.structs.replace(plain.identity, step=step, path=f"{step}-{what}")
        inputs = (FieldValue(field="what", revision=1, payload=Payload(encoding="json", data=f'"{what}"'.encode())),)
        digest = sums.definition().digest
        more = {"definition_digest": digest, "inputs": inputs, "timeout_ms": 60_000, "workflow": "sums", **changes}
        start = StartStep(
            SOURCE, 0, msgspec.structs.replace(plain, identity=identity, **more), claimed=effect == "ONCE"
        )
        self.executor.submit([start], claimed_at_s=time.monotonic())
        return start

    def outcome(self) -> Outcome | None:
        """The next report."""
        return self.reports.get(timeout=WAIT_S)[0]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.executor.close()


def failure(outcome: Outcome | None) -> StepFailed:
    assert isinstance(outcome, StepFailed), outcome
    return outcome


def test_the_worker_answers_with_what_the_process_says(bench: Bench) -> None:
    bench.start("sum")
    assert isinstance(bench.outcome(), StepSucceeded)
    bench.start("exit")
    died = failure(bench.outcome()).error
    assert (died.code, died.kind) == ("step_process_died", "retryable")
    assert "exit code 7" in died.message
    bench.start("fail")
    failed = failure(bench.outcome()).error
    assert (failed.code, failed.kind) == ("overflow", "fatal")
    assert "computing.py" in (failed.stack or "")


@pytest.mark.parametrize(("effect", "in_doubt"), [("IDEMPOTENT", False), ("ONCE", True)])
def test_a_step_that_is_cut_is_killed_and_reported_at_once(
    bench: Bench, tmp_path: Path, effect: Effect, in_doubt: bool
) -> None:
    """Unlike a thread, a process can be cut: so even a claimed effect is reported, and nothing of it is to come."""
    start = bench.start(f"busy:{tmp_path}", "launch" if effect == "ONCE" else "add", effect)
    until(lambda: (tmp_path / "began").exists() and (tmp_path / "began").read_text() != "")
    bench.executor.cancel(key_of(start.command.identity), "timeout")
    answer = failure(bench.outcome())
    assert (answer.error.code, answer.in_doubt) == ("timeout", in_doubt)
    assert ended(int((tmp_path / "began").read_text()))
    bench.start("sum")
    assert isinstance(bench.outcome(), StepSucceeded)


def test_a_step_that_waited_for_a_process_was_not_called(bench: Bench, tmp_path: Path) -> None:
    bench.start(f"busy:{tmp_path}")
    until((tmp_path / "began").exists)
    start = bench.start("sum", "launch", "ONCE")
    key = key_of(start.command.identity)
    until(lambda: (it := bench.executor.attempt(key)) is not None and it.thread is not None)
    bench.executor.cancel(key, "timeout")
    answer = failure(bench.outcome())
    assert (answer.error.kind, answer.in_doubt) == ("not_done", False)


async def test_in_memory_it_is_a_plain_function() -> None:
    assert await sums.try_out(what="pid") == os.getpid()


def _declared() -> "Workflow[Any]":
    return Workflow("x", state=computing.Sums)


def step_in_a_module(what: str) -> None:
    """Where another process finds it."""


def step_with_context(what: str, step: StepContext) -> None:
    """Takes what lives in the worker."""


async def step_that_waits(what: str) -> None:
    """Needs no process."""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (step_with_context, "takes the StepContext"),
        (step_that_waits, "is async"),
        (lambda what: None, "inside of a function"),
    ],
)
def test_what_no_process_can_do_is_refused_when_it_is_declared(function: Any, said: str) -> None:
    function.__name__ = "it"
    with pytest.raises(DefinitionError, match=said):
        _declared().step(cpu=True, effect=sums.steps["launch"].settings.effect)(function)


def test_resources_stay_in_the_worker() -> None:
    from contextlib import asynccontextmanager

    from logkeel.workflow import Resource

    @asynccontextmanager
    async def opener() -> Any:
        yield None

    def step(what: str, thing: Annotated[str, Resource(opener)]) -> None:
        return None

    with pytest.raises(DefinitionError, match=r"takes resources, which live in the worker: thing[\s\S]*inside of a"):
        _declared().step(cpu=True, effect=sums.steps["launch"].settings.effect)(step)
