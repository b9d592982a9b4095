"""How one command becomes one answer: inputs, check, resources, call, result. On the loop; knows no topics.

`except Exception` stands here because this is the step call boundary: whatever an author's code raises is an answer.
"""

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from msgspec.structs import replace

from logkeel.log import Clock
from logkeel.records import (
    FieldWrite,
    JournalEntry,
    StepCommand,
    StepFailed,
    StepNeedsState,
    StepRefused,
    StepReleased,
    StepSucceeded,
    StepSuspended,
)
from logkeel.steps.answers import cut_off, error_info, failed, in_doubt, refused, stopped, succeeded
from logkeel.steps.attempt import Attempt, WorkerStepContext, run_view_of
from logkeel.steps.bound import BoundCheck, BoundFunction, BoundStep
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.cpu import CpuProcesses, cpu_call, processes_at_once
from logkeel.steps.emitting import Emissions
from logkeel.steps.journal.calls import UNSEEN, Caller, CallSeen
from logkeel.steps.journal.lease import Lease
from logkeel.steps.journal.session import EntryValues, Journal, SendEntry, Stopped
from logkeel.steps.journal.yielding import yielded
from logkeel.steps.kept import KeptLists, NeedsState
from logkeel.steps.refusing import NotForThisWorker
from logkeel.steps.resources import ResourcePool
from logkeel.steps.threads import DaemonThreads
from logkeel.steps.values import StepValues

CLAIM_VALID_S = 2.0
"""A claim older than this is made again before the call (P39): well below the session time-out of 10 s."""

Outcome = StepSucceeded | StepFailed | StepRefused | StepNeedsState | StepSuspended | StepReleased


class ClaimTooOld(Exception):
    """The claim must be made again; nothing has been called."""


