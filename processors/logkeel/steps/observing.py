"""What an outsider may watch of a worker. Observers never influence it and must not raise.

Of each execution: `began`, then any number of calls, then `ended` once. An execution that is begun again (a claim that
was too old) is a new one with the same identity.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from logkeel.steps.attempt import Attempt
from logkeel.steps.execution import Outcome
from logkeel.steps.journal.calls import UNSEEN, CallSeen


class StepObserver(Protocol):
    """Callbacks on the threads of a worker; they must be short."""

    def began(self, attempt: Attempt) -> None:
        """An execution begins; called in the asyncio context that its code will run in."""
        ...

    def calling(self, attempt: Attempt, call: CallSeen) -> AbstractContextManager[None]:
        """Surrounds a journaled call, in the context that its function runs in. Replayed calls are not seen."""
        ...

    def ended(self, attempt: Attempt, outcome: Outcome | None, now_ms: int) -> None:
        """It has reported, or (None) its claim was too old and it was not called. On the loop or the polling thread."""
        ...

    def dead_letter(self, topic: str, partition: int, offset: int) -> None:
        """What was read there is no command and goes to the dead letters."""
        ...


class Unwatched:
    """An observer that looks away; a convenient start for own ones."""

    def began(self, attempt: Attempt) -> None:
        """Ignored."""

    def calling(self, attempt: Attempt, call: CallSeen) -> AbstractContextManager[None]:
        """Ignored."""
        return UNSEEN

    def ended(self, attempt: Attempt, outcome: Outcome | None, now_ms: int) -> None:
        """Ignored."""

    def dead_letter(self, topic: str, partition: int, offset: int) -> None:
        """Ignored."""


class SeveralStepObservers:
    """Tells each of several, in their order; calls are surrounded by all of them."""

    def __init__(self, observers: Sequence[StepObserver]) -> None:
        self._observers = tuple(observers)

    def began(self, attempt: Attempt) -> None:
        """See `StepObserver`."""
        for each in self._observers:
            each.began(attempt)

    @contextmanager
    def calling(self, attempt: Attempt, call: CallSeen) -> Iterator[None]:
        """See `StepObserver`."""
        with ExitStack() as stack:
            for each in self._observers:
                stack.enter_context(each.calling(attempt, call))
            yield

    def ended(self, attempt: Attempt, outcome: Outcome | None, now_ms: int) -> None:
        """See `StepObserver`."""
        for each in self._observers:
            each.ended(attempt, outcome, now_ms)

    def dead_letter(self, topic: str, partition: int, offset: int) -> None:
        """See `StepObserver`."""
        for each in self._observers:
            each.dead_letter(topic, partition, offset)
