"""One execution of durable code: its lanes, its entries on their way, and how it is brought to a stop. On the loop.

Who runs counts as active: the code itself, and each branch of a `gather` in the place of who opened it. A wait that is
not over takes its lane out; when nobody is active any more, all code waits, and the execution ends as suspended. Any
such end is told by `Stopped`, and to the code by cancelling it: a call that may not go on never returns, so that no
`except Exception` takes it for a failure of its own.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar

from msgspec.structs import replace

from logkeel.errors import JournalDiverged, PayloadTooLarge, StepSignatureError
from logkeel.log import Clock
from logkeel.records import ErrorInfo, FieldValue, FieldWrite, JournalEntry, StepCommand, WaitKind
from logkeel.records.limits import MAX_FIELDS_BYTES, fields_bytes, journal_bytes
from logkeel.steps.journal.book import Book, Lane, Place
from logkeel.steps.journal.lease import Lease
from logkeel.steps.refusing import NotForThisWorker
from logkeel.workflow.current import CURRENT

T = TypeVar("T")

ENDING_S = 1.0
"""How long cancelled code may take to end before the execution is reported without it."""


@dataclass(frozen=True, slots=True)
class Suspended:
    """All code waits, for the entries at these positions."""

    positions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallInDoubt:
    """Nobody knows whether the call at this position has had its effect (P35)."""

    position: str
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """The step may have been given to somebody else: nothing that must not happen twice may begin here (P39)."""


@dataclass(frozen=True, slots=True)
class NotHere:
    """This process cannot read the journal; another one may."""

    reason: str


@dataclass(frozen=True, slots=True)
class WentAnotherWay:
    """The code does not make the calls of its journal."""

    error: JournalDiverged


@dataclass(frozen=True, slots=True)
class BeginsAnew:
    """The code goes on as new, with these writes and without its journal."""

    writes: tuple[FieldWrite, ...]


Stop: TypeAlias = Suspended | CallInDoubt | LeaseLost | NotHere | WentAnotherWay | BeginsAnew


class Stopped(Exception):
    """The execution ends before its code has; `why` says how."""

    def __init__(self, why: Stop) -> None:
        super().__init__(str(why))
        self.why = why


@dataclass(frozen=True, slots=True)
class EntryValues:
    """Results on their way into entries and out of them: compressed, encrypted, kept elsewhere, as the worker does it.

    `seal` takes the writes and what they are, for its errors; `open` and `open_result` (of a child run) raise
    `NotForThisWorker`.
    """

    seal: Callable[[Sequence[FieldWrite], str], Awaitable[tuple[FieldWrite, ...]]]
    open: Callable[[Sequence[FieldWrite]], Awaitable[tuple[FieldWrite, ...]]]
    open_result: Callable[[Sequence[FieldValue]], Awaitable[tuple[FieldValue, ...]]]


class SendEntry(Protocol):
    """Sends an entry of a command's execution; `kept` is called on the loop once it is durable."""

    def __call__(self, command: StepCommand, entry: JournalEntry, kept: Callable[[], None]) -> None: ...


_LANE: ContextVar[Lane] = ContextVar("logkeel_lane")


