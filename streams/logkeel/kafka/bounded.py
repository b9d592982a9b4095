"""Calls of the client that may never return, made on a thread of their own so that the caller's time-out holds.

An outage of all brokers makes librdkafka throw its brokers away (`metadata.recovery.strategy=rebootstrap`). Requests
that wait for one end with `__DESTROY`, which the handlers of `TxnOffsetCommit` and `OffsetCommit` take for the end of
the client: they answer nobody, whatever the time-out of the call (decision 0014).
"""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from logkeel.errors import LogTimeout


class BoundedCalls:
    """Makes one call at a time for one caller. The thread begins with the first call and ends with `close`.

    A call that outlived its time-out goes on; while it does, every other is refused. The thread is a daemon, since
    nothing can end it before the client lets go.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pending: _Call | None = None

    @property
    def stuck(self) -> bool:
        """Whether a call that was given up has still not returned."""
        return self._pending is not None and not self._pending.done.is_set()

    @property
    def stuck_s(self) -> float:
        """For how long it has not; 0 if there is none."""
        return time.monotonic() - self._pending.began_s if self._pending is not None and self.stuck else 0.0

    def call(self, function: Callable[[], object], timeout_s: float, doing: str) -> object:
        """What `function` answers or raises. Raises `LogTimeout` when it does not return in time or another has not."""
        if self.stuck:
            raise LogTimeout(f"{doing} waits behind a call that has not returned")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        call = self._pending = _Call(function)
        self._calls.put(call)
        if not call.done.wait(timeout_s):
            raise LogTimeout(f"{doing} did not return in {timeout_s:g} s")
        self._pending = None
        if call.error is not None:
            raise call.error
        return call.answer

    def close(self) -> None:
        """Let the thread end after the call it is in. Idempotent."""
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call.make()


class _Call:
    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self.began_s = time.monotonic()
        self.done = threading.Event()
        self.answer: object = None
        self.error: BaseException | None = None

    def make(self) -> None:
        try:
            self.answer = self._function()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            self.error = error
        finally:
            self.done.set()
