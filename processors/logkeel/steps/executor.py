"""Where user code runs: an asyncio loop on its own thread, plain functions in a pool. A shell file: threads live here.

Batches go to the loop with one wake-up each. Outcomes are handed to `report` on the loop's thread, exactly one for each
start: `forget` or the deadline may settle an attempt first, then its late outcome is dropped. Inline (given a loop)
everything runs on the caller's thread inside `pump`, plain functions too, so that tests and `try_out` are repeatable.
"""

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

import structlog

from logkeel.log import Clock
from logkeel.records import JournalEntry, StepCommand
from logkeel.steps.attempt import Attempt, new_attempt
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.emitting import Emissions
from logkeel.steps.execution import ClaimTooOld, Execution, Outcome
from logkeel.steps.machine.messages import Key, StartStep
from logkeel.steps.observing import StepObserver, Unwatched
from logkeel.steps.resources import Overrides, ResourcePool
from logkeel.steps.threads import DaemonThreads

INLINE_WAIT_S = 0.01
BLOCKED_AFTER_S = 1.0
CUT_GRACE_S = 1.0
"""How long a cut attempt may take to end before it is reported without waiting: its code blocks the loop."""

ACKNOWLEDGED_AFTER_S = 0.001
ASKED_FOR_S = 0.05
"""Entries of journals are waited for by code: their acknowledgements are asked for on the loop every millisecond, for

so long; then the polling thread, which comes by every 20 ms, will do: the broker does not answer.
"""

log = structlog.get_logger("logkeel.worker", role="worker")


@runtime_checkable
class InlineLoop(Protocol):
    """An event loop that never waits; `logkeel.simulation` has one."""

    def run_ready(self) -> None:
        """Run what can run now."""
        ...

    def is_ready(self) -> bool:
        """Whether anything can."""
        ...

    def next_due_s(self) -> float | None:
        """When something can, by the monotonic clock."""
        ...


class Report(Protocol):
    """Takes what became of an attempt. `outcome` None: the claim expired; `slot_free` False: a thread still runs."""

    def __call__(self, attempt: Attempt, outcome: Outcome | None, *, slot_free: bool) -> None: ...


class EntrySender(Protocol):
    """Sends entries of journals, each with what is to be called once it is durable, on whatever thread."""

    def send_entry(self, command: StepCommand, entry: JournalEntry, kept: Callable[[], None]) -> None: ...

    def serve(self) -> None:
        """Ask for acknowledgements, without waiting."""
        ...


