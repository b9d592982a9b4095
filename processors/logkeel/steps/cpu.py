"""Processes for `cpu=True` steps: they compute beside the worker, and can be ended. A shell file.

A process is started (spawned) when it is needed and kept for the next call. Python is not shared with it, so
heartbeats, polling and other steps go on whatever it does. A call that is killed takes its process with it, and nobody
else's.
"""

import atexit
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from logkeel.errors import StepProcessDied, StepSignatureError
from logkeel.steps.cpu_child import Answer, Call, serve
from logkeel.steps.threads import DaemonThreads

KILLED_WITHIN_S: Final = 1.0


class _RemoteTraceback(Exception):
    """The cause of an error that was raised in another process: where it was raised there."""


class CpuCall:
    """One call on its way. `kill` may come at any time and from any thread; the call has ended when it returns."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._killed = False

    def kill(self) -> None:
        """End it, and what it would still do."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                _kill(self._process)

    def take(self, process: SpawnProcess) -> bool:
        """From now on `process` runs it; False if it was killed before."""
        with self._lock:
            if not self._killed:
                self._process = process
            return not self._killed

    def give_back(self) -> None:
        """The process has answered, and is nobody's again."""
        with self._lock:
            self._process = None

    @property
    def killed(self) -> bool:
        """Whether somebody ended it."""
        return self._killed


class CpuProcesses:
    """At most `size` calls at once, each in a process of its own; the others wait."""

    def __init__(self, size: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._threads = DaemonThreads(size, name="logkeel-cpu")
        self._lock = threading.Lock()
        self._idle: list[tuple[SpawnProcess, Connection]] = []
        self._all: set[SpawnProcess] = set()
        self._closed = False
        # Runs before multiprocessing's own, which would ask them to end and wait for it.
        atexit.register(self.close)

    def submit(self, call: CpuCall) -> "Future[Any]":
        """Run it. The future raises what the function raises, `StepProcessDied`, and `StepSignatureError` for what
        cannot be pickled. Not safe to be called from several threads.
        """
        return self._threads.submit(lambda: self._run(call))

    def close(self) -> None:
        """Kill every process; calls that run raise `StepProcessDied`. Idempotent."""
        with self._lock:
            self._closed = True
            processes, self._all = self._all, set()
            self._idle.clear()
        self._threads.close()
        for process in processes:
            _kill(process)
        atexit.unregister(self.close)

    def _run(self, call: CpuCall) -> Any:
        try:
            sent = pickle.dumps(call.call)
        except Exception as error:  # whatever a value's own code raises
            message = f"an argument of {call.call.name} cannot be sent to a process: {error}; cpu steps take plain data"
            raise StepSignatureError(message, step=call.call.name) from error
        process, pipe = self._process()
        if not call.take(process):
            self._idle.append((process, pipe))
            raise StepProcessDied("it was ended before it began")
        try:
            pipe.send_bytes(sent)
            received = pipe.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._died(process, call) from error
        call.give_back()
        if call.killed:
            raise self._died(process, call)
        self._idle.append((process, pipe))
        return _result(pickle.loads(received))  # noqa: S301 - from our own process

    def _process(self) -> tuple[SpawnProcess, Connection]:
        """An idle process or a new one."""
        with suppress(IndexError):
            while True:
                process, pipe = self._idle.pop()
                if process.is_alive():
                    return process, pipe
                self._all.discard(process)
        with self._lock:
            if self._closed:
                raise StepProcessDied("the worker ends")
            ours, theirs = self._context.Pipe()
            # A daemon may have no children of its own, which a library that computes in parallel may want.
            process = self._context.Process(target=serve, args=(theirs,), name="logkeel-cpu", daemon=False)
            process.start()
            theirs.close()
            self._all.add(process)
            return process, ours

    def _died(self, process: SpawnProcess, call: CpuCall) -> StepProcessDied:
        process.join(KILLED_WITHIN_S)
        with self._lock:
            self._all.discard(process)
        code = process.exitcode
        reason = "it was killed" if call.killed else _reason(code)
        return StepProcessDied(f"the process of {call.call.name} ended without an answer: {reason}", exit_code=code)


def cpu_call(function: Callable[..., Any], arguments: dict[str, Any]) -> CpuCall:
    """The call of an author's function, which is found again by its place."""
    return CpuCall(Call(function.__module__, function.__qualname__, arguments))


def processes_at_once(concurrency: int) -> int:
    """How many processes a worker of this concurrency has: one for each step, and no more than there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(concurrency, cores))


def _result(answer: Answer) -> Any:
    if answer.error is not None:
        raise answer.error from _RemoteTraceback(f"\n{answer.stack}")
    return answer.result


def _reason(exit_code: int | None) -> str:
    if exit_code is None:
        return "it closed its pipe"
    if exit_code == -9:
        return "signal 9; if nobody killed it, the machine ran out of memory"
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def _kill(process: SpawnProcess) -> None:
    with suppress(ValueError):
        process.kill()
        process.join(KILLED_WITHIN_S)
