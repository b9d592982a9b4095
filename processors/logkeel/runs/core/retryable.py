"""What a run that failed can go on with: the step or wait it failed at, and what its end has cut off. Pure.

The end of a run revokes its open steps in a row, directly before `run_completed`, and the failure of an element does so
before its `block_left`. So the row of the events that ended steps, read backwards from there, is what was cut off, and
the event before it is what the run, or the element, failed at.
"""

from collections.abc import Iterable
from typing import NamedTuple

from logkeel.records import JournalEntry
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunState, StepState


class Remains(NamedTuple):
    """`failed`: the step that the run, or an element, failed at; `cut`: steps that its end has cut off, in the order of

    their paths; `cause`: the revision of what it failed at.
    """

    failed: str | None
    cut: tuple[str, ...]
    cause: int

    @property
    def steps(self) -> tuple[str, ...]:
        """What gets another try."""
        return self.cut if self.failed is None else tuple(sorted((*self.cut, self.failed)))


class Ended:
    """Steps that have ended without success, of a run or of a part of it, by the revisions at which they did."""

    def __init__(self, steps: Iterable[tuple[str, StepState]]) -> None:
        self._revoked, self._failed = dict[int, str](), dict[int, str]()
        for path, step in steps:
            if step.phase == "revoked":
                self._revoked[step.ended_revision] = path
            elif step.phase == "failed":
                self._failed[step.ended_revision] = path

    def before(self, revision: int) -> Remains:
        """What the end at this revision, of a run or an element, has left."""
        cut, revision = [], revision - 1
        while revision in self._revoked:
            cut.append(self._revoked[revision])
            revision -= 1
        return Remains(self._failed.get(revision), tuple(sorted(cut)), revision)


def to_forget(state: RunState, plan: Plan, path: str) -> list[str]:
    """Positions of the journal that code is to come by anew: waits that are not over, and the calls it failed at.

    A call that has failed stays where the code has called for something behind it: it was caught there, and the code
    would take another way. A sleep stays, since its time is its own.
    """
    if plan.steps[path].definition.journaled is not True:
        return []
    entries = dict(state.journal.of(path))
    open_waits = {
        position for position, wait in state.journal_waits.of(path) if wait.kind in ("signal", "question")
    }  # fmt: skip
    failed = {position for position, entry in entries.items() if _is_last_failure(entry, entries)}
    return sorted(open_waits | failed)


def children_of(state: RunState, plan: Plan, path: str) -> bool:
    """Whether code of this step waited for a child run, or has failed at one."""
    if plan.steps[path].definition.journaled is not True:
        return False
    if any(wait.kind == "child" for _, wait in state.journal_waits.of(path)):
        return True
    entries = dict(state.journal.of(path))
    return any(entries[position].child is not None for position in to_forget(state, plan, path))


def _is_last_failure(entry: JournalEntry, entries: dict[str, JournalEntry]) -> bool:
    return entry.state == "failed" and not any(_is_behind(other, entry.position) for other in entries)


def _is_behind(position: str, other: str) -> bool:
    """Whether the code has come to `position` after `other`, in the same lane or one around it."""
    ours, theirs = position.split("."), other.split(".")
    for number, (mine, its) in enumerate(zip(ours, theirs, strict=False)):
        if mine == its:
            continue
        # Lanes of a gather stand at every second place, and run side by side.
        return number % 2 == 0 and mine.isdecimal() and its.isdecimal() and int(mine) > int(its)
    return False