class StepExecutor:
    """Runs starts concurrently. Methods are called on the polling thread unless they say otherwise."""

    def __init__(
        self,
        catalog: StepCatalog,
        clock: Clock,
        *,
        holder: str,
        concurrency: int,
        loop: asyncio.AbstractEventLoop | None = None,
        overrides: Overrides | None = None,
    ) -> None:
        """`loop` None: threads. Otherwise inline, on that loop; one with `run_ready` is never waited for."""
        threaded = loop is None
        self.enforces_deadlines = True
        self._clock = clock
        self._loop = loop or asyncio.new_event_loop()
        self._inline = self._loop if isinstance(self._loop, InlineLoop) else None
        self._resources = ResourcePool(overrides)
        self._pool = DaemonThreads(concurrency, name="logkeel-step") if threaded else None
        self._execution = Execution(
            catalog,
            clock,
            holder=holder,
            resources=self._resources,
            threads=self._pool,
            send_entry=self._send_entry,
        )
        self._open: dict[Key, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._cutting = threading.Lock()
        self._ticked_s = self._tick_asked_s = 0.0
        self._report: Report = _unheard
        self._slot_freed: Callable[[], None] = _nothing
        self._entries: EntrySender | None = None
        self._observer: StepObserver = Unwatched()
        self._entries_sent = self._entries_kept = 0
        self._entry_waits: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._serve, name="logkeel-loop", daemon=True) if threaded else None

    def open(
        self,
        report: Report,
        slot_freed: Callable[[], None],
        entries: EntrySender | None = None,
        *,
        emit: Callable[[Emissions, bytes], None] | None = None,
    ) -> None:
        """Begin to serve; callbacks may come from any thread. `entries` is for steps with a journal, `emit` takes what
        steps emit.
        """
        self._execution.emit = emit
        self._report, self._slot_freed, self._entries = report, slot_freed, entries
        self._ticked_s = self._tick_asked_s = self._clock.monotonic_s()
        if self._thread is not None:
            self._thread.start()

    def watched_by(self, observer: StepObserver) -> None:
        """Who is told when executions begin and of their calls; say so before `open`."""
        self._observer, self._execution.calling = observer, observer.calling

    @property
    def running(self) -> int:
        """Executions that have begun and not reported."""
        return len(self._open)

    def submit(self, starts: Sequence[StartStep], *, claimed_at_s: float) -> None:
        """Start these executions."""
        now_ms, now_s = self._clock.now_ms(), self._clock.monotonic_s()
        attempts = [new_attempt(start, claimed_at_s=claimed_at_s, now_ms=now_ms, now_s=now_s) for start in starts]
        for attempt in attempts:
            if not self.enforces_deadlines:
                attempt.deadline_s = None
            self._open[attempt.key] = attempt
        self._soon(self._begin, attempts)

    def soon(self, function: Callable[[], None]) -> None:
        """Call it on the loop, behind everything that can run there now. From any thread.

        Raises RuntimeError when the loop has ended.
        """
        on_loop = self._thread is not None and self._thread.ident == threading.get_ident()
        (self._loop.call_soon if on_loop else self._loop.call_soon_threadsafe)(function)

    def attempt(self, key: Key) -> Attempt | None:
        """An execution that has not reported."""
        return self._open.get(key)

    def cancel(self, key: Key, reason: str) -> None:
        """Cut an execution off; it reports, once its code has ended if its effect was claimed. From any thread."""
        attempt = self._open.get(key)
        if attempt is None:
            return
        with self._cutting:
            if attempt.cut is not None:
                return
            attempt.cut, attempt.cut_at_s = reason, self._clock.monotonic_s()
        self._soon(self._cancel_task, attempt)

    def forget(self, key: Key) -> Attempt | None:
        """Stop an execution and drop its outcome. None: it has reported already, and its report stands."""
        attempt = self._open.pop(key, None)
        if attempt is not None:
            attempt.slot_owed = True
            attempt.cut = attempt.cut or "drained"
            self._soon(self._cancel_task, attempt)
        return attempt

    def enforce(self) -> None:
        """Cut what is over its deadline; report what did not end although cut; name what blocks the loop.

        Deadlines are kept by the loop's own timers; this is for a loop that is blocked, and for inline running.
        """
        now_s = self._clock.monotonic_s()
        for attempt in list(self._open.values()):
            if attempt.cut is None and attempt.deadline_s is not None and now_s >= attempt.deadline_s:
                self.cancel(attempt.key, "timeout")
            elif attempt.cut is not None and now_s >= attempt.cut_at_s + CUT_GRACE_S and self._thread is not None:
                self._did_not_end(attempt)
        if self._thread is not None:
            self._watch(now_s)

    def rests_ms(self, now_s: float) -> float | None:
        """How long until a deadline is over or a step goes on, inline; None if one is, or can."""
        dues_s = [each.deadline_s for each in self._open.values() if each.cut is None and each.deadline_s is not None]
        if self._tasks:
            if self._inline is None or self._inline.is_ready():
                return None
            if (due_s := self._inline.next_due_s()) is not None:
                dues_s.append(due_s)
        left_s = min(dues_s, default=float("inf")) - now_s
        return 1_000 * left_s if left_s > 0 else None

    def pump(self) -> bool:
        """Inline: run until an attempt ends or a moment has passed. Returns whether one ended."""
        if self._thread is not None or not self._tasks:
            return False
        if self._inline is not None:
            left = len(self._tasks)
            self._inline.run_ready()
            return len(self._tasks) < left
        # An entry that was sent is acknowledged by the caller's next turn, so there is nothing to wait for here.
        self._entry_waits = self._loop.create_future()
        until = {*self._tasks, self._entry_waits}
        waiting = asyncio.wait(until, timeout=INLINE_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        done, _ = self._loop.run_until_complete(waiting)
        return bool(done - {self._entry_waits})

    def close(self) -> None:
        """Cancel what is left, close the resources, end the thread. Plain functions still running are abandoned."""
        if self._loop.is_closed():
            return
        if self._thread is None:
            self._loop.run_until_complete(self._end())
        elif self._thread.is_alive():
            ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
            _wait(ending)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5.0)
        self._execution.close()
        if self._pool is not None:
            self._pool.close()
        if not self._loop.is_running():
            self._loop.close()

    # On the loop ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _soon(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._thread is None:
            function(*arguments)
        else:
            self._loop.call_soon_threadsafe(function, *arguments)

    def _begin(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            if attempt.deadline_s is not None and self._thread is not None:
                delay_s = max(0.0, attempt.deadline_s - self._clock.monotonic_s())
                attempt.timer = self._loop.call_later(delay_s, self.cancel, attempt.key, "timeout")
            attempt.task = self._loop.create_task(self._run(attempt))
            self._tasks.add(attempt.task)
            attempt.task.add_done_callback(self._tasks.discard)

    async def _run(self, attempt: Attempt) -> None:
        # A task cancelled before its first step never enters its coroutine, so nobody would settle the attempt.
        attempt.begun = True
        self._observer.began(attempt)
        outcome: Outcome | None = None
        try:
            if attempt.cut is None:
                outcome = await self._execution.answer(attempt)
        except ClaimTooOld:
            outcome = None
        except asyncio.CancelledError as error:
            if attempt.cut is None:
                outcome = self._execution.failure(attempt, error)
        if attempt.timer is not None:
            attempt.timer.cancel()
        if attempt.cut is not None and (outcome is None or not attempt.must_end):
            outcome = self._execution.cut(attempt)
        running = attempt.thread is not None and not attempt.thread.done() and not attempt.thread.cancel()
        if running and attempt.thread is not None:
            attempt.thread.add_done_callback(lambda _: self._slot_freed())
        self._finish(attempt, outcome, slot_free=not running)

    def _cancel_task(self, attempt: Attempt) -> None:
        if attempt.task is None or not attempt.begun:
            return
        if attempt.thread is not None and attempt.kill is not None:
            if attempt.thread.cancel():
                attempt.called = False  # It waited for a process.
            else:
                attempt.kill()
        elif attempt.must_end and attempt.thread is not None and attempt.cut != "drained":
            if not attempt.thread.cancel():
                return  # A thread cannot be cut: what it returns or raises is the answer.
            attempt.called = False
        attempt.task.cancel()

    def _did_not_end(self, attempt: Attempt) -> None:
        if not attempt.must_end:
            self._finish(attempt, self._execution.cut(attempt), slot_free=False)
        elif not attempt.overdue_reported:
            attempt.overdue_reported = True
            it = attempt.command.identity
            log.warning("step_outlives_its_end", reason=attempt.cut, step=it.step, run_id=it.run_id, path=it.path)

    def _finish(self, attempt: Attempt, outcome: Outcome | None, *, slot_free: bool) -> None:
        """The first to take the attempt out of the table speaks for it (`dict.pop` is atomic)."""
        if self._open.get(attempt.key) is attempt and self._open.pop(attempt.key, None) is attempt:
            attempt.slot_owed = not slot_free
            self._report(attempt, outcome, slot_free=slot_free)
        elif attempt.slot_owed and slot_free:
            self._slot_freed()

    # Entries of journals ----------------------------------------------------------------------------------------

    def _send_entry(self, command: StepCommand, entry: JournalEntry, kept: Callable[[], None]) -> None:
        if self._entries is None:
            raise RuntimeError("nobody sends entries of journals")
        if self._entries_sent == self._entries_kept and self._thread is not None:
            self._loop.call_later(ACKNOWLEDGED_AFTER_S, self._ask_for_entries, self._loop.time() + ASKED_FOR_S)
        self._entries_sent += 1
        self._entries.send_entry(command, entry, lambda: self._entry_durable(kept))
        if self._entry_waits is not None and not self._entry_waits.done():
            self._entry_waits.set_result(None)

    def _entry_durable(self, kept: Callable[[], None]) -> None:
        """On any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._soon(self._entry_kept, kept)

    def _entry_kept(self, kept: Callable[[], None]) -> None:
        self._entries_kept += 1
        kept()

    def _ask_for_entries(self, until_s: float) -> None:
        if self._entries is None or self._entries_kept == self._entries_sent:
            return
        self._entries.serve()
        if self._loop.time() < until_s:
            self._loop.call_later(ACKNOWLEDGED_AFTER_S, self._ask_for_entries, until_s)

    async def _end(self) -> None:
        # Nobody is left to hear of them: their outcomes are dropped, the next holder asks.
        self._open.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._resources.close()

    # Watchdog ---------------------------------------------------------------------------------------------------

    def _watch(self, now_s: float) -> None:
        if self._ticked_s >= self._tick_asked_s:
            if now_s - self._tick_asked_s >= BLOCKED_AFTER_S / 4:
                self._tick_asked_s = now_s
                self._loop.call_soon_threadsafe(self._tick, now_s)
        elif now_s - self._tick_asked_s >= BLOCKED_AFTER_S:
            self._name_the_blocker()

    def _tick(self, asked_s: float) -> None:
        self._ticked_s = asked_s

    def _name_the_blocker(self) -> None:
        task = asyncio.current_task(self._loop)
        attempt = next((it for it in list(self._open.values()) if it.task is task), None)
        if attempt is None or attempt.blocked_reported or self._thread is None:
            return
        attempt.blocked_reported = True
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        identity = attempt.command.identity
        log.warning("step_blocks_the_loop", step=identity.step, run_id=identity.run_id, path=identity.path, stack=stack)


def _wait(ending: "Future[None]") -> None:
    try:
        ending.result(5.0)
    except TimeoutError:
        log.warning("steps_did_not_end")


def _unheard(attempt: Attempt, outcome: Outcome | None, *, slot_free: bool) -> None:
    raise RuntimeError("open() comes first")


def _nothing() -> None:
    return None