class Execution:
    """Runs attempts, one call of `answer` each. `emit` takes what steps emit, from any thread.

    `calling` surrounds each try of a journaled call.
    """

    def __init__(
        self,
        catalog: StepCatalog,
        clock: Clock,
        *,
        holder: str,
        resources: ResourcePool,
        threads: DaemonThreads | None,
        send_entry: SendEntry | None = None,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._holder = holder
        self._resources = resources
        self._threads = threads
        self._processes: CpuProcesses | None = None
        self._values = StepValues(catalog.payloads, clock, threaded=threads is not None)
        self._kept = KeptLists(catalog.keeping)
        self._send_entry = send_entry or _nobody
        self.emit: Callable[[Emissions, bytes], None] | None = None
        self.calling: Callable[[Attempt, CallSeen], AbstractContextManager[None]] = lambda *_: UNSEEN

    async def answer(self, attempt: Attempt) -> Outcome:
        """Execute. Raises `ClaimTooOld` and `asyncio.CancelledError` only."""
        command = attempt.command
        step = self._catalog.find(command)
        if step is None:
            return refused(command, self._holder, f"no {command.identity.step} of {command.workflow}@{command.version}")
        try:
            attempt.inputs = self._kept.whole(command)
            ready: Callable[[Attempt], None] = self._fresh
            if command.check_first and step.check is not None:
                writes = await self._checked(attempt, step.check)
                if writes is not None:
                    return self._success(attempt, writes, from_check=True)
                # The claim was tested before the check; again, and a slow check would be asked for ever.
                ready = _any_age
            arguments = await self._arguments(attempt, step)
            ready(attempt)
            self._begin(attempt)
            self._values.called(attempt, step)
            if attempt.lease is not None and step.is_async:
                result = await self._durably(attempt, step, arguments, attempt.lease)
            else:
                result = await self._call(attempt, step, arguments)
            writes = await self._values.writes(attempt, step.encode_result(result))
            return self._success(attempt, writes, from_check=False)
        except ClaimTooOld:
            raise
        except NotForThisWorker as error:
            return refused(command, self._holder, str(error))
        except NeedsState as error:
            return StepNeedsState(identity=command.identity, holder=self._holder, fields=error.fields)
        except Stopped as stop:
            return stopped(command, self._holder, stop.why, times_ms=self._times(attempt), used=attempt.used)
        except Exception as error:  # noqa: BLE001 - the step call boundary
            return self.failure(attempt, error)

    def close(self) -> None:
        """End the processes of steps and the threads that values are prepared on."""
        self._values.close()
        if self._processes is not None:
            self._processes.close()

    def failure(self, attempt: Attempt, error: BaseException) -> StepFailed:
        """The answer to an exception."""
        info = error_info(error, called=attempt.called, once=attempt.command.effect == "ONCE")
        doubt = in_doubt(attempt.command, info, called=attempt.called)
        times_ms = self._times(attempt)
        return failed(attempt.command, self._holder, info, times_ms=times_ms, in_doubt=doubt, used=attempt.used)

    def cut(self, attempt: Attempt) -> StepFailed:
        """The answer of an attempt that was stopped from outside. What was under way has not been told: no use is."""
        info = cut_off(attempt.command, attempt.cut or "cancelled", called=attempt.called)
        doubt = in_doubt(attempt.command, info, called=attempt.called)
        return failed(attempt.command, self._holder, info, times_ms=self._times(attempt), in_doubt=doubt)

    def _success(self, attempt: Attempt, writes: tuple[FieldWrite, ...], *, from_check: bool) -> StepSucceeded:
        reads = self._kept.references(attempt.command)
        times_ms = self._times(attempt)
        done = succeeded(attempt.command, self._holder, writes, reads=reads, times_ms=times_ms, from_check=from_check)
        return replace(done, used=dict(attempt.used)) if attempt.used else done

    def _times(self, attempt: Attempt) -> tuple[int, int]:
        return attempt.started_at_ms, self._clock.now_ms()

    async def _checked(self, attempt: Attempt, check: BoundCheck) -> tuple[FieldWrite, ...] | None:
        """Ask whether the effect of a former attempt has happened, no earlier than it could be seen (P35)."""
        not_before_ms = attempt.command.check_not_before_ms or 0
        # Polled, since the clock is a port that knows no wake-up.
        while (wait_ms := not_before_ms - self._clock.now_ms()) > 0:  # noqa: ASYNC110 - see above
            await asyncio.sleep(min(wait_ms, 50) / 1_000)
        self._fresh(attempt)
        arguments = await self._arguments(attempt, check)
        writes = check.encode_answer(await self._call(attempt, check, arguments))
        return None if writes is None else await self._values.writes(attempt, writes)

    def _fresh(self, attempt: Attempt) -> None:
        if attempt.start.claimed and self._clock.monotonic_s() - attempt.claimed_at_s > CLAIM_VALID_S:
            raise ClaimTooOld

    async def _arguments(self, attempt: Attempt, bound: BoundFunction) -> dict[str, Any]:
        arguments = await self._values.arguments(attempt, bound)
        if bound.resources:
            arguments |= await self._resources.resolve(bound.resources)
        if bound.asks_run_view:
            arguments |= bound.view_arguments(run_view_of(attempt.command))
        if bound.context_parameter is not None:
            arguments[bound.context_parameter] = WorkerStepContext(attempt, send=self.emit)
        return arguments

    async def _durably(self, attempt: Attempt, step: BoundStep, arguments: dict[str, Any], lease: Lease) -> Any:
        """Call a function whose code is durable. Raises `Stopped` where it does not return and does not fail."""
        values = EntryValues(
            seal=partial(self._values.sealed_call, attempt),
            open=partial(self._values.opened_call, attempt),
            open_result=partial(self._values.opened_result, attempt),
        )
        journal = Journal(attempt.command, values, send=self._send_entry, clock=self._clock, lease=lease)
        caller = Caller(journal, partial(self._context_of_call, attempt), self._threads, partial(self.calling, attempt))
        context = arguments.get(step.context_parameter or "")
        if isinstance(context, WorkerStepContext):
            context.durable = (journal, caller)
            context.bound = step
        field = step.yields
        if field is None:
            return await journal.perform(partial(step.function, **arguments))
        elements = step.function(**arguments)
        return await journal.perform(
            partial(yielded, journal, elements, lambda values: step.encode_update({field: values}))
        )

    def _context_of_call(self, attempt: Attempt, key: str, used: dict[str, int] | None) -> WorkerStepContext:
        return WorkerStepContext(attempt, key=key, send=self.emit, used=used)

    async def _call(self, attempt: Attempt, bound: BoundFunction, arguments: dict[str, Any]) -> Any:
        if bound.is_async:
            return await bound.function(**arguments)
        if self._threads is None:
            return bound.function(**arguments)
        if bound.is_cpu:
            return await self._call_process(attempt, bound, arguments, self._threads.size)
        call = partial(contextvars.copy_context().run, partial(bound.function, **arguments))
        attempt.thread = self._threads.submit(call)
        return await asyncio.wrap_future(attempt.thread)

    async def _call_process(
        self, attempt: Attempt, bound: BoundFunction, arguments: dict[str, Any], concurrency: int
    ) -> Any:
        self._processes = self._processes or CpuProcesses(processes_at_once(concurrency))
        call = cpu_call(bound.function, arguments)
        attempt.kill = call.kill
        attempt.thread = self._processes.submit(call)
        return await asyncio.wrap_future(attempt.thread)

    def _begin(self, attempt: Attempt) -> None:
        """Right before the call. A loop that was blocked may come here late: nothing is called after the deadline."""
        if attempt.deadline_s is not None and self._clock.monotonic_s() >= attempt.deadline_s:
            attempt.cut = attempt.cut or "timeout"
        if attempt.cut is not None:
            raise asyncio.CancelledError
        attempt.called = True


def _nobody(command: StepCommand, entry: JournalEntry, kept: Callable[[], None]) -> None:
    raise RuntimeError("nobody sends entries of journals")


def _any_age(_: Attempt) -> None:
    return None


__all__ = ["CLAIM_VALID_S", "ClaimTooOld", "Execution", "Outcome"]
