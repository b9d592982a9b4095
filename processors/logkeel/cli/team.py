"""Threads of one process that end together, in order: the last one started ends first."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from logkeel.cli.watchdog import ENGINE_LIMIT_S, Beats, watch

LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class _Member:
    stop: threading.Event
    thread: threading.Thread


@dataclass
class Team:
    """They end by `stop`, because one of them failed, or because the block around them was left.

    Leaving the block ends them one after the other, the last one started first, waits for each, and raises their first
    failure, unless the block is left by an error of its own.
    """

    stop: threading.Event
    _members: list[_Member] = field(default_factory=list)
    _failures: list[Exception] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop.set()
        for member in reversed(self._members):
            member.stop.set()
            member.thread.join()
        if kind is None and self._failures:
            raise self._failures[0]

    def start(self, name: str, target: Callable[[threading.Event], None]) -> Beats:
        """Run `target(stop)` on a thread of its own; it must return soon after its event was set.

        Returns that event: its owner may look when the thread asked for it last.
        """
        stop = Beats()
        watch(stop, ENGINE_LIMIT_S)

        def run() -> None:
            try:
                target(stop)
            except Exception as error:  # noqa: BLE001 - raised on the main thread when the block ends
                self._failures.append(error)
            # Whoever ends unasked takes the others along: a process that serves half is worse than one that is gone.
            self.stop.set()

        # A daemon: a second Ctrl-C leaves the process at once, as it leaves a command with one thread.
        member = _Member(stop, threading.Thread(target=run, name=name, daemon=True))
        self._members.append(member)
        member.thread.start()
        return stop

    def wait(self, look: Callable[[], None]) -> None:
        """Until they are to end; raises what `look` raises, which is called again and again until then."""
        while not self.stop.wait(LOOK_S):
            look()
