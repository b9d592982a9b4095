"""Schedules as their events tell of them: how each stands, and what became of it lately. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from logkeel.records import ScheduleEvent, ScheduleStanding

KEPT_EVENTS: Final = 50
"""Of each schedule; older ones are on the log."""


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule. `events`: the last ones, the oldest first."""

    name: str
    standing: ScheduleStanding
    events: Sequence[ScheduleEvent]


@dataclass(slots=True)
class ScheduleBook:
    """All schedules that were seen, by name. One that was deleted is not there any more."""

    _events: dict[str, deque[ScheduleEvent]] = field(default_factory=dict)

    def take(self, event: ScheduleEvent) -> None:
        """What became of one, in the order of the log."""
        self._events.setdefault(event.name, deque(maxlen=KEPT_EVENTS)).append(event)

    def get(self, name: str) -> ScheduleView | None:
        """The schedule as it is; None if there is none."""
        events = self._events.get(name)
        if not events or events[-1].kind == "deleted":
            return None
        return ScheduleView(name, events[-1].standing, tuple(events))

    def all(self) -> list[ScheduleView]:
        """Every schedule, by name."""
        return [view for name in sorted(self._events) if (view := self.get(name)) is not None]