class Journal:
    """State of one execution; made for it, used on its loop only."""

    def __init__(
        self, command: StepCommand, values: EntryValues, *, send: SendEntry, clock: Clock, lease: Lease
    ) -> None:
        self.command = command
        self.values = values
        self.clock = clock
        self.book = Book(command.journal)
        self._send = send
        self._lease = lease
        self._room_bytes = MAX_FIELDS_BYTES - fields_bytes(command.inputs) - journal_bytes(command.journal)
        self._stop: asyncio.Future[Stop] | None = None
        self._closed = False
        self._active = 1
        self._waiting: set[str] = set()
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._owners: dict[Lane, asyncio.Task[Any] | None] = {}
        self._foreign: dict[asyncio.Task[Any] | None, Lane] = {}

    # The execution as a whole -----------------------------------------------------------------------------------

    async def perform(self, code: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the code; what it returns. Raises what it raises, `Stopped`, `JournalDiverged`, CancelledError."""
        loop = asyncio.get_running_loop()
        stop = self._stop = loop.create_future()
        task = loop.create_task(self._in_lane(Lane("", self.command.journal_since_ms or 0), code))
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                await self._calls_end(stop.result())
        except asyncio.CancelledError:
            await self._close(task)
            raise
        await self._close(task)
        if stop.done():
            raise Stopped(stop.result())
        result = task.result()
        self.book.end()
        return result

    async def _close(self, task: "asyncio.Task[Any]") -> None:
        self._closed = True
        await _end({task})

    async def _in_lane(self, lane: Lane, code: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self._owners[lane] = asyncio.current_task()
        _LANE.set(lane)
        return await code()

    def stop(self, why: Stop) -> None:
        """End the execution; the first word counts."""
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(why)

    async def halt(self, why: Stop) -> NoReturn:
        """End the execution from within a call, which never returns."""
        self.stop(why)
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")

    async def _calls_end(self, why: Stop) -> None:
        """A call in doubt does not cut others: they would be in doubt as well, and what they cost would be lost."""
        if isinstance(why, CallInDoubt):
            await self._idle.wait()

    # Lanes ------------------------------------------------------------------------------------------------------

    def lane(self) -> Lane:
        """The lane of the code that runs now. Raises CancelledError once the execution has ended."""
        if self._closed or (self._stop is not None and self._stop.done()):
            raise asyncio.CancelledError
        if CURRENT.get() is not None:
            raise StepSignatureError(
                "a journaled call makes a journaled call: its outcome would be known without the inner one. Call the"
                " function itself, or make the outer one part of the step's own code"
            )
        lane = _LANE.get(None)
        task = asyncio.current_task()
        if lane is None or lane not in self._owners:
            raise StepSignatureError("a StepContext is used outside of its step: it is valid until the step returns")
        if self._owners[lane] is task:
            return lane
        if task not in self._foreign:
            self._foreign[task] = lane.foreign()
            self._active += 1
            if task is not None:
                task.add_done_callback(self._foreign_ended)
        return self._foreign[task]

    def is_replaying(self) -> bool:
        """Whether the journal knows a later call of the lane that runs now: this code was executed before.

        Changes nothing, and never raises. Where no lane can be told (a thread, a task that has made no call), the whole
        journal stands for it.
        """
        lane = _LANE.get(None)
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if lane is not None and task is not None and self._owners.get(lane) is not task:
            lane = self._foreign.get(task)
        return self.book.knows_more if lane is None or task is None else self.book.knows_later(lane)

    def _foreign_ended(self, _: "asyncio.Task[Any]") -> None:
        self._active -= 1

    async def gather(self, coroutines: Sequence[Coroutine[Any, Any, T]], concurrency: int | None) -> list[T]:
        """See `DurableCode.gather`."""
        try:
            lane = self.lane()
            position = self.book.meet_gather(lane, len(coroutines))
        except BaseException as error:
            for coroutine in coroutines:
                coroutine.close()
            if isinstance(error, JournalDiverged):
                await self.halt(WentAnotherWay(error))
            raise
        if not coroutines:
            return []
        lanes = [lane.branch(position, number) for number in range(len(coroutines))]
        group = _Group(self, deque(zip(lanes, coroutines, strict=True)), width=concurrency or len(coroutines))
        results = await group.run()
        lane.seen_ms = max(each.seen_ms for each in lanes)
        return results

    def enter(self, lane: Lane) -> None:
        """The task that runs now is a branch."""
        self._owners[lane] = asyncio.current_task()
        _LANE.set(lane)

    def activate(self, change: int) -> None:
        """So many more lanes run."""
        self._active += change
        if self._active == 0 and self._waiting:
            self.stop(Suspended(tuple(sorted(self._waiting))))

    # Entries, waits, calls --------------------------------------------------------------------------------------

    async def meet(self, lane: Lane, name: str, waits_for: WaitKind | None) -> tuple[Place, JournalEntry | None]:
        """See `Book.meet`; code that went another way never comes back from it."""
        try:
            return self.book.meet(lane, name, waits_for)
        except JournalDiverged as error:
            await self.halt(WentAnotherWay(error))

    async def keep(self, entry: JournalEntry) -> None:
        """Send an entry and wait until it is durable (P34)."""
        if self._closed:
            raise asyncio.CancelledError
        kept = asyncio.get_running_loop().create_future()
        sent_at_s = self.clock.monotonic_s()

        def done() -> None:
            self._lease.confirm(sent_at_s, self.clock.monotonic_s())
            if not kept.done():
                kept.set_result(None)

        # What it has written to the state does not travel with the journal.
        self._room_bytes -= journal_bytes((replace(entry, writes=()) if entry.updates else entry,))
        self._send(self.command, entry, done)
        await kept

    async def opened(self, writes: tuple[FieldWrite, ...]) -> tuple[FieldWrite, ...]:
        """What an entry brings, serialized and inline."""
        try:
            return await self.values.open(writes)
        except NotForThisWorker as error:
            await self.halt(NotHere(str(error)))

    async def opened_result(self, fields: tuple[FieldValue, ...]) -> tuple[FieldValue, ...]:
        """What a child run has returned, serialized and inline."""
        try:
            return await self.values.open_result(fields)
        except NotForThisWorker as error:
            await self.halt(NotHere(str(error)))

    def require_room(self) -> None:
        """Before a new call: its entry must fit into the next command. Raises `PayloadTooLarge`."""
        if self._room_bytes < 0:
            raise PayloadTooLarge(
                f"the journal of step {self.command.identity.path} has outgrown what one command carries"
                f" ({MAX_FIELDS_BYTES} bytes, with the fields it reads): let calls return less, keep large values"
                " outside and return their address, or spread the work over several steps or rounds",
                limit_bytes=MAX_FIELDS_BYTES,
            )

    async def require_lease(self) -> None:
        """Right before a call that must not happen twice: the step is surely still this execution's (P39)."""
        if not self._lease.holds(self.clock.monotonic_s()):
            await self.halt(LeaseLost())

    async def wait_at(self, position: str, due_ms: int | None) -> None:
        """Take the lane out until `due_ms`; None: until the execution is suspended."""
        if due_ms is not None and self.clock.now_ms() >= due_ms:
            return
        self._waiting.add(position)
        self.activate(-1)
        try:
            if due_ms is None:
                await asyncio.get_running_loop().create_future()
            else:
                # Polled, since the clock is a port that knows no wake-up.
                while (left_ms := due_ms - self.clock.now_ms()) > 0:  # noqa: ASYNC110 - see above
                    await asyncio.sleep(min(left_ms, 1_000) / 1_000)
        finally:
            self._waiting.discard(position)
            self._active += 1

    def call_begins(self) -> None:
        """A call is under way."""
        self._calls += 1
        self._idle.clear()

    def call_ends(self) -> None:
        """It is not any more."""
        self._calls -= 1
        if not self._calls:
            self._idle.set()


class _Group:
    """The branches of one `gather`: at most `width` at a time, each that ends starting the next."""

    def __init__(
        self, journal: Journal, waiting: "deque[tuple[Lane, Coroutine[Any, Any, Any]]]", *, width: int
    ) -> None:
        self._journal = journal
        self._waiting = waiting
        self._width = max(1, width)
        self._left = len(waiting)
        self._coroutines = [coroutine for _, coroutine in waiting]
        self._tasks: list[asyncio.Task[Any]] = []
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> list[Any]:
        for _ in range(min(self._width, self._left)):
            self._journal.activate(+1)
            self._start()
        # Who opened it waits for the branches, and does not run meanwhile.
        self._journal.activate(-1)
        try:
            await self._ended
        except asyncio.CancelledError:
            await self._abandon()
            raise
        await _end(set(self._tasks))
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        return [task.result() for task in self._tasks]

    async def _abandon(self) -> None:
        self._waiting.clear()
        await _end(set(self._tasks))
        for number, coroutine in enumerate(self._coroutines):
            # Those of tasks that never got to their first step, too.
            if number >= len(self._tasks) or self._tasks[number].done():
                coroutine.close()

    def _start(self) -> None:
        lane, coroutine = self._waiting.popleft()
        task = asyncio.get_running_loop().create_task(self._branch(lane, coroutine))
        task.add_done_callback(self._branch_ended)
        self._tasks.append(task)

    async def _branch(self, lane: Lane, coroutine: Coroutine[Any, Any, Any]) -> Any:
        self._journal.enter(lane)
        return await coroutine

    def _branch_ended(self, _: "asyncio.Task[Any]") -> None:
        self._left -= 1
        if self._waiting:
            self._start()
        elif self._left == 0:
            # The opener goes on in the place of the last branch.
            if not self._ended.done():
                self._ended.set_result(None)
        else:
            self._journal.activate(-1)


async def _end(tasks: "set[asyncio.Task[Any]]") -> None:
    """Cancel what is left of these, and see what became of them."""
    for task in tasks:
        task.cancel()
    open_tasks = {task for task in tasks if not task.done()}
    if open_tasks:
        await asyncio.wait(open_tasks, timeout=ENDING_S)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
