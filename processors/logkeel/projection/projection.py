"""All runs that were seen, by run id. Pure: applying the same records again, or in any mix of runs, changes nothing.

Keeps each run's events, from which any revision is rebuilt. A younger incarnation replaces an older one; which one is
younger is said by the log, whose order this is fed in.
"""

from collections.abc import Iterable, Mapping, Sequence

from logkeel.errors import RunNotFound
from logkeel.projection.advancing import begins_anew, end, is_news, view_of_end
from logkeel.projection.limits import LimitStanding, standings
from logkeel.projection.questions import OpenQuestion, question_of
from logkeel.projection.schedules import ScheduleBook
from logkeel.projection.views import RunView, apply, view_from
from logkeel.records import RunCompleted, RunEvent, RunStatus


class Projection:
    """The read model."""

    def __init__(self) -> None:
        self._views: dict[str, RunView] = {}
        self._events: dict[str, list[RunEvent]] = {}
        self.schedules = ScheduleBook()

    def apply(self, record: RunEvent | RunCompleted) -> None:
        """Take one record in. A completion only tells what the events that were not seen would have told."""
        if isinstance(record, RunCompleted):
            self._complete(record)
            return
        view = self._views.get(record.run_id)
        if view is None or begins_anew(view, record):
            view = self._views[record.run_id] = view_from(record)
            self._events[record.run_id] = []
        if not is_news(view, record):
            return
        self._events[record.run_id].append(record)
        apply(view, record)

    def get(self, run_id: str) -> RunView:
        """The run as it is now. Raises `RunNotFound`."""
        view = self._views.get(run_id)
        if view is None:
            raise RunNotFound(f"there is no run {run_id!r} in the history that is kept", run_id=run_id)
        return view

    def history(self, run_id: str) -> Sequence[RunEvent]:
        """Its events in order. Raises `RunNotFound`."""
        self.get(run_id)
        return tuple(self._events.get(run_id, ()))

    def state_at(self, run_id: str, revision: int) -> RunView:
        """The run as it was right behind that revision. Raises `RunNotFound`, also for a revision below the first."""
        events = [event for event in self.history(run_id) if event.revision <= revision]
        if not events:
            raise RunNotFound(f"run {run_id!r} has no revision {revision} here", run_id=run_id, revision=revision)
        return fold(events)

    def runs(
        self,
        *,
        status: RunStatus | None = None,
        workflow: str | None = None,
        attributes: Mapping[str, str] | None = None,
        in_doubt: bool = False,
    ) -> list[RunView]:
        """Runs that meet every filter, the youngest first. `in_doubt`: a human is being asked about a step."""
        wanted = (attributes or {}).items()
        found = [
            view
            for view in self._views.values()
            if (status is None or view.status == status)
            and (workflow is None or view.workflow == workflow)
            and wanted <= view.attributes.items()
            and (not in_doubt or any(step.phase == "in_doubt" for step in view.steps.values()))
        ]
        return sorted(found, key=lambda view: (-view.started_at_ms, view.run_id))

    def limits(self) -> list[LimitStanding]:
        """Every limit that somebody holds or waits for, by name and key."""
        return standings(self._views.values())

    def questions(self, *, run_id: str | None = None, assignee: str | None = None) -> list[OpenQuestion]:
        """What humans are being asked, of one run or of all, the oldest question first. Raises `RunNotFound`.

        `assignee`: only what this one is asked for.
        """
        views = self._views.values() if run_id is None else (self.get(run_id),)
        found = [
            question_of(view, question, self._events.get(view.run_id, ()))
            for view in views
            for question in view.questions
            if assignee is None or question.assignee == assignee
        ]
        return sorted(found, key=lambda each: (each.question.since_ms, each.run_id, each.question.number))

    def _complete(self, record: RunCompleted) -> None:
        view = self._views.get(record.run_id)
        if view is None:
            self._views[record.run_id] = view_of_end(record)
        else:
            end(view, record)


def fold(events: Iterable[RunEvent]) -> RunView:
    """The view behind the last of these events of one run, at least one, in order."""
    iterator = iter(events)
    first = next(iterator)
    view = view_from(first)
    apply(view, first)
    for event in iterator:
        apply(view, event)
    return view
