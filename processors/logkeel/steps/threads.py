"""Threads for plain step functions. A shell file: threads are made here.

Unlike those of `ThreadPoolExecutor`, which Python joins before it ends, these do not keep the process alive: after a
drain a function may still run that nobody waits for, its step given back by record.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any


class DaemonThreads:
    """At most `size` calls at once; threads are made when they are needed and kept."""

    def __init__(self, size: int, *, name: str) -> None:
        self._size = size
        self._name = name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    @property
    def size(self) -> int:
        """How many calls at once."""
        return self._size

    def submit(self, call: Callable[[], Any]) -> "Future[Any]":
        """Run `call` on one of the threads. Not safe to be called from several threads."""
        future: Future[Any] = Future()
        self._calls.put((future, call))
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
            name = f"{self._name}-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._serve, name=name, daemon=True))
            self._threads[-1].start()
        return future

    def close(self) -> None:
        """Idle threads end now, the others after their call; nobody waits for them. What waits is cancelled."""
        with suppress(Empty):
            while (item := self._calls.get_nowait()) is not None:
                item[0].cancel()
        for _ in self._threads:
            self._calls.put(None)

    def _serve(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                _run(future, call)
            del item, future, call
            self._idle.release()


def _run(future: "Future[Any]", call: Callable[[], Any]) -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - handed to the caller, SystemExit of user code too
        future.set_exception(error)
    else:
        future.set_result(result)
