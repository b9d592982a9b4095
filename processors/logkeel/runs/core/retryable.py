"""What a run that failed can go on with: the step or wait it failed at, and what its end has cut off. Pure.

The end of a run revokes its open steps in a row, directly before `run_completed`, and the failure of an element does so
before its `block_left`. So the row of the events that ended steps, read backwards from there, is what was cut off, and
the event before it is what the run, or the element, failed at.
"""

from collections.abc import Iterable
from typing import NamedTuple

from logkeel.runs.core.state import StepState


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
