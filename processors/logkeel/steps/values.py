"""A step's values on their way: arguments out of a command's payloads, and payloads out of its result. On the loop.

What takes long (a blob, a large value) happens on threads of its own, so that other steps go on. A store that does not
answer is asked again while the attempt has time: a result that was paid for is not made again because of it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from logkeel.errors import BlobStoreUnavailable, OperatorError
from logkeel.log import Clock
from logkeel.payloads import PayloadChain
from logkeel.records import FieldValue, FieldWrite
from logkeel.steps.attempt import Attempt
from logkeel.steps.bound import BoundFunction
from logkeel.steps.machine.messages import Key
from logkeel.steps.refusing import NotForThisWorker
from logkeel.steps.threads import DaemonThreads

PAYLOAD_THREADS: Final = 8
"""More would hold more large values in memory at once."""

FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 8.0
PATIENCE_S: Final = 600.0
"""How long a store is asked again for an attempt that has no time-out."""

SLOW_S: Final = 1.0
"""Half of what a claim is valid for."""

KEPT_READY: Final = 4

T = TypeVar("T")
F = TypeVar("F", FieldValue, FieldWrite)


class StepValues:
    """Unwraps and wraps for the executions of one worker. `threaded` False: everything on the caller's thread."""

    def __init__(self, chain: PayloadChain, clock: Clock, *, threaded: bool) -> None:
        self._chain = chain
        self._clock = clock
        self._ready: OrderedDict[tuple[Key, Any], dict[str, Any]] = OrderedDict()
        self._threads = DaemonThreads(PAYLOAD_THREADS, name="logkeel-payloads") if threaded else None

    async def arguments(self, attempt: Attempt, bound: BoundFunction) -> dict[str, Any]:
        """What the function reads, by parameter.

        A claim may have become too old meanwhile: when it was made again, what took long is at hand (P39).
        Raises `NotForThisWorker`, `BlobStoreUnavailable`, and `DataError` for what cannot be read by anybody.
        """
        inputs = attempt.inputs

        def opened() -> dict[str, Any]:
            return bound.decode_inputs(self._opened(inputs))

        place = (attempt.key, bound.function)
        ready = self._ready.pop(place, None)
        if ready is not None:
            return ready
        began_s = self._clock.monotonic_s()
        arguments = await self._patiently(attempt, opened, quick=self._chain.is_quick(inputs))
        if attempt.start.claimed and self._clock.monotonic_s() - began_s > SLOW_S:
            self._ready[place] = dict(arguments)
            while len(self._ready) > KEPT_READY:
                self._ready.popitem(last=False)
        return arguments

    def called(self, attempt: Attempt, bound: BoundFunction) -> None:
        """Its function has the arguments now, and may change them."""
        self._ready.pop((attempt.key, bound.function), None)

    async def writes(self, attempt: Attempt, writes: Sequence[FieldWrite]) -> tuple[FieldWrite, ...]:
        """A result as it is sent. Raises `PayloadTooLarge`, and `BlobStoreUnavailable` once the attempt is over."""
        what = f"the result of step {attempt.command.identity.step!r}"
        quick = self._chain.is_quick(writes)
        return await self._patiently(attempt, lambda: self._chain.wrap_writes(writes, what), quick=quick)

    async def sealed_call(self, attempt: Attempt, writes: Sequence[FieldWrite], what: str) -> tuple[FieldWrite, ...]:
        """The result of a journaled call as it is sent. Raises as `writes`."""
        quick = self._chain.is_quick(writes)
        return await self._patiently(attempt, lambda: self._chain.wrap_writes(writes, what), quick=quick)

    async def opened_call(self, attempt: Attempt, writes: Sequence[FieldWrite]) -> tuple[FieldWrite, ...]:
        """What an entry of a journal brings. Raises as `arguments`."""
        return await self._patiently(attempt, lambda: self._opened(writes), quick=self._chain.is_quick(writes))

    async def opened_result(self, attempt: Attempt, fields: Sequence[FieldValue]) -> tuple[FieldValue, ...]:
        """What a child run has returned. Raises as `arguments`."""
        return await self._patiently(attempt, lambda: self._opened(fields), quick=self._chain.is_quick(fields))

    def _opened(self, fields: Sequence[F]) -> tuple[F, ...]:
        try:
            return self._chain.unwrap_fields(fields)
        except OperatorError as error:
            raise NotForThisWorker(f"{error.message} ({error.code})") from error

    def close(self) -> None:
        """End the threads; nobody waits for what they do."""
        if self._threads is not None:
            self._threads.close()

    async def _patiently(self, attempt: Attempt, call: Callable[[], T], *, quick: bool) -> T:
        until_s = self._clock.monotonic_s() + PATIENCE_S
        if attempt.deadline_s is not None:
            until_s = attempt.deadline_s
        delay_s = FIRST_DELAY_S
        while True:
            try:
                return call() if quick else await self._elsewhere(call)
            except BlobStoreUnavailable:
                if attempt.cut is not None or self._clock.monotonic_s() + delay_s >= until_s:
                    raise
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def _elsewhere(self, call: Callable[[], T]) -> T:
        if self._threads is None:
            return call()
        result: T = await asyncio.wrap_future(self._threads.submit(call))
        return result
