"""Turns of a history: what one input led to. Pure.

Between two turns a run stands, waiting for steps, timers or people; within one it is on its way. So only where a turn
ends can another run begin from it.
"""

from collections.abc import Iterator, Sequence

from logkeel.records.outcomes import RunEvent


def turns(history: Sequence[RunEvent]) -> Iterator[tuple[RunEvent, ...]]:
    """The events of each turn, in order. Events before the first mark belong to the first turn."""
    start = 0
    for index, event in enumerate(history):
        if event.opens_turn and index > start:
            yield tuple(history[start:index])
            start = index
    if history:
        yield tuple(history[start:])


def turn_end(history: Sequence[RunEvent], revision: int) -> int | None:
    """The last revision of the turn that `revision` belongs to; None if it is not in the history."""
    for turn in turns(history):
        if turn[0].revision <= revision <= turn[-1].revision:
            return turn[-1].revision
    return None


def dispatch_of(history: Sequence[RunEvent], path: str) -> int | None:
    """The revision at which the step of that path was sent to a worker first; None if it never was."""
    return next((each.revision for each in history if each.kind == "step_dispatched" and each.path == path), None)
